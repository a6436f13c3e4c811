//! How the benchmarks' guests read what tools wrote.

#[path = "guest/bench/words.rs"]
mod words;

use words::{numbers, told};

#[test]
fn executions_are_known_by_their_numbers() {
    let text =
        b"10:00 sh storm-1 -l\n{\"argv\":[\"/tmp/tiny\",\"storm-12\"]} storm-1 storm- other-7\xff storm-3";
    assert_eq!(numbers(text, "storm").into_iter().collect::<Vec<_>>(), [1, 3, 12]);
    assert!(numbers(b"", "storm").is_empty());
}

#[test]
fn losses_are_read_in_every_tools_words() {
    assert_eq!(
        told(b"{\"schema\":1,\"type\":\"lost\",\"count\":7,\"cpu\":0}\n{\"type\":\"end\",\"lost\":7}\n"),
        7
    );
    assert_eq!(told(b"tracer: 3 execs (0 failed, 7 lost) in 1 s\n"), 0);
    assert_eq!(told(b"Lost 12 events on CPU #0!\nPossibly lost 30 samples\n"), 42);
    assert_eq!(told(b"Lost 5 events\n sh ls lost+found\n lost and found\n"), 5);
}
