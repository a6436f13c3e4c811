//! The pre-check of all programs of `tracer exec`, for each kernel whose profile is embedded and each family of hooks.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use tracer::host::HostFacts;
use tracer::plan::{self, Wishes};
use tracer::profiles::{self, KernelProfile};
use tracer::session;

use crate::least;

const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];
const ROUNDS: u32 = 30;

pub(crate) fn measure() -> Result<()> {
    for release in KERNELS {
        let kernel = profiles::named(release).map_err(|error| anyhow::anyhow!("{error}"))?;
        // What a run without options wishes for.
        let wishes = Wishes { buffer: 1 << 23, ..Wishes::default() };
        let plan = plan::exec(&wishes, &facts(&kernel))?;
        for &hook in &plan.candidates {
            let judged = session::precheck(&plan, hook, &kernel)?;
            let insns: u32 = judged.iter().map(|judgement| judgement.report.stats.insns_processed).sum();
            let accepted = judged.iter().filter(|judgement| judgement.accepted() == Some(true)).count();
            let whole = least(ROUNDS, || {
                black_box(session::precheck(&plan, hook, &kernel)?);
                Ok(())
            })?;
            println!(
                "{}",
                json!({"kernel": kernel.name, "hook": hook.name(), "programs": judged.len(), "accepted": accepted,
                    "insns": insns, "ms": whole * 1e3})
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
