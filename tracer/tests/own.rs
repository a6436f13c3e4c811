//! Our own programs on every kernel that we support, whatever the read-only globals say: the model
//! accepts each. That the kernels do so too, the guest tests show (`gate`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use tracer::{
    host::HostFacts,
    plan::{self, CannotPlan, Cgroup, Follow, Places, Wishes},
    profiles::{self, KernelProfile},
    session,
    verifier::Verdict,
};

fn facts(kernel: &KernelProfile) -> HostFacts {
    let version = (kernel.version.major.into(), kernel.version.minor.into());
    HostFacts::of_kernel(&kernel.name, version, Arc::clone(&kernel.btf), 4)
}

/// Each knob alone, all together, and each group of members absent.
fn configurations(kernel: &KernelProfile) -> Vec<(String, Wishes)> {
    let plain = Wishes { buffer: 1 << 23, ..Wishes::default() };
    let cgroup = (kernel.version.major, kernel.version.minor) >= (5, 14);
    let cgroup = cgroup.then_some(Cgroup { id: 77, level: 3 });
    let mut all = vec![
        ("plain", plain.clone()),
        ("env", Wishes { env: true, ..plain.clone() }),
        ("limited", Wishes { max_argv_bytes: 100, env: true, ..plain.clone() }),
        ("pid", Wishes { pids: vec![1, 2], ..plain.clone() }),
        ("uid", Wishes { uids: vec![0], ..plain.clone() }),
        ("comm", Wishes { comms: vec![[7; 16]], ..plain.clone() }),
        ("cgroup", Wishes { cgroup, ..plain.clone() }),
        ("failed", Wishes { failed: true, ..plain.clone() }),
        ("governed", Wishes { stats: true, governed: true, env: true, ..plain.clone() }),
        ("tree", Wishes { tree: true, ..plain.clone() }),
        ("forks", Wishes { follow: Follow { forks: true, ..Follow::default() }, ..plain.clone() }),
        (
            "exits",
            Wishes { follow: Follow { exits: true, no_execs: true, ..Follow::default() }, ..plain.clone() },
        ),
        ("table", Wishes { follow: Follow { table: true, ..Follow::default() }, ..plain.clone() }),
        ("places", Wishes { places: Some(Places { hierarchies: [0, 0] }), ..plain.clone() }),
        ("old hierarchies", Wishes { places: Some(Places { hierarchies: [3, 1] }), ..plain.clone() }),
        (
            "everything",
            Wishes {
                env: true,
                max_argv_bytes: 4096,
                pids: vec![1],
                uids: vec![0],
                comms: vec![[7; 16]],
                cgroup,
                tree: true,
                follow: Follow { forks: true, exits: true, table: true, no_execs: false },
                places: Some(Places { hierarchies: [3, 1] }),
                stats: true,
                governed: true,
                ..plain.clone()
            },
        ),
    ]
    .into_iter()
    .map(|(name, wishes)| (name.to_owned(), wishes))
    .collect::<Vec<_>>();
    for member in plan::members() {
        let mut hidden = plain.clone();
        hidden.env = true;
        // Only where it is read: a life's programs need not be judged for each member of an exec's.
        if plan::is_of_lives(&member) {
            hidden.follow = Follow { forks: true, exits: true, table: true, no_execs: true };
            hidden.places = Some(Places { hierarchies: [3, 1] });
        }
        hidden.hidden_members = vec![member.clone()];
        all.push((format!("without {member}"), hidden));
    }
    all
}

fn check(release: &str) {
    let kernel = profiles::named(release).unwrap_or_else(|error| panic!("{error}"));
    let mut judged = 0;
    for (name, wishes) in configurations(&kernel) {
        let plan = match plan::exec(&wishes, &facts(&kernel)) {
            Ok(plan) => plan,
            // Without these there is no telling processes apart.
            Err(CannotPlan::NoLives(_)) if name.starts_with("without ") => continue,
            Err(error) => panic!("{error}"),
        };
        // What is read of the structures is the same code in every family.
        let hooks = if name.starts_with("without ") { &plan.candidates[..1] } else { &plan.candidates[..] };
        for &hook in hooks {
            for judgement in session::precheck(&plan, hook, &kernel).unwrap().programs {
                judged += 1;
                if let Verdict::Reject(rejection) = &judgement.report.verdict {
                    let steps = rejection.path.iter().map(|step| format!("  {}: {}", step.insn, step.what));
                    println!("{}", steps.collect::<Vec<_>>().join("\n"));
                }
                let line = judgement.line();
                assert_eq!(judgement.accepted(), Some(true), "{release}, {name}, {}: {line}", hook.name());
            }
        }
    }
    assert!(judged > 300, "{judged} programs were judged");
}

#[test]
fn on_5_10() {
    check("5.10");
}

#[test]
fn on_6_1() {
    check("6.1");
}

#[test]
fn on_6_12() {
    check("6.12");
}

#[test]
fn on_7_2() {
    check("7.2");
}

/// The control: a helper that 5.10 does not have (a guest of it refused the program with these words).
#[test]
fn what_a_kernel_lacks_is_rejected() {
    let kernel = profiles::named("5.10").unwrap_or_else(|error| panic!("{error}"));
    let mut newer = facts(&kernel);
    newer.version = (5, 14);
    let wishes = Wishes { buffer: 1 << 23, cgroup: Some(Cgroup { id: 77, level: 3 }), ..Wishes::default() };
    let plan = plan::exec(&wishes, &newer).unwrap();
    for &hook in &plan.candidates {
        let judged = session::precheck(&plan, hook, &kernel).unwrap().programs;
        let rejected: Vec<_> = judged.iter().filter(|j| j.accepted() == Some(false)).collect();
        assert!(!rejected.is_empty(), "{}", hook.name());
        for judgement in rejected {
            assert!(judgement.line().contains("unknown func bpf_get_current_ancestor_cgroup_id#123"));
        }
    }
}
