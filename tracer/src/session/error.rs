//! Why nothing could be loaded or attached, and what to do about it.

use std::{fmt::Write as _, io};

use super::memlock;
use crate::{
    diagnostic::{self, text::About},
    object::ObjectError,
    plan::Refusal,
};

/// Why nothing could be loaded or attached.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("no hook family works on this host:{}", .refused.iter().map(|r| format!("\n  {r}")).collect::<String>())]
    NoFamily { refused: Vec<Refusal>, cause: Cause },
    #[error("the pre-check refuses what this kernel's verifier would refuse:\n{0}")]
    Precheck(String),
    #[error(
        "program {program} cannot be loaded: {}{}\nThe pre-check had accepted it: a fault of tracer's model of the \
         verifier, please report it", explain(.error), told(program, .log)
    )]
    Disagreement { program: &'static str, error: io::Error, log: String },
    #[error("the kernel-side object does not fit this kernel: {0}")]
    Object(#[from] ObjectError),
    #[error("the kernel refuses the kernel side's type information: {}{}", explain(.error), said(.log))]
    OwnBtf { error: io::Error, log: String },
    #[error("program {program} cannot be loaded: {}{}", explain(.error), told(program, .log))]
    Refused { program: &'static str, error: io::Error, log: String },
    #[error("program {program} cannot be attached: {}", explain(.error))]
    Attach { program: &'static str, error: io::Error },
    #[error("{point} cannot be attached: {reason}")]
    Point { point: String, reason: String },
    #[error("no point can be attached:{}", .0.iter().map(|(point, reason)| format!("\n  {point}: {reason}")).collect::<String>())]
    NoPoint(Vec<(String, String)>),
    #[error("the type information of module {module} cannot be had: {error}")]
    ModuleBtf { module: String, error: io::Error },
    #[error("the kernel has none of the functions {0:?}")]
    NoFunction(&'static [&'static str]),
    #[error("map {map} cannot be {what}: {}", explain(.error))]
    Map { map: String, what: &'static str, error: io::Error },
    #[error("the ring cannot be mapped into memory: {0}")]
    Ring(io::Error),
    #[error("map STATS cannot be mapped into memory: {0}")]
    Stats(io::Error),
    #[error(
        "the kernel does not count the runs of tracer's programs, which --stats and --max-overhead need: {0}. It does so \
         for CAP_SYS_ADMIN: run tracer as root; or for everybody: sysctl kernel.bpf_stats_enabled=1"
    )]
    Statistics(io::Error),
    #[error("what the run costs cannot be measured: {0}")]
    Meter(io::Error),
    #[error("/proc does not show what the kernel skips: {0}")]
    Misses(io::Error),
    #[error("the kernel-side object has no {0}: tracer was built from parts that do not fit together")]
    Missing(&'static str),
}

/// Whose fault it is that nothing could be loaded or attached, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// This host cannot.
    Host,
    /// The pre-check refuses.
    Precheck,
    /// The kernel refuses what the pre-check accepts.
    Disagreement,
}

impl LoadError {
    /// Whose fault it is.
    pub fn cause(&self) -> Cause {
        match self {
            Self::NoFamily { cause, .. } => *cause,
            Self::Precheck(_) => Cause::Precheck,
            Self::Disagreement { .. } => Cause::Disagreement,
            _ => Cause::Host,
        }
    }
}

/// The verifier's log, read as the model's own rejections are; as it is if that cannot be done.
fn told(program: &str, log: &str) -> String {
    let Some(diagnostic) = diagnostic::kernel_log::parse(log) else { return said(log) };
    let mut text = String::from(". The kernel's verifier says:\n");
    let about = About { program, section: "tracer's own", kernels: "this kernel" };
    diagnostic::text::write(&diagnostic, &about, &mut text);
    text
}

fn said(log: &str) -> String {
    match log.trim() {
        "" => String::new(),
        log => format!(". The kernel says:\n{log}"),
    }
}

/// An error of a system call, and what to make of it.
fn explain(error: &io::Error) -> String {
    let mut text = error.to_string();
    match error.raw_os_error() {
        Some(libc::EACCES) => {
            if let Some(level) = paranoid() {
                let _ = write!(
                    text,
                    ": kernel.perf_event_paranoid is {level}, which leaves kprobes to CAP_SYS_ADMIN alone: lower it \
                     (sysctl kernel.perf_event_paranoid=2), or take another hook"
                );
            }
        }
        Some(libc::EPERM) if memlock::is_the_obstacle() => text.push_str(
            ": before 5.11 the kernel counts maps as locked memory, and more of it is needed than the \
             limit allows: add CAP_SYS_RESOURCE, or raise the limit (ulimit -l unlimited)",
        ),
        Some(libc::EPERM) => text.push_str(
            ", although the capabilities are there: this kernel's configuration, a security module, \
             seccomp or a container forbids it",
        ),
        _ => {}
    }
    text
}

/// The setting, where it is one that only some distributions' kernels know: they refuse perf events
/// to everyone without CAP_SYS_ADMIN then.
fn paranoid() -> Option<i32> {
    let text = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?;
    text.trim().parse().ok().filter(|level| *level >= 3)
}
