//! The user side alone: records of the ring to events, events to text.
//!
//! The records are those of executions that tracer recorded of a small project's build and of some shell scripts
//! (`execs.jsonl`), made again by the simulator of the kernel side.

use std::hint::black_box;
use std::io::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tracer::enrich::Users;
use tracer::event::simulate::SimulatedExec;
use tracer::event::{Assembler, Event, WallClock};
use tracer::sink::{Around, Colour, Look, Sink, Table};

use crate::least;

const RECORDED: &str = include_str!("execs.jsonl");
/// Events in each round.
const EVENTS: usize = 200_000;
const ROUNDS: u32 = 7;
/// Bytes after which a batch is handed on, as in a run.
const BATCH: usize = 128 * 1024;

pub(crate) fn measure() -> Result<()> {
    let execs: Vec<Vec<Vec<u8>>> = RECORDED.lines().map(recorded).collect::<Result<_>>()?;
    let records = execs.iter().flatten();
    let bytes: usize = records.map(Vec::len).sum();
    let clock = WallClock { offset_ns: 1_700_000_000_000_000_000 };
    let table = |colour| {
        let look = Look { columns: Some(132), colour, ..Look::default() };
        Some(Sink::Table(Box::new(Table::new(clock, look, Users::of_this_host()))))
    };
    let sinks = [
        ("decode alone", None),
        ("decode, JSON", Some(Sink::Json(clock))),
        ("decode, table", table(Colour::None)),
        ("decode, table with colours", table(Colour::Ansi)),
    ];
    for (name, mut sink) in sinks {
        let mut assembler = Assembler::default();
        let mut out = Vec::with_capacity(2 * BATCH);
        let mut nowhere = std::fs::File::create("/dev/null").context("cannot open /dev/null")?;
        let mut written = 0;
        let seconds = least(ROUNDS, || {
            written = 0;
            for exec in execs.iter().cycle().take(EVENTS) {
                for record in exec {
                    let event = black_box(assembler.push(black_box(record))?);
                    if let (Some(Event::Exec(event)), Some(sink)) = (event, &mut sink) {
                        sink.exec(&event, Around::default(), &mut out);
                    }
                }
                if out.len() >= BATCH {
                    written += out.len();
                    nowhere.write_all(black_box(&out))?;
                    out.clear();
                }
            }
            Ok(())
        })?;
        let each = seconds / EVENTS as f64;
        println!(
            "{}",
            json!({"name": name, "events": execs.len(), "record_bytes": bytes / execs.len(),
                "rate": 1.0 / each, "ns": each * 1e9, "bytes": written / EVENTS})
        );
    }
    Ok(())
}

/// The records of one execution that was recorded.
fn recorded(line: &str) -> Result<Vec<Vec<u8>>> {
    let event: Value = serde_json::from_str(line).context("execs.jsonl")?;
    let text = |name: &str| event[name].as_str().unwrap_or_default().as_bytes().to_vec();
    let path = |name: &str| -> Vec<Vec<u8>> {
        let path = text(name);
        path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let argv = event["argv"].as_array().context("execs.jsonl: no argv")?;
    let argv = argv.iter().map(|arg| arg.as_str().unwrap_or_default().as_bytes().to_vec());
    let mut simulated = SimulatedExec::example();
    for (field, name) in
        [(&mut simulated.exec.comm, text("comm")), (&mut simulated.exec.parent_comm, text("parent_comm"))]
    {
        *field = [0; 16];
        let length = name.len().min(15);
        field[..length].copy_from_slice(&name[..length]);
    }
    simulated.exec.retval = event["retval"].as_i64().and_then(|value| value.try_into().ok()).unwrap_or(0);
    simulated.filename = text("filename");
    simulated.interp = text("interpreter");
    simulated.exe = path("exe");
    simulated.cwd = path("cwd");
    simulated.argv = argv.collect();
    simulated.env = Vec::new();
    Ok(simulated.records())
}
