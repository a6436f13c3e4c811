//! What each command does: the parts of the library put together.
//!
//! *Invariant:* a command ends with an [`Outcome`]; only `main` turns it into an exit code.
//!
//! *Must not know:* how the command line is written.

mod common;
mod doctor;
mod exec;
mod follow;
mod hits;
mod list;
mod load;
mod probe;
mod run;
mod show;
mod verify;

pub use common::print;
pub use doctor::doctor;
pub use exec::exec;
pub use list::list;
pub use probe::probe;
pub use verify::verify;

/// How a command ended.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// The traced command's own status is to be passed on.
    Status(i32),
    /// A program is rejected by a kernel; the report says which.
    Rejected,
    /// No program is rejected, but at least one could not be judged.
    Unmodelled,
    /// It failed while running.
    Failed(String),
    /// What was asked for makes no sense here.
    Usage(String),
    /// This host cannot; the message says what to change.
    HostCannot(String),
    /// The pre-check refuses a program.
    PrecheckRefuses(String),
    /// The kernel refuses a program that the pre-check accepts.
    KernelDisagrees(String),
}
