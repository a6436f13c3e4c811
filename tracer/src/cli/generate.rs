//! Syntax of `tracer completions` and `tracer man`, and what they print: both are generated from
//! the command line's own syntax.

use clap::Args;
use clap_complete::Shell;

use super::{UsageError, error::nearest, syntax};

/// Arguments of `tracer completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `tracer man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// The command whose page to print, instead of tracer's own
    pub command: Option<String>,
}

/// Appends a shell's completions.
pub fn completions(args: &CompletionsArgs, out: &mut Vec<u8>) {
    clap_complete::generate(args.shell, &mut syntax(), "tracer", out);
}

/// Appends a manual page.
///
/// # Errors
/// If there is no such command.
pub fn man(args: &ManArgs, out: &mut Vec<u8>) -> Result<(), UsageError> {
    let mut syntax = syntax();
    syntax.build();
    let page = match &args.command {
        None => syntax,
        Some(name) => match syntax.find_subcommand(name) {
            Some(command) => command.clone(),
            None => {
                let names = syntax.get_subcommands().map(clap::Command::get_name);
                return Err(UsageError::new(format!("tracer has no command '{name}'")).tip(nearest(
                    name,
                    names,
                    |near| format!("did you mean '{near}'?"),
                    || "'tracer --help' lists the commands".into(),
                )));
            }
        },
    };
    let written = clap_mangen::Man::new(page).render(out);
    debug_assert!(written.is_ok(), "a vector takes everything");
    Ok(())
}
