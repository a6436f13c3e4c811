//! Any text is a spec, a path and an expression, or a mistake at a place of it: no panic, no hang.
//! `cargo +nightly fuzz run probe_words` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::{expr, spec};

fuzz_target!(|text: &str| {
    for mistake in [spec::parse(text).err(), spec::parse_path(text).err(), expr::parse(text).err()].into_iter().flatten() {
        assert!(mistake.text.get(mistake.span.clone()).is_some());
        assert!(!mistake.to_string().is_empty());
    }
    if let Ok(spec) = spec::parse(text) {
        let _ = spec.name.matches(text);
    }
});
