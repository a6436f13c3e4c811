//! From what is wanted and what this host has to what will be loaded, with every fallback explained.
//!
//! *Invariant:* pure; the same wishes and facts give the same plan.
//!
//! *Must not know:* how a plan is carried out.

mod family;
mod offsets;
pub mod probe;
pub mod resolve;
pub mod values;

use std::fmt;

use tracer_common::{Hook, Knobs, Offsets, field, filter, follow};

pub use family::{Need, Part, SNAPSHOT, Skipped, Target, scratch_blocks};
pub use offsets::{is_member, is_of_lives, members};

use crate::{
    event::Unavailable,
    host::{Capability, HostFacts},
    verifier::btf::{Btf, Kind, Type, TypeId},
};

/// What one run of `tracer exec` wants of the kernel side.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// `None`: the cheapest that works.
    pub hook: Option<Hook>,
    pub env: bool,
    /// Longest arguments that are copied whole, in bytes; 0: no limit.
    pub max_argv_bytes: u32,
    /// Only these processes, users and names; empty: all.
    pub pids: Vec<u32>,
    pub uids: Vec<u32>,
    pub comms: Vec<[u8; 16]>,
    /// Only this cgroup, and those below it.
    pub cgroup: Option<Cgroup>,
    /// Only failed execs.
    pub failed: bool,
    /// Only these processes and their descendants.
    pub tree: bool,
    /// What is told beside executions.
    pub follow: Follow,
    /// Where processes are: the paths of control groups.
    pub places: Option<Places>,
    /// Size of the ring, in bytes: a power-of-two multiple of the page size.
    pub buffer: u32,
    /// Say what the run costs.
    pub stats: bool,
    /// Fields and events can be left out while it runs; then `stats` has to be set too.
    pub governed: bool,
    /// Structure members to treat as if this kernel lacked them.
    pub hidden_members: Vec<String>,
}

/// What is told beside executions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follow {
    /// Executions serve the table alone.
    pub no_execs: bool,
    pub forks: bool,
    pub exits: bool,
    /// Everything that the table of processes needs, and the processes that there are at the start.
    pub table: bool,
}

impl Follow {
    /// Does it take programs that see processes begin and end?
    fn any(self) -> bool {
        self.forks || self.exits || self.table
    }

    fn bits(self) -> u32 {
        let bits = [
            (!self.no_execs, follow::EXEC),
            (self.forks, follow::FORK),
            (self.exits, follow::EXIT),
            (self.table, follow::TABLE),
        ];
        bits.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum()
    }
}

/// Which hierarchies of control groups are looked at beside that of v2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Their numbers; 0: none.
    pub hierarchies: [u32; tracer_common::V1_HIERARCHIES],
}

/// The name of a thread as the kernel keeps it: at most 15 bytes, and NULs.
pub fn comm(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    comm.iter_mut().zip(name.bytes().take(15)).for_each(|(to, from)| *to = from);
    comm
}

/// A cgroup of the v2 hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cgroup {
    pub id: u64,
    /// Steps below the root.
    pub level: u32,
}

/// What will be loaded, and why.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Families to try, in this order.
    pub candidates: Vec<Hook>,
    /// Families that this host cannot use, with the reason.
    pub refused: Vec<Refusal>,
    pub offsets: Offsets,
    pub knobs: Knobs,
    /// Fields that no event will have, with the reason.
    pub unavailable: Unavailable,
    pub wishes: Wishes,
    pub cpus: u32,
    /// Of the functions that programs are attached to through trampolines, those that this kernel has, each with its
    /// type.
    functions: Vec<(&'static str, TypeId)>,
}

impl Plan {
    /// Why no path of a control group can be told, if that is so.
    pub fn no_places(&self) -> Option<String> {
        let o = &self.offsets;
        let needed = [
            o.task_cgroups,
            o.css_set_dfl_cgrp,
            o.cgroup_kn,
            o.kernfs_node_id,
            o.kernfs_node_name,
            o.kernfs_node_parent,
        ];
        if self.knobs.cgroups == 0 {
            return Some("this kernel has no control groups".to_owned());
        }
        needed
            .contains(&tracer_common::ABSENT)
            .then(|| "this kernel's BTF does not say where the paths of control groups are kept".to_owned())
    }

    /// The programs of a family that this run needs, in the order in which they are attached.
    pub fn parts(&self, hook: Hook) -> Vec<Part> {
        let wanted = |part: &&Part| match part.need {
            Need::Always => true,
            Need::Tree => self.wishes.tree,
            Need::Life => self.wishes.follow.any(),
            Need::TreeOrLife => self.wishes.tree || self.wishes.follow.any(),
            Need::Success => !self.wishes.failed,
            Need::IfThere => {
                !matches!(part.target, Target::Fexit(function) if self.type_of(function).is_none())
            }
            Need::IfLike(other) => self.are_alike(part.target, other) == Some(true),
            Need::IfUnlike(other) => self.are_alike(part.target, other) == Some(false),
        };
        family::parts(hook).iter().filter(wanted).copied().collect()
    }

    fn type_of(&self, function: &str) -> Option<TypeId> {
        self.functions.iter().find(|(name, _)| *name == function).map(|(_, proto)| *proto)
    }

    /// Whether a function is of the same type as another; `None`: this kernel does not have it.
    fn are_alike(&self, target: Target, other: &str) -> Option<bool> {
        let Target::Fexit(function) = target else { return None };
        Some(self.type_of(function)? == self.type_of(other)?)
    }
}

/// A hook family that does not work here, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub hook: Hook,
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.hook.name(), self.reason)
    }
}

/// Why no plan can be made: this host lacks something, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotPlan {
    #[error(
        "this needs {}: run it as root (sudo), or give the binary what it needs \
         (setcap cap_bpf,cap_perfmon=ep FILE)", names(.0)
    )]
    Privilege(Vec<Capability>),
    #[error("no hook family works on this host:{}", list(.0))]
    NoFamily(Vec<Refusal>),
    #[error("following a process tree is not possible on this host: {0}")]
    NoTree(String),
    #[error(
        "processes cannot be followed from their birth to their end on this host: {0}; `tracer exec` alone works"
    )]
    NoLives(String),
    /// kernel/trace/bpf_trace.c, `bpf_tracing_func_proto`: bpf_get_current_ancestor_cgroup_id is
    /// there since 5.14.
    #[error(
        "--cgroup needs Linux 5.14, and this is {0}: before, a program cannot ask for the cgroups above its own; \
         --tree, --uid and -- CMD work here"
    )]
    NoCgroupFilter(String),
}

fn names(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|c| c.name()).collect::<Vec<_>>().join(" and ")
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| format!("\n  {r}")).collect()
}

/// Plans a run of `tracer exec`.
pub fn exec(wishes: &Wishes, facts: &HostFacts) -> Result<Plan, CannotPlan> {
    let lacking = facts.lacking(&[Capability::Bpf, Capability::Perfmon]);
    if !lacking.is_empty() {
        return Err(CannotPlan::Privilege(lacking));
    }
    let (offsets, mut unavailable) = match &facts.btf {
        Ok(btf) => offsets::resolve(btf, &wishes.hidden_members),
        Err(reason) => (Offsets::absent(), offsets::nothing_known(reason)),
    };
    if !facts.cgroups {
        unavailable.add(field::CGROUP, "this kernel has no control groups");
    }
    let following = [offsets.task_pid, offsets.task_tgid, offsets.task_signal, offsets.signal_live];
    if wishes.tree && following.contains(&tracer_common::ABSENT) {
        return Err(CannotPlan::NoTree(match &facts.btf {
            Err(reason) => reason.clone(),
            Ok(_) => "its BTF does not say where a process' ids and threads are kept".to_owned(),
        }));
    }
    if wishes.cgroup.is_some() && facts.version < (5, 14) {
        return Err(CannotPlan::NoCgroupFilter(facts.release.clone()));
    }
    if wishes.follow.any() {
        let needed = [
            offsets.task_start_boottime,
            offsets.task_group_leader,
            offsets.task_real_parent,
            offsets.task_flags,
        ];
        if following.iter().chain(&needed).any(|offset| *offset == tracer_common::ABSENT) {
            return Err(CannotPlan::NoLives(match &facts.btf {
                Err(reason) => reason.clone(),
                Ok(_) => "its BTF does not say where a process' ids, start and parent are kept".to_owned(),
            }));
        }
    }
    let (mut candidates, mut refused) = families(wishes.hook, facts);
    if let Some(reason) = no_registers(facts, &offsets)
        && let Some(at) = candidates.iter().position(|hook| *hook == Hook::Kprobe)
    {
        refused.push(Refusal { hook: candidates.remove(at), reason });
    }
    if candidates.is_empty() {
        return Err(CannotPlan::NoFamily(refused));
    }
    Ok(Plan {
        candidates,
        refused,
        offsets,
        knobs: knobs(wishes, facts),
        unavailable,
        wishes: wishes.clone(),
        cpus: facts.possible_cpus,
        functions: facts.btf.as_ref().map_or_else(|_| Vec::new(), |btf| functions(btf)),
    })
}

/// Which families are worth a try, cheapest first, and why the others are not.
pub fn families(wanted: Option<Hook>, facts: &HostFacts) -> (Vec<Hook>, Vec<Refusal>) {
    let mut candidates = Vec::new();
    let mut refused = Vec::new();
    for hook in Hook::ALL {
        if wanted.is_some_and(|wanted| wanted != hook) {
            continue;
        }
        match obstacle(hook, facts) {
            None => candidates.push(hook),
            Some(reason) => refused.push(Refusal { hook, reason }),
        }
    }
    (candidates, refused)
}

/// What is known, before anything is loaded, to keep a family from working.
fn obstacle(hook: Hook, facts: &HostFacts) -> Option<String> {
    if let Some(reason) = facts.lockdown.obstacle() {
        return Some(reason.to_owned());
    }
    match hook {
        Hook::Fentry => facts.btf.as_ref().err().cloned(),
        Hook::Kprobe => (!facts.kprobe_pmu).then(|| {
            "this kernel has no kprobes (CONFIG_KPROBE_EVENTS): there is no event source 'kprobe' in sysfs".to_owned()
        }),
        Hook::Tracepoint => None,
    }
}

/// What keeps a kretprobe from the registers that a system call was made with, and so from failed
/// execs: before 5.15 (`bpf_task_pt_regs`) only the task's stack leads there.
fn no_registers(facts: &HostFacts, offsets: &Offsets) -> Option<String> {
    (facts.version < (5, 15) && offsets.task_stack == tracer_common::ABSENT).then(|| {
        let why = facts.btf.as_ref().err().map_or("its BTF has no task_struct.stack", String::as_str);
        format!("before 5.15 a failed exec's arguments are found through BTF alone: {why}")
    })
}

/// Which of the functions behind fexit programs this kernel has, and their types.
fn functions(btf: &Btf) -> Vec<(&'static str, TypeId)> {
    let names = family::parts(Hook::Fentry).iter().filter_map(|part| match part.target {
        Target::Fexit(function) => Some((Kind::Func, function)),
        _ => None,
    });
    let names: Vec<_> = names.collect();
    let found = btf.find_batch(&names);
    let of = |(name, id)| match btf.get(id?) {
        Some(Type::Func(func)) => Some((name, func.proto)),
        _ => None,
    };
    names.iter().map(|(_, name)| *name).zip(found).filter_map(of).collect()
}

fn knobs(wishes: &Wishes, facts: &HostFacts) -> Knobs {
    let mut filters = 0;
    let switches = [
        (!wishes.pids.is_empty(), filter::PID),
        (!wishes.uids.is_empty(), filter::UID),
        (!wishes.comms.is_empty(), filter::COMM),
        (wishes.cgroup.is_some(), filter::CGROUP),
        (wishes.failed, filter::FAILED),
        (wishes.tree, filter::TREE),
    ];
    for (on, bit) in switches {
        if on {
            filters |= bit;
        }
    }
    Knobs {
        filters,
        env: wishes.env.into(),
        max_argv_bytes: wishes.max_argv_bytes,
        task_pt_regs: (facts.version >= (5, 15)).into(),
        cgroups: facts.cgroups.into(),
        cgroup_level: wishes.cgroup.map_or(0, |c| c.level),
        cgroup_id: wishes.cgroup.map_or(0, |c| c.id),
        follow: wishes.follow.bits(),
        exit_says_last: (facts.version >= (6, 16)).into(),
        hierarchies: wishes.places.unwrap_or_default().hierarchies,
        governed: wishes.governed.into(),
        places: wishes.places.is_some().into(),
        // Which family it will be is not known yet.
        alive_slot: 0,
        reserved: 0,
    }
}
