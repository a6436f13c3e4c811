//! Whatever a record says, its JSON lines parse, and those of tables and trees are harmless.
//! `cargo +nightly fuzz run render` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::event::simulate::records_from;
use tracer::event::{Assembler, EnvWanted, Event, Limits, Unavailable, WallClock};
use tracer::process::{self, ProcessTable};
use tracer::sink::{Around, Look, Sink, Table, Tree};

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
    let table = || Table::new(WallClock::default(), look, Default::default());
    let mut sinks = [
        Sink::Json(WallClock::default()),
        Sink::Table(Box::new(table())),
        Sink::Tree(Box::new(Tree::new(table()))),
    ];
    let mut processes = ProcessTable::new(process::Limits {
        processes: 16,
        story_bytes: 1 << 14,
    });
    let mut out = Vec::new();
    for record in &records_from(data) {
        let Ok(Some(event)) = assembler.push(record) else {
            continue;
        };
        let known = processes.event(&event);
        for sink in &mut sinks {
            out.clear();
            let around = Around {
                ancestors: Some(known.ancestors(16)),
                branch: Some(known.branch()),
                ..Around::default()
            };
            match &event {
                Event::Exec(exec) => sink.exec(exec, around, &mut out),
                Event::Fork(fork) => sink.fork(fork, around, &mut out),
                Event::Exit(exit) => {
                    sink.exit(exit, around, &mut out);
                    if let Some(life) = known.life(exit) {
                        sink.life(&life, around, &mut out);
                    }
                }
                Event::Alive(_) | Event::AliveEnd(_) | Event::Cgroup(_) => {}
            }
            for line in std::str::from_utf8(&out).expect("UTF-8").lines() {
                match sink {
                    Sink::Json(_) => {
                        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
                    }
                    _ => assert!(!line.chars().any(char::is_control), "{line:?}"),
                }
            }
        }
    }
});
