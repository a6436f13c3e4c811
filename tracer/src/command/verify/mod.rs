//! `tracer verify`: what each kernel will say of each program of an object file.
//!
//! ```text
//! --kernel, --btf, --kernel-image -> kernels   ┐
//! OBJECT, - -> input -> Object                 ├-> judge -> Judged -> json | table and diagnostics
//! ```
//! No privilege is needed, nothing is loaded. A file that cannot be read spoils no other; it is told at the end.

mod input;
mod json;
mod judge;
mod kernels;
mod table;

use std::io::{self, Write as _};

use super::Outcome;
use crate::cli::{VerifyArgs, VerifyFormat};
use crate::profiles::KernelProfile;
use judge::{Answer, Judged};
use table::Work;

/// A kernel that is asked about.
struct Kernel {
    /// As it was asked for: `6.12`.
    label: String,
    profile: KernelProfile,
}

/// Runs `tracer verify`.
pub fn verify(args: &VerifyArgs) -> Outcome {
    let kernels = match kernels::of(args) {
        Ok(kernels) => kernels,
        Err(outcome) => return outcome,
    };
    for caveat in kernels.iter().flat_map(|kernel| kernel.profile.caveats()) {
        eprintln!("tracer: note: {caveat}");
    }
    let work = if args.stats { Work::Shown } else { Work::Hidden };
    let mut all = Vec::new();
    let mut failures = Vec::new();
    let mut found: Vec<&String> = Vec::new();
    for path in &args.objects {
        let object = match input::read(path) {
            Ok(object) => object,
            Err(error) => {
                failures.push(error);
                continue;
            }
        };
        found.extend(args.program.iter().filter(|name| object.parsed.program_named(name).is_some()));
        let judged = judge::object(&object, &kernels, &args.program, &mut failures);
        let text = match args.format {
            VerifyFormat::Json => judged.iter().map(json::line).collect(),
            VerifyFormat::Text => table::text(&object.name, &kernels, &judged, work),
        };
        if let Err(error) = print(&text) {
            return Outcome::Failed(format!("standard output cannot be written: {error}"));
        }
        all.extend(judged);
    }
    let missing = args.program.iter().filter(|name| !found.contains(name));
    let read = failures.is_empty();
    failures.extend(
        missing.filter(|_| read).map(|name| format!("no object has a program '{name}'{}", known(args))),
    );
    match failures.split_last() {
        None => outcome(&all),
        Some((last, others)) => {
            others.iter().for_each(|failure| eprintln!("tracer: {failure}"));
            Outcome::Failed(last.clone())
        }
    }
}

fn outcome(all: &[Judged]) -> Outcome {
    if all.iter().any(|judged| matches!(judged.answer, Answer::Reject(_))) {
        return Outcome::Rejected;
    }
    if all.iter().any(|judged| matches!(judged.answer, Answer::Unmodelled { .. })) {
        return Outcome::Unmodelled;
    }
    Outcome::Done
}

/// The programs that there are, for one who named another.
fn known(args: &VerifyArgs) -> String {
    let objects = args.objects.iter().filter(|path| path.as_os_str() != "-");
    let names: Vec<String> = objects
        .filter_map(|path| input::read(path).ok())
        .flat_map(|object| {
            object.parsed.programs().map(|(_, function)| function.name.clone()).collect::<Vec<_>>()
        })
        .take(20)
        .collect();
    if names.is_empty() { String::new() } else { format!("; there are: {}", names.join(", ")) }
}

/// A reader that goes away has had enough.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
