//! The command line's last word: exit codes.

use std::process::ExitCode;

use tracer::{
    cli::{self, ExecConfig, Invocation, Live, ProbeConfig},
    command::{self, Outcome},
};

fn main() -> ExitCode {
    let invocation = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(error) => {
            // Nobody is left to be told that this could not be printed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match invocation {
        Invocation::Exec(args) => match ExecConfig::resolve(*args, &Live::new()) {
            Ok(config) => command::exec(&config),
            Err(error) => return usage(&error),
        },
        Invocation::Probe(args) => match ProbeConfig::resolve(*args, &Live::new()) {
            Ok(config) => command::probe(&config),
            Err(error) => return usage(&error),
        },
        Invocation::Verify(args) => command::verify(&args),
        Invocation::List(args) => command::list(&args),
        Invocation::Doctor(args) => command::doctor(&args),
        Invocation::Completions(args) => {
            let mut out = Vec::new();
            cli::completions(&args, &mut out);
            command::print(&out)
        }
        Invocation::Man(args) => {
            let mut out = Vec::new();
            match cli::man(&args, &mut out) {
                Ok(()) => command::print(&out),
                Err(error) => return usage(&error),
            }
        }
    };
    let (code, message) = match outcome {
        Outcome::Done => (0, None),
        Outcome::Status(status) => (status, None),
        Outcome::Rejected => (4, None),
        Outcome::Unmodelled => (6, None),
        Outcome::Failed(message) => (1, Some(message)),
        Outcome::Usage(message) => (2, Some(message)),
        Outcome::HostCannot(message) => (3, Some(message)),
        Outcome::PrecheckRefuses(message) => (4, Some(message)),
        Outcome::KernelDisagrees(message) => (5, Some(message)),
    };
    if let Some(message) = message {
        eprintln!("tracer: {message}");
    }
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn usage(error: &cli::UsageError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(2)
}
