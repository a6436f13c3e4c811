//! What the model says: `tracer verify` on the same objects.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::answer::{self, Answer, Key};
use super::corpus::Object;
use crate::step;

/// The exit statuses of `tracer verify` that come with answers: all accepted, unreadable input among others, some
/// rejected, some unmodelled.
const ANSWERED: [i32; 4] = [0, 1, 4, 6];

/// The model's answers for one kernel, by program.
///
/// # Errors
/// `tracer verify` fails otherwise than by a verdict.
pub(super) fn of(tracer: &Path, version: &str, objects: &[Object]) -> Result<BTreeMap<Key, Answer>> {
    step::say(&format!("the model judges {} objects for {version}", objects.len()));
    let mut command = Command::new(tracer);
    command.args(["verify", "--format", "json", "--stats", "--kernel", version]);
    let output = command.args(objects.iter().map(|object| &object.path)).output();
    let output = output.context("cannot run tracer verify")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.code().is_some_and(|status| ANSWERED.contains(&status)) {
        bail!("tracer verify ended with {}: {}", output.status, step::tail(&said, 5));
    }
    let answers = answer::read(&String::from_utf8_lossy(&output.stdout), |_| {});
    if answers.is_empty() {
        bail!("tracer verify gave no answer: {}", step::tail(&said, 5));
    }
    Ok(answers)
}
