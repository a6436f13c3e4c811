//! Validates JSON lines (from standard input, or of the files named) against the committed schema:
//! `cargo run -p tracer --example validate < execs.json`. Exits 1 at the first line that is not
//! valid.

use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;

const SCHEMA: &str = include_str!("../../docs/schema/v1.json");

fn main() -> anyhow::Result<ExitCode> {
    let schema = serde_json::from_str(SCHEMA)?;
    let validator = jsonschema::validator_for(&schema)?;
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut inputs: Vec<(String, Box<dyn Read>)> = Vec::new();
    for name in names {
        let file = std::fs::File::open(&name)?;
        inputs.push((name, Box::new(file)));
    }
    if inputs.is_empty() {
        inputs.push(("standard input".into(), Box::new(std::io::stdin())));
    }
    let mut lines = 0;
    for (name, input) in inputs {
        for (index, line) in BufReader::new(input).lines().enumerate() {
            let line = line?;
            let wrong = match serde_json::from_str(&line) {
                Ok(value) => validator.validate(&value).err().map(|error| {
                    let at = error.instance_path().to_string();
                    format!("{error} (at '{at}')")
                }),
                Err(error) => Some(error.to_string()),
            };
            if let Some(wrong) = wrong {
                eprintln!("{name}, line {}: {wrong}\n{line}", index + 1);
                return Ok(ExitCode::FAILURE);
            }
            lines += 1;
        }
    }
    println!("{lines} lines are valid");
    Ok(ExitCode::SUCCESS)
}
