//! What a tool wrote, in whatever form: which executions it shows, and how many it tells as lost.
//!
//! *Must not know:* guests. `tracer/tests/bench_words.rs` tests it on the host.

use std::collections::BTreeSet;

use serde_json::Value;

/// The numbers behind `PREFIX-`.
pub(crate) fn numbers(bytes: &[u8], prefix: &str) -> BTreeSet<u64> {
    let prefix = format!("{prefix}-");
    let mut found = BTreeSet::new();
    let mut at = 0;
    while let Some(next) = memchr::memmem::find(&bytes[at..], prefix.as_bytes()) {
        at += next + prefix.len();
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Ok(number) = String::from_utf8_lossy(&bytes[at..at + digits]).parse() {
            found.insert(number);
        }
    }
    found
}

/// The losses that are told: the sum of the numbers behind the word "lost" in whatever was written, of ours what the
/// records of losses count.
pub(crate) fn told(streams: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(streams);
    let records = text.lines().filter(|line| line.starts_with('{') && line.contains("\"type\":\"lost\""));
    let records: u64 =
        records.filter_map(|line| serde_json::from_str::<Value>(line).ok()?["count"].as_u64()).sum();
    let words: u64 = text
        .lines()
        .filter(|line| !line.starts_with('{') && !line.starts_with("tracer:"))
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("lost"));
            words.nth(1)?.parse::<u64>().ok()
        })
        .sum();
    records + words
}
