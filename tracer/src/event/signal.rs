//! Names of signals, as signal(7) gives them for x86 and arm64.

use std::borrow::Cow;

/// The real-time signals that programs may use, as the C library counts them: it keeps the first two.
const REAL_TIME: std::ops::RangeInclusive<u8> = 34..=64;

/// The name of a signal, such as `SIGSEGV`; `SIGNAL_n` for one without a name.
pub fn signal_name(signal: u8) -> Cow<'static, str> {
    match signal {
        1..=31 => Cow::Borrowed(NAMES[usize::from(signal) - 1]),
        34 => Cow::Borrowed("SIGRTMIN"),
        signal if REAL_TIME.contains(&signal) => Cow::Owned(format!("SIGRTMIN+{}", signal - 34)),
        signal => Cow::Owned(format!("SIGNAL_{signal}")),
    }
}

#[rustfmt::skip]
const NAMES: [&str; 31] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
    "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
    "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR",
    "SIGSYS",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        for (signal, name) in [
            (libc::SIGHUP, "SIGHUP"),
            (libc::SIGKILL, "SIGKILL"),
            (libc::SIGSEGV, "SIGSEGV"),
            (libc::SIGSYS, "SIGSYS"),
            (33, "SIGNAL_33"),
            (34, "SIGRTMIN"),
            (64, "SIGRTMIN+30"),
            (0, "SIGNAL_0"),
        ] {
            assert_eq!(signal_name(signal as u8), name);
        }
    }
}
