//! What this kernel calls its functions, tracepoints and types: asked for by name, read when first asked.
//!
//! | question | source | needs |
//! |---|---|---|
//! | symbols | /proc/kallsyms | nothing for names; CAP_SYSLOG for addresses |
//! | traceable functions, events, formats | tracefs | root |
//! | functions that take no kprobe | debugfs, else the symbols around their sections | root |
//! | types of modules | /sys/kernel/btf | nothing |
//!
//! *Invariant:* nothing is read that nobody asks for, and nothing twice. What cannot be read is a reason.
//!
//! *Must not know:* specs, plans.

mod blacklist;
#[cfg(test)]
pub mod fixed;
mod format;
mod functions;
mod lines;
mod live;
mod mount;
mod symbols;

use std::sync::Arc;

pub use blacklist::Blacklist;
pub use format::{Format, FormatField};
pub use functions::{Traceable, TraceableFunction};
pub use live::LiveNames;
pub use symbols::{Symbol, Symbols};

use crate::verifier::btf::Btf;

/// An event of tracefs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventName {
    pub category: String,
    pub name: String,
}

/// Questions about names; a test answers them itself. An `Err` is a reason, as half a sentence.
pub trait Names {
    /// Every symbol of the kernel and its modules.
    ///
    /// # Errors
    /// They are not shown.
    fn symbols(&self) -> Result<&Symbols, String>;

    /// The functions that can be traced at their start.
    ///
    /// # Errors
    /// The kernel does not have that list, or does not show it to this process.
    fn traceable(&self) -> Result<&Traceable, String>;

    /// Where no kprobe may be.
    fn blacklist(&self) -> &Blacklist;

    /// The events of tracefs, in order.
    ///
    /// # Errors
    /// tracefs cannot be read.
    fn events(&self) -> Result<&[EventName], String>;

    /// The layout of an event's record.
    ///
    /// # Errors
    /// It cannot be read, or is not understood.
    fn format(&self, category: &str, name: &str) -> Result<Format, String>;

    /// The modules that show their types.
    fn btf_modules(&self) -> &[String];

    /// The types of a module, on top of the kernel's.
    ///
    /// # Errors
    /// It shows none.
    fn module_btf(&self, module: &str) -> Result<Arc<Btf>, String>;
}
