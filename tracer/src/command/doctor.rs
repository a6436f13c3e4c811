//! `tracer doctor`: what this host offers, each hook family tried for real.

use std::fmt::Write as _;

use serde_json::json;
use tracer_common::Hook;

use super::Outcome;
use crate::{
    cli::{DoctorArgs, DoctorFormat},
    host::{Capability, HostFacts},
    plan::{self, Wishes},
    session::{self, Precheck},
    sink::json::SCHEMA_VERSION,
};

/// What was found out about one hook family.
struct Verdict {
    hook: Hook,
    /// Why it does not work, if it does not.
    obstacle: Option<String>,
}

/// Runs `tracer doctor`.
pub fn doctor(args: &DoctorArgs) -> Outcome {
    let facts = match HostFacts::read() {
        Ok(facts) => facts,
        Err(error) => {
            return Outcome::HostCannot(format!("this host cannot be looked at: {error}; is /proc mounted?"));
        }
    };
    let verdicts: Vec<_> = Hook::ALL.into_iter().map(|hook| examine(hook, &facts)).collect();
    let text = match args.format {
        DoctorFormat::Text => text(&facts, &verdicts),
        DoctorFormat::Json => json(&facts, &verdicts),
    };
    print!("{text}");
    if verdicts.iter().any(|verdict| verdict.obstacle.is_none()) {
        Outcome::Done
    } else {
        Outcome::HostCannot("tracer exec does not work on this host".to_owned())
    }
}

/// Loads and attaches a family, and lets go of it again.
fn examine(hook: Hook, facts: &HostFacts) -> Verdict {
    let wishes = Wishes { hook: Some(hook), tree: true, buffer: 64 * 1024, ..Wishes::default() };
    let obstacle = match plan::exec(&wishes, facts) {
        Err(plan::CannotPlan::NoFamily(refused)) => refused.into_iter().next().map(|refusal| refusal.reason),
        Err(error) => Some(error.to_string()),
        Ok(plan) => session::start_family(&plan, facts, Precheck::Enforce, hook, &[])
            .err()
            .map(|error| error.to_string()),
    };
    Verdict { hook, obstacle }
}

/// The first family that works is the one that `--hook auto` takes.
fn chosen(verdicts: &[Verdict]) -> Option<Hook> {
    verdicts.iter().find(|verdict| verdict.obstacle.is_none()).map(|verdict| verdict.hook)
}

/// The capabilities that matter, and whether they are here.
fn capabilities(facts: &HostFacts) -> [(Capability, bool); 4] {
    [Capability::Bpf, Capability::Perfmon, Capability::SysAdmin, Capability::SysResource]
        .map(|capability| (capability, facts.has(capability)))
}

fn text(facts: &HostFacts, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing into a string does not fail.
        let _ = writeln!(out, "{name:<26} {value}");
    };
    line("kernel", &facts.release);
    line("BTF", facts.btf.as_ref().map_or_else(String::as_str, |_| "yes"));
    line("tracefs", facts.tracefs.as_deref().unwrap_or("not mounted (tracer does not need it)"));
    line("cgroups", if facts.cgroups { "yes" } else { "no: cgroup_id is not known" });
    for (capability, here) in capabilities(facts) {
        line(capability.name(), if here { "yes" } else { "no" });
    }
    line("lockdown", facts.lockdown.name());
    let number = |value: Option<i32>| value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
    line("perf_event_paranoid", &number(facts.perf_event_paranoid));
    line("unprivileged_bpf_disabled", &number(facts.unprivileged_bpf_disabled));
    let chosen = chosen(verdicts);
    for verdict in verdicts {
        let name = format!("hook {}", verdict.hook.name());
        match &verdict.obstacle {
            None if chosen == Some(verdict.hook) => line(&name, "works; --hook auto takes it"),
            None => line(&name, "works"),
            Some(obstacle) => line(&name, &format!("no: {obstacle}")),
        }
    }
    out
}

fn json(facts: &HostFacts, verdicts: &[Verdict]) -> String {
    let capabilities: serde_json::Map<_, _> =
        capabilities(facts).map(|(c, here)| (c.name().to_owned(), here.into())).into_iter().collect();
    let hooks: serde_json::Map<_, _> = verdicts
        .iter()
        .map(|v| {
            let verdict = json!({"usable": v.obstacle.is_none(), "reason": v.obstacle});
            (v.hook.name().to_owned(), verdict)
        })
        .collect();
    let doctor = json!({
        "schema": SCHEMA_VERSION,
        "type": "doctor",
        "version": env!("CARGO_PKG_VERSION"),
        "kernel": facts.release,
        "btf": facts.btf.is_ok(),
        "btf_reason": facts.btf.as_ref().err(),
        "tracefs": facts.tracefs,
        "cgroups": facts.cgroups,
        "capabilities": capabilities,
        "lockdown": facts.lockdown.name(),
        "perf_event_paranoid": facts.perf_event_paranoid,
        "unprivileged_bpf_disabled": facts.unprivileged_bpf_disabled,
        "hooks": hooks,
        "auto": chosen(verdicts).map(Hook::name),
    });
    format!("{doctor}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_valid_under_the_schema() {
        let facts = HostFacts::read().expect("this host has /proc");
        let verdicts = [
            Verdict { hook: Hook::Fentry, obstacle: Some("no".into()) },
            Verdict { hook: Hook::Tracepoint, obstacle: None },
        ];
        let schema = include_str!("../../../docs/schema/v1.json");
        let schema = serde_json::from_str(schema).expect("the schema is JSON");
        let answer = serde_json::from_str(&json(&facts, &verdicts)).expect("the answer is JSON");
        jsonschema::validate(&schema, &answer).expect("the answer is valid");
        assert_eq!(answer["auto"], "tracepoint");
        assert!(text(&facts, &verdicts).contains("hook tracepoint            works; --hook auto takes it"));
    }
}
