//! What the kernel side is told about a run: its switches, its points, the sizes of its maps.
//!
//! *Invariant:* makes no system call, and reads no file.

use tracer_common::{
    ABSENT, Offsets,
    aggregate::{Calls, ProbeKnobs, mode, run as flag},
    filter,
    probe::{Fetch, MAX_FRAMES, MAX_VALUES, PointSpec, Probe, fetch, operand, point, read},
};

use crate::{
    object::KernelVersion,
    plan::probe::{Ends, Measure, Mode, Place, Point, ProbeRun},
};

use super::super::kernel_side::Kernel;

/// Bytes that are kept for what was read at the entry of calls under way, at the most.
const MOST_SAVED: u32 = 32 << 20;
/// Numbers of system calls are below this.
pub(super) const MAX_SYSCALLS: u32 = 1024;
/// Blocks of working memory where programs nest (tracer-ebpf, `probe/scratch.rs`).
const BLOCKS: u32 = 8;
/// How many buckets of a histogram a key has on the average, for the size of a map.
const BUCKETS: u32 = 16;

/// Since when an atomic instruction can fetch, and programs are kept from nesting in themselves.
pub(super) const ATOMICS: KernelVersion = KernelVersion::new(5, 12, 0);
/// Since when a kprobe's or tracepoint's attachment has a cookie.
pub(super) const COOKIES: KernelVersion = KernelVersion::new(5, 15, 0);
/// Since when fprobes are built on the function graph, which keeps no stack pointer for a return.
pub(super) const GRAPH: KernelVersion = KernelVersion::new(6, 14, 0);

/// What the kernel side is told about a run.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) knobs: ProbeKnobs,
    pub(super) offsets: Offsets,
    /// In the order of the run's points; empty if nobody reads them.
    pub(super) points: Vec<PointSpec>,
    pub(super) sizes: Sizes,
    /// Which moments of each point are attached.
    pub(super) ends: Vec<Ends>,
}

/// Sizes of maps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) ring: u32,
    pub(super) cpus: u32,
    /// Numbers in the map `COUNTS`.
    pub(super) counts: u32,
    pub(super) points: u32,
    pub(super) groups: u32,
    pub(super) calls: u32,
    pub(super) saved: u32,
    pub(super) syscalls: u32,
}

impl Settings {
    /// `tasks`: about how many tasks this host has.
    pub(super) fn of(run: &ProbeRun, kernel: &Kernel<'_>, has_cgroups: bool, tasks: u32) -> Self {
        let mode = mode_of(run);
        let ends: Vec<Ends> = run.points.iter().map(|point| ends_of(point, mode)).collect();
        let paired = ends.contains(&Ends::Both);
        let offsets = offsets(kernel);
        let mut knobs = ProbeKnobs {
            filters: filters(run),
            mode,
            flags: 0,
            sample: run.sample.get(),
            rate: run.rate.map_or(0, |rate| rate.get()),
            points: run.points.len() as u32,
            counts_mask: 0,
            counts_stride: 0,
            saved: if paired { saved(run, &ends, mode) } else { 0 },
            blocks: if kernel.version >= ATOMICS { BLOCKS } else { 1 },
            cgroup_level: run.who.cgroup.map_or(0, |cgroup| cgroup.level),
            task_status: offsets.task_thread_info_status,
            cgroup_id: run.who.cgroup.map_or(0, |cgroup| cgroup.id),
            linear_from: 0,
            linear_step: 1,
            linear_buckets: 0,
        };
        let stream = mode == mode::STREAM;
        let switches = [
            (stream && run.stacks.kernel, flag::KERNEL_STACK),
            (stream && run.stacks.user, flag::USER_STACK),
            (run.points.iter().any(|point| !point.values.is_empty()), flag::VALUES),
            (run.points.iter().any(|point| point.filter.len != 0), flag::FILTER),
            (has_cgroups, flag::CGROUPS),
            (kernel.version >= ATOMICS, flag::FETCH_ADD),
            (paired, flag::PAIRS),
        ];
        knobs.flags = switches.iter().filter(|(on, _)| *on).fold(0, |bits, (_, bit)| bits | bit);
        let mut groups = 1;
        if let Mode::Aggregate(aggregation) = &run.mode {
            let buckets = match &aggregation.measure {
                Measure::Count => 1,
                Measure::Log2(_) => BUCKETS,
                Measure::Linear { from, step, buckets, .. } => {
                    knobs.linear_from = from.cast_unsigned();
                    knobs.linear_step = step.get().into();
                    knobs.linear_buckets = (*buckets).into();
                    (buckets + 2).min(BUCKETS)
                }
            };
            if mode != mode::COUNT {
                // Without keys there is one per point.
                let keys = if aggregation.keys.is_empty() { knobs.points } else { aggregation.max_keys };
                groups = keys.max(1).saturating_mul(buckets);
            }
        }
        let count = run.points.len() as u32;
        let counts = Counts::of(if mode == mode::COUNT { count } else { 0 }, kernel.possible_cpus);
        (knobs.counts_mask, knobs.counts_stride) = (counts.rows - 1, counts.stride);
        let cpus = kernel.possible_cpus;
        let saved_size = knobs.saved.max(8);
        let any_syscall = run.points.iter().any(|point| matches!(point.place, Place::Syscall { .. }));
        let sizes = Sizes {
            ring: run.buffer,
            cpus,
            counts: counts.rows * counts.stride,
            points: if mode == mode::COUNT { 1 } else { count.max(1) },
            groups,
            calls: if paired { tasks.saturating_mul(2).clamp(4096, 65536) } else { 1 },
            saved: if knobs.saved != 0 { (MOST_SAVED / saved_size).clamp(1024, 16384) } else { 1 },
            syscalls: if any_syscall { MAX_SYSCALLS } else { 1 },
        };
        let points = match mode {
            mode::COUNT => Vec::new(),
            _ => run.points.iter().zip(&ends).map(|(point, ends)| spec(point, *ends)).collect(),
        };
        Self { knobs, offsets, points, sizes, ends }
    }
}

/// The shape of the map `COUNTS`: a row for each CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// A power of two. CPUs may share one.
    rows: u32,
    /// Numbers in a row.
    stride: u32,
}

impl Counts {
    /// Longest value that every kernel lets an array have (kernel/bpf/arraymap.c of 5.10, `array_map_alloc_check`).
    const MOST: u32 = (4 << 20) / 8;
    /// Numbers in a line of cache.
    const LINE: u32 = 8;

    fn of(points: u32, cpus: u32) -> Self {
        let stride = points.max(1).next_multiple_of(Self::LINE);
        let most = (Self::MOST / stride).max(1);
        // The largest power of two that there is room for.
        let rows = cpus.max(1).next_power_of_two().min(1 << most.ilog2());
        Self { rows, stride }
    }
}

const _: () = assert!(size_of::<Calls>() < 1024);

/// A count without keys and filters over values needs no more than a number per point.
fn mode_of(run: &ProbeRun) -> u32 {
    let Mode::Aggregate(aggregation) = &run.mode else { return mode::STREAM };
    match aggregation.measure {
        Measure::Log2(_) => mode::LOG2,
        Measure::Linear { .. } => mode::LINEAR,
        Measure::Count => {
            let filtered = run.points.iter().any(|point| point.filter.len != 0);
            if aggregation.keys.is_empty() && !filtered && run.sample.get() == 1 {
                mode::COUNT
            } else {
                mode::GROUP
            }
        }
    }
}

/// Calls that are only counted are counted at their entry, which the kernel never fails to show.
fn ends_of(point: &Point, mode: u32) -> Ends {
    match (&point.place, point.ends) {
        (Place::Tracepoint { .. } | Place::RawTracepoint { .. }, _) => Ends::Entry,
        (_, Ends::Both) if mode == mode::COUNT => Ends::Entry,
        (_, ends) => ends,
    }
}

fn filters(run: &ProbeRun) -> u32 {
    let who = &run.who;
    let switches = [
        (!who.pids.is_empty(), filter::PID),
        (!who.uids.is_empty(), filter::UID),
        (!who.comms.is_empty(), filter::COMM),
        (who.cgroup.is_some(), filter::CGROUP),
        (who.tree, filter::TREE),
    ];
    switches.iter().filter(|(on, _)| *on).fold(0, |bits, (_, bit)| bits | bit)
}

/// Bytes of a record that its entry has to hand to its return; 0: none but who and when, which both know.
fn saved(run: &ProbeRun, ends: &[Ends], mode: u32) -> u32 {
    let stacks = match mode {
        mode::STREAM => u32::from(run.stacks.kernel) + u32::from(run.stacks.user),
        _ => 0,
    };
    let at_entry = |fetch: &&Fetch| fetch.flags & fetch::AT_RETURN == 0;
    let paired = run.points.iter().zip(ends).filter(|(_, ends)| **ends == Ends::Both);
    let texts = paired.clone().map(|(point, _)| {
        let fetches = point.values.iter().map(|value| &value.fetch).filter(at_entry);
        fetches.filter(|fetch| fetch.read >= read::TEXT).map(|fetch| u32::from(fetch.limit)).sum::<u32>()
    });
    let texts = texts.max().unwrap_or(0);
    let values = paired.flat_map(|(point, _)| &point.values).any(|value| at_entry(&&value.fetch));
    if stacks == 0 && !values {
        return 0;
    }
    (size_of::<Probe>() as u32 + stacks * (MAX_FRAMES as u32 * 8) + texts).next_multiple_of(8)
}

/// What is read, and tested, at one point.
fn spec(point: &Point, ends: Ends) -> PointSpec {
    let mut spec = PointSpec {
        values: point.values.len().min(MAX_VALUES) as u32,
        keys: [operand::CONSTANT; 4],
        measure: point.measure.unwrap_or(operand::CONSTANT),
        filter: point.filter,
        ..PointSpec::default()
    };
    if ends == Ends::Both {
        spec.flags |= point::PAIRED;
        if point.filter_at_entry {
            spec.flags |= point::FILTER_AT_ENTRY;
        }
    }
    spec.keys.iter_mut().zip(&point.keys).for_each(|(to, from)| *to = *from);
    spec.fetches.iter_mut().zip(&point.values).for_each(|(to, from)| *to = from.fetch);
    spec
}

/// Where the members lie that the tree, and the convention of a system call, are told from.
fn offsets(kernel: &Kernel<'_>) -> Offsets {
    let mut offsets = Offsets::absent();
    let Some(btf) = kernel.btf else { return offsets };
    let wanted = [
        ("task_struct", "pid"),
        ("task_struct", "tgid"),
        ("task_struct", "signal"),
        ("signal_struct", "live"),
        ("task_struct", "thread_info.status"),
    ];
    let found = btf.field_batch(&wanted);
    let at = |i: usize| found.get(i).and_then(Option::as_ref).map_or(ABSENT, |place| place.offset_bytes);
    offsets.task_pid = at(0);
    offsets.task_tgid = at(1);
    offsets.task_signal = at(2);
    offsets.signal_live = at(3);
    offsets.task_thread_info_status = at(4);
    offsets
}
