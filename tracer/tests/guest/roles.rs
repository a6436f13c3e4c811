//! The programs that tests run: this same one, as `guest-tests role NAME …`.

use std::process::ExitCode;

/// The path of this program in a guest.
pub(crate) const SELF: &str = "/bin/guest-tests";

/// Plays a role.
pub(crate) fn run(name: &str, args: &[&str]) -> ExitCode {
    match (name, args) {
        ("calls", []) => {
            crate::probe_cli::calls();
            ExitCode::SUCCESS
        }
        ("exit", [status]) => ExitCode::from(status.parse::<u8>().unwrap()),
        ("hold", []) => {
            crate::probes::hold();
            ExitCode::SUCCESS
        }
        ("cases", [out, names @ ..]) => {
            crate::cases::play(out, names);
            ExitCode::SUCCESS
        }
        _ if crate::bench::play(name, args) => ExitCode::SUCCESS,
        _ => {
            eprintln!("guest-tests: no role {name} {args:?}");
            ExitCode::from(2)
        }
    }
}
