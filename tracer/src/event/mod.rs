//! Ring bytes to events: one decoder per record.
//!
//! ```text
//! record bytes -> header -> { chunk: kept | exec: joined with its chunks | others: as they are } -> Event
//! hit record, points of the run -> ProbeEvent
//! (cpu, seq), counters -> LossTracker -> Lost
//! ```
//!
//! *Invariant:* pure (no I/O, no clock), and total: any bytes yield an event or a [`DecodeError`],
//! never a panic, and memory is bounded whatever arrives. Proven by `tests/decoder.rs`,
//! `probe/tests.rs` and the fuzz targets `decode` and `hit` in `fuzz/fuzz_targets/`.
//!
//! *Must not know:* how records are produced, how events are rendered, who asked for them.

mod aggregate;
mod argv;
mod assemble;
mod cgroup;
mod chunk;
mod datum;
mod errno;
mod error;
mod exec;
mod life;
mod load;
mod loss;
mod path;
mod pending;
mod probe;
mod probe_run;
mod run;
mod signal;
pub mod simulate;
mod value;
mod wire;

pub use aggregate::{Aggregate, Bucket, KeyPart, LeftOut, Measure, Measured, Row, Unit};
pub use argv::{Arg, ArgShape, Args, Gap, GapReason, KeptArgs, Limits};
pub use assemble::{Assembler, EnvWanted, Event};
pub use cgroup::CgroupEvent;
pub use datum::Datum;
pub use errno::errno_name;
pub use error::DecodeError;
pub use exec::{ExecEvent, ProcessId};
pub use life::{AliveEndEvent, AliveEvent, Ending, ExitEvent, ForkEvent, Usage};
pub use load::{Account, ClassWithheld, Made, Overhead, Stats, class_name};
pub use loss::{LossTracker, Lost, LostReason};
pub use pending::{MAX_PENDING_BYTES, MAX_PENDING_EVENTS};
pub use probe::{Frames, ProbeDecoder, ProbeEvent};
pub use probe_run::{Attachment, ProbeEnd, ProbeFilters, ProbeStart, Withheld};
pub use run::{Cgroup, End, EndReason, Filters, Followed, Start, WallClock};
pub use signal::signal_name;
pub use value::{Cut, Missing, Unavailable, Value};
