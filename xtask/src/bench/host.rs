//! Parts that run on this host: a program of tracer's, built for release, that prints lines of JSON.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::dist;

/// This host's kernel.
///
/// # Errors
/// /proc is not there.
pub(crate) fn kernel() -> Result<String> {
    let release =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("cannot read the kernel's version")?;
    Ok(release.trim().to_owned())
}

/// The processor's name, and the kernel.
///
/// # Errors
/// As [`kernel`].
pub(crate) fn on() -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown", |(_, name)| name).to_owned();
    Ok(vec![
        ("tracer".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("Linux".to_owned(), kernel()?),
        ("processor".to_owned(), model),
    ])
}

/// Has tracer's program for benchmarks, built for release, measure something; the values that it printed.
///
/// # Errors
/// It does not compile, or fails.
pub(crate) fn measure(what: &str) -> Result<Vec<Value>> {
    let output = Command::new(dist::bench()?).arg(what).output().context("cannot run the benchmark")?;
    if !output.status.success() {
        bail!("the benchmark {what} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
