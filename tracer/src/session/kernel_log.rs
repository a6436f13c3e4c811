//! What the kernel side logs, for those who debug a hook: compiled in by the feature `log`.

use std::{
    fs,
    os::fd::{AsRawFd, BorrowedFd},
};

use aya_log::EbpfLogger;

/// Lines to standard error.
struct ToStderr;

impl log::Log for ToStderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        eprintln!("tracer: kernel side: {}", record.args());
    }

    fn flush(&self) {}
}

/// The kernel side's log.
pub(super) struct KernelLog(EbpfLogger<ToStderr>);

impl KernelLog {
    /// Of the object that a program is of. `None` if it was built without logging.
    pub(super) fn of(program: BorrowedFd<'_>) -> Option<Self> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()?;
        let id = info.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok()?;
        EbpfLogger::init_from_id_with_logger(id, ToStderr).ok().map(Self)
    }

    /// Shows what was logged since.
    pub(super) fn flush(&mut self) {
        self.0.flush();
    }
}
