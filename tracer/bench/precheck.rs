//! The pre-check of all programs of `tracer exec`, for each kernel whose profile is embedded and each family of hooks.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tracer::host::HostFacts;
use tracer::plan::{self, Wishes};
use tracer::profiles::{self, KernelProfile};
use tracer::session;

const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];
const ROUNDS: u32 = 30;

pub(crate) fn measure() -> Result<()> {
    for release in KERNELS {
        let kernel = profiles::named(release).map_err(|error| anyhow::anyhow!("{error}"))?;
        // What a run without options wishes for.
        let wishes = Wishes { buffer: 1 << 23, ..Wishes::default() };
        let plan = plan::exec(&wishes, &facts(&kernel))?;
        for &hook in &plan.candidates {
            let judged = session::precheck(&plan, hook, &kernel)?.programs;
            let insns: u32 = judged.iter().map(|judgement| judgement.report.stats.insns_processed).sum();
            let accepted = judged.iter().filter(|judgement| judgement.accepted() == Some(true)).count();
            let (mut judging, mut alone, mut whole) = (Duration::MAX, Duration::MAX, Duration::MAX);
            for _ in 0..ROUNDS {
                let start = Instant::now();
                let judged = black_box(session::precheck(&plan, hook, &kernel)?);
                whole = whole.min(start.elapsed());
                judging = judging.min(judged.elapsed);
                alone = alone.min(judged.programs.iter().map(|judgement| judgement.elapsed).sum());
            }
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            println!(
                "{}",
                json!({"kernel": kernel.name, "hook": hook.name(), "programs": judged.len(), "accepted": accepted,
                    "insns": insns, "ms": ms(judging), "processor_ms": ms(alone), "whole_ms": ms(whole)})
            );
        }
    }
    Ok(())
}

/// A host that runs this kernel.
fn facts(kernel: &KernelProfile) -> HostFacts {
    let version = (kernel.version.major.into(), kernel.version.minor.into());
    HostFacts::of_kernel(&kernel.name, version, Arc::clone(&kernel.btf), 4)
}
