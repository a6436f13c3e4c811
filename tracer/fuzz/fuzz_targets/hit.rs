//! Any bytes are a probe's hit or an error: no panic; and what is shown of a hit is JSON that parses, and lines that
//! are harmless. `cargo +nightly fuzz run hit` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::enrich::Symbols;
use tracer::event::simulate::{example_run, hit_from};
use tracer::event::{ProbeDecoder, WallClock};
use tracer::plan::probe::Stacks;
use tracer::sink::{Look, ProbeSink, Table};

fuzz_target!(|data: &[u8]| {
    let [mend, columns, data @ ..] = data else {
        return;
    };
    // No user stack: its process would be one of this host.
    let run = example_run(Stacks {
        kernel: true,
        user: false,
    });
    let decoder = ProbeDecoder::new(&run);
    let record = hit_from(data, *mend);
    let Ok(event) = decoder.decode(&record) else {
        return;
    };
    let symbols = || Symbols::of_kallsyms(b"ffffffff81000000 T first\nffffffff81000100 T second\n");
    let mut out = Vec::new();
    ProbeSink::json(WallClock::default(), symbols()).hit(&event, &mut out);
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    serde_json::from_slice::<serde_json::Value>(&out).expect("JSON");
    out.clear();
    let look = Look {
        columns: Some(40 + usize::from(*columns)),
        ..Look::default()
    };
    let table = Table::new(WallClock::default(), look, Default::default());
    ProbeSink::table(table, symbols()).hit(&event, &mut out);
    let text = std::str::from_utf8(&out).expect("UTF-8");
    assert!(!text.lines().any(|line| line.chars().any(char::is_control)), "{text:?}");
});
