//! `tracer list`: what can be probed here.
//!
//! ```text
//! words -> kinds and pattern -> points (one file) -> table | json | names
//! ```
//! *Invariant:* as little is read as the answer needs, and with as little privilege. What could not be seen is told.

mod points;
mod wanted;
mod write;

use std::io::{self, BufWriter, Write as _};

use super::{Outcome, common};
use crate::cli::{ListArgs, ListFormat};
use crate::host::names::LiveNames;
use points::Detail;

/// Runs `tracer list`.
pub fn list(args: &ListArgs) -> Outcome {
    let wanted = match wanted::wanted(&args.words) {
        Ok(wanted) => wanted,
        Err(mistake) => return Outcome::Usage(mistake.to_string()),
    };
    let facts = match common::facts() {
        Ok(facts) => facts,
        Err(outcome) => return outcome,
    };
    let names = LiveNames::new(facts.btf.as_ref().ok().cloned());
    let detail = if args.format == ListFormat::Names { Detail::Names } else { Detail::Full };
    let (points, notes) = points::points(&wanted, &facts, &names, detail);
    for note in &notes {
        eprintln!("tracer: note: {note}");
    }
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let written = match args.format {
        ListFormat::Table => write::table(&points, &mut out),
        ListFormat::Json => points.iter().try_for_each(|point| out.write_all(write::json(point).as_bytes())),
        ListFormat::Names => points.iter().try_for_each(|point| writeln!(out, "{}", point.spec)),
    };
    match written.and_then(|()| out.flush()) {
        // A reader that goes away has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What is still held is for nobody: to drop the writer would try again.
            let _ = out.into_parts();
            Outcome::Done
        }
        Err(error) => Outcome::Failed(format!("standard output cannot be written: {error}")),
        Ok(()) if points.is_empty() => {
            Outcome::Failed(format!("nothing here matches {}", wanted::said(&args.words)))
        }
        Ok(()) => Outcome::Done,
    }
}
