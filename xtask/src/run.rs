//! `cargo xtask run -- ARGS`: builds as whoever calls it, then becomes `tracer ARGS`.
//!
//! xtask is gone by then, so that signals, the terminal and the exit status are tracer's own. Not
//! root, and the subcommand needs to be: the last step alone goes through sudo.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::build;
use crate::profiles::Profiles;
use crate::setup::apt;
use crate::step;

/// The subcommands that need no privilege, and the flags that make any of them need none.
const UNPRIVILEGED: [&str; 5] = ["doctor", "verify", "completions", "man", "help"];
const HARMLESS: [&str; 5] = ["--help", "-h", "--version", "-V", "--dry-run"];

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    build: build::Args,
    /// What tracer is given
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let program = build::build(&args.build, profiles_of(&args.args))?;
    let mut command = if apt::is_root() || !needs_root(&args.args) {
        Command::new(&program)
    } else {
        if !apt::on_path("sudo") {
            bail!("tracing needs root, and sudo is not here: run `{}` as root", program.display());
        }
        step::say("tracing needs root: running tracer by sudo (it may ask for your password)");
        let mut sudo = Command::new("sudo");
        sudo.arg("--").arg(&program);
        sudo
    };
    let error = command.args(&args.args).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// `verify` knows other kernels than the host's; the rest has no need of them.
fn profiles_of(args: &[OsString]) -> Profiles {
    if subcommand(args).is_some_and(|name| name == "verify") { Profiles::Made } else { Profiles::IfThere }
}

/// tracer's own arguments: what follows `--` is another command's.
fn own(args: &[OsString]) -> impl Iterator<Item = Cow<'_, str>> {
    args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--")
}

fn subcommand(args: &[OsString]) -> Option<Cow<'_, str>> {
    own(args).find(|argument| !argument.starts_with('-'))
}

/// Whether these arguments make tracer load programs.
fn needs_root(args: &[OsString]) -> bool {
    !own(args).any(|argument| HARMLESS.contains(&argument.as_ref()))
        && subcommand(args).is_some_and(|name| !UNPRIVILEGED.contains(&name.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_verify_embeds_kernels_that_have_to_be_fetched() {
        let of = |line: &str| profiles_of(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("verify --kernel 6.12 x.o"), Profiles::Made);
        assert_eq!(of("-v verify x.o"), Profiles::Made);
        assert_eq!(of("exec -- verify"), Profiles::IfThere);
        assert_eq!(of(""), Profiles::IfThere);
    }

    #[test]
    fn only_what_traces_needs_root() {
        let needs = |line: &str| needs_root(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        assert!(needs("exec"));
        assert!(needs("-v exec --format json"));
        assert!(needs("exec -- ls --help"));
        assert!(!needs("exec --help"));
        assert!(!needs("doctor"));
        assert!(!needs("--version"));
        assert!(!needs("completions bash"));
        assert!(!needs(""));
    }
}
