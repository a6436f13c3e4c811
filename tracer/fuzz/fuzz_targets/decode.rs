//! Any bytes are events or errors: no panic, and bounded memory.
//! `cargo +nightly fuzz run decode` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::event::simulate::records_from;
use tracer::event::{Assembler, EnvWanted, Event, Limits, LossTracker, Unavailable};

fuzz_target!(|data: &[u8]| {
    let (config, data) = data.split_at(data.len().min(2));
    let limit =
        |index: usize| std::num::NonZeroU32::new(config.get(index).copied().unwrap_or(0).into());
    let limits = Limits {
        max_args: limit(0),
        max_bytes: limit(1),
    };
    let env = EnvWanted::Named(vec![b"PATH".to_vec()]);
    let mut assembler = Assembler::new(limits, env, Unavailable::default());
    let mut losses = LossTracker::new(4, 0);
    // Once raw, once mended.
    let _ = assembler.push(data);
    for record in &records_from(data) {
        if let Ok(Some(Event::Exec(event))) = assembler.push(record) {
            losses.event(event.cpu, event.seq, event.boot_ns, || 3);
            event.each_missing(|name, reason| {
                assert!(!name.is_empty() && !reason.to_string().is_empty())
            });
            if let Some(args) = event.argv.shown() {
                let shown: u64 = args.iter().map(|arg| arg.bytes.len() as u64).sum();
                let absent: u64 = args.gaps().iter().filter_map(|gap| gap.bytes).sum();
                let total = event.argv_bytes.shown().unwrap_or(0);
                assert!(shown + absent <= u64::from(total));
                assert!(args.gaps().iter().all(|gap| gap.at <= args.len()));
            }
        }
    }
});
