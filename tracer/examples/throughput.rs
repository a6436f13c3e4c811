//! How many events a second one core decodes and renders:
//! `cargo run --release -p tracer --example throughput`.

use std::hint::black_box;
use std::time::Instant;

use tracer::event::simulate::SimulatedExec;
use tracer::event::{Assembler, Event, WallClock};
use tracer::sink::{Around, Look, Sink, Table};

const EVENTS: u32 = 1_000_000;

fn main() -> anyhow::Result<()> {
    let clock = WallClock { offset_ns: 1_700_000_000_000_000_000 };
    let look = Look { columns: Some(120), ..Look::default() };
    let table = Table::new(clock, look, Default::default());
    let record = SimulatedExec::example().records().concat();
    for (name, mut sink) in
        [("decode", None), ("json", Some(Sink::Json(clock))), ("table", Some(Sink::Table(Box::new(table))))]
    {
        let mut assembler = Assembler::default();
        let mut out = Vec::new();
        let (mut best, mut bytes) = (f64::MAX, 0);
        for _ in 0..5 {
            let start = Instant::now();
            for _ in 0..EVENTS {
                out.clear();
                let event = black_box(assembler.push(black_box(&record))?);
                if let (Some(Event::Exec(event)), Some(sink)) = (event, &mut sink) {
                    sink.exec(&event, Around::default(), &mut out);
                }
                black_box(&out);
            }
            bytes = out.len();
            best = best.min(start.elapsed().as_secs_f64());
        }
        let rate = f64::from(EVENTS) / best;
        let each = best / f64::from(EVENTS) * 1e9;
        println!("{name}: {rate:.0} events/s, {each:.0} ns and {bytes} bytes each");
    }
    Ok(())
}
