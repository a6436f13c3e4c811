//! What needs no other kernel to be measured: `cargo xtask bench user` and `bench precheck` run it, built for release.
//!
//! It prints a line of JSON for each figure. Times are the least of some rounds; where one thread does the work, its own
//! processor time, so that a busy machine's neighbours count little.

use std::time::Duration;

mod precheck;
mod user;

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("user") => user::measure(),
        Some("precheck") => precheck::measure(),
        _ => anyhow::bail!("usage: bench user|precheck"),
    }
}

/// The processor time of this thread.
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Seconds that `work` takes at least, of so many rounds.
fn least(rounds: u32, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = cpu();
        work()?;
        best = best.min((cpu() - start).as_secs_f64());
    }
    Ok(best)
}
