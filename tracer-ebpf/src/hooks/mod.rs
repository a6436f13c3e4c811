//! Where the kernel side is called from: one file per hook family.
//!
//! Each family is enough by itself: it sees successful execs once the new image is in place, and
//! failed ones when the call returns. It sees processes begin and end too, if that is asked for. The iterator, which
//! finds those that are there already, is of no family.

/// Logs through aya-log, when the feature `log` is on; otherwise nothing is compiled in.
macro_rules! log {
    ($ctx:expr, $($arg:tt)*) => {{
        #[cfg(feature = "log")]
        aya_log_ebpf::info!($ctx, $($arg)*);
        #[cfg(not(feature = "log"))]
        let _ = $ctx;
    }};
}

mod fentry;
mod iter;
mod kprobe;
mod syscall;
mod tracepoint;
