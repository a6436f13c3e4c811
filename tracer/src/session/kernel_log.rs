//! What the kernel side logs, for those who debug a hook: compiled in by the feature `log`.

use aya::Ebpf;
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
    /// `None` if the object was built without logging.
    pub(super) fn new(ebpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init_with_logger(ebpf, ToStderr).ok().map(Self)
    }

    /// Shows what was logged since.
    pub(super) fn flush(&mut self) {
        self.0.flush();
    }
}
