//! The model of the verifier against a kernel, on generated programs; `cargo xtask fuzz` runs it.
//!
//! ```text
//! fuzz make     host    seeds -> FOLDER/cases (programs), FOLDER/model (the model's verdicts)
//! fuzz load     guest   cases -> the kernel's answers, on standard output
//! fuzz compare  host    folders that hold all three -> a table, and a file of the cases that differ
//! fuzz shrink   guest   those cases -> the smallest programs that still differ, shown
//! ```
//! The model judges on the host because a guest may be emulated, and the model is most of the work.
//!
//! Invariant: a case is the whole program: nothing is generated twice.

use std::process::ExitCode;

mod case;
mod compare;
mod judge;
mod kernel;
mod load;
mod make;
mod shrink;

const USAGE: &str = "fuzz make --kernel VERSION --folder FOLDER [--seed N] [--count N] [--threads N] | load FILE | \
                     compare --wrong FILE [--examples N] FOLDER... | shrink --kernel VERSION FILE";

/// What a case file's name is in its folder.
const CASES: &str = "cases";
/// The model's verdicts, a line each.
const MODEL: &str = "model";
/// The kernel's answers, a line each, in no order.
const KERNEL: &str = "kernel";

/// CPUs of the kernels that are asked.
const CPUS: u32 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.split_first() {
        Some((verb, rest)) => Words::parse(rest).and_then(|words| match verb.as_str() {
            "make" => make::main(&words),
            "load" => load::main(&words),
            "compare" => compare::main(&words),
            "shrink" => shrink::main(&words),
            _ => Err(USAGE.to_owned()),
        }),
        None => Err(USAGE.to_owned()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

/// Options with their values, and what stands alone.
struct Words {
    options: Vec<(String, String)>,
    plain: Vec<String>,
}

impl Words {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut parsed = Self { options: Vec::new(), plain: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some(name) => {
                    let value = words.next().ok_or(format!("{word} takes a value; {USAGE}"))?;
                    parsed.options.push((name.to_owned(), value.clone()));
                }
                None => parsed.plain.push(word.clone()),
            }
        }
        Ok(parsed)
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        let found = self.options.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).ok_or(format!("--{name} is missing; {USAGE}"))
    }

    fn number(&self, name: &str, usual: u64) -> Result<u64, String> {
        match self.text(name) {
            Ok(text) => text.parse().map_err(|_| format!("--{name} takes a number")),
            Err(_) => Ok(usual),
        }
    }

    fn one(&self) -> Result<&str, String> {
        match self.plain.as_slice() {
            [one] => Ok(one),
            _ => Err(USAGE.to_owned()),
        }
    }
}

/// The kernel of this version, as the guests that are asked have it.
fn profile(version: &str) -> Result<tracer::verifier::Profile, String> {
    let mut kernel = tracer::profiles::named(version).map_err(|e| e.to_string())?;
    kernel.config.nr_cpus = CPUS;
    Ok(kernel.profile())
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn write(path: &std::path::Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}
