//! Whatever a record says, its JSON line parses and its table line is harmless.
//! `cargo +nightly fuzz run render` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::event::simulate::records_from;
use tracer::event::{Assembler, EnvWanted, Event, Limits, Unavailable, WallClock};
use tracer::sink::{Around, Look, Sink, Table};

fuzz_target!(|data: &[u8]| {
    let (config, data) = data.split_at(data.len().min(3));
    let config = |index: usize| u32::from(config.get(index).copied().unwrap_or(0));
    let limits = Limits {
        max_args: std::num::NonZeroU32::new(config(0)),
        max_bytes: std::num::NonZeroU32::new(config(1)),
    };
    let mut assembler = Assembler::new(limits, EnvWanted::All, Unavailable::default());
    let columns = 40 + config(2) as usize;
    let look = Look {
        columns: Some(columns),
        ..Look::default()
    };
    let table = Table::new(WallClock::default(), look, Default::default());
    let mut table = Sink::Table(Box::new(table));
    let mut json = Sink::Json(WallClock::default());
    let mut out = Vec::new();
    for record in &records_from(data) {
        let Ok(Some(Event::Exec(event))) = assembler.push(record) else {
            continue;
        };
        out.clear();
        json.exec(&event, Around::default(), &mut out);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice::<serde_json::Value>(&out).expect("JSON");
        out.clear();
        table.exec(&event, Around::default(), &mut out);
        let line = std::str::from_utf8(&out).expect("UTF-8");
        let line = line.strip_suffix('\n').expect("a line");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
});
