//! The programs that tests run: this same one, as `guest-tests role NAME …`.

use std::process::ExitCode;

/// The path of this program in a guest.
pub(crate) const SELF: &str = "/bin/guest-tests";

/// Plays a role.
pub(crate) fn run(name: &str, args: &[&str]) -> ExitCode {
    match (name, args) {
        ("time-calls", [name, count]) => {
            println_time("calls", name, crate::probe_cli::time_calls(count.parse().unwrap()));
            ExitCode::SUCCESS
        }
        ("time-probed", [name, count, words @ ..]) => {
            println_time("calls", name, crate::probe_cli::time_probed(count.parse().unwrap(), words));
            ExitCode::SUCCESS
        }
        ("time-attach", [count]) => {
            println_time("attach", count, crate::probe_cli::time_attach(count));
            ExitCode::SUCCESS
        }
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
        _ => {
            eprintln!("guest-tests: no role {name} {args:?}");
            ExitCode::from(2)
        }
    }
}

/// A figure for `cargo xtask bench`.
fn println_time(what: &str, name: &str, figure: f64) {
    eprintln!("{what} {name}: {figure:.3}");
}
