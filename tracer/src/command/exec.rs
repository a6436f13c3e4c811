//! `tracer exec`: prepare, start, trace until something ends it, end.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, RawFd},
    path::Path,
};

use tracer_common::V1_HIERARCHIES;

use super::{
    Outcome,
    common::{boot_ns, columns, facts, find, judged, open, refused, table, wall_clock},
    follow,
    load::Load,
    run::{self, Bounds, Traced},
    show::{Show, Shown, Teller},
};
use crate::{
    cli::{ExecConfig, Generations, Output as To, StatsWanted},
    event::{Assembler, End, EndReason, EnvWanted, Start},
    host,
    place::Places,
    plan::{self, Cgroup, Plan, Refusal, Wishes},
    process::{self, ProcessTable},
    session::{self, Attached, Command, Judgement, Started},
    sink::{self, Batch, Format, Sink, Tree},
};

/// Runs `tracer exec`.
pub fn exec(config: &ExecConfig) -> Outcome {
    for note in &config.notes {
        eprintln!("tracer: {note}");
    }
    match prepare(config).and_then(|prepared| prepared.run(config)) {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

/// Everything that can go wrong before a command runs has not.
struct Prepared {
    plan: Plan,
    started: Started,
    kernel: String,
    command: Option<Command>,
    output: File,
    places: Option<Places>,
}

fn prepare(config: &ExecConfig) -> Result<Prepared, Outcome> {
    if let Some(unknown) = config.hide_members.iter().find(|name| !plan::is_member(name)) {
        return Err(Outcome::Usage(format!("--hide-member {unknown}: tracer does not read it")));
    }
    let program = match config.command() {
        Some(command) => Some(find(command)?),
        None => None,
    };
    let output = open(&config.output)?;
    let facts = facts()?;
    let hierarchies = match &config.places {
        Some(_) => Some(host::v1_hierarchies().map_err(|e| {
            Outcome::HostCannot(format!(
                "/proc/self/cgroup cannot be read: {e}; --place=never works without it"
            ))
        })?),
        None => None,
    };
    let plan =
        plan::exec(&wishes(config, hierarchies), &facts).map_err(|e| Outcome::HostCannot(e.to_string()))?;

    let command = match (program, config.command()) {
        (Some(program), Some(argv)) => {
            Some(Command::prepare(program, argv.to_vec()).map_err(|e| Outcome::Failed(e.to_string()))?)
        }
        _ => None,
    };
    let mut roots: Vec<u32> = command.iter().map(Command::pid).collect();
    if let Some(root) = config.filters.tree {
        roots.extend(follow::tree(root));
    }
    let mut started = session::start(&plan, &facts, config.precheck, &roots).map_err(refused)?;
    judged(started.attached.judged(), config.verbosity);
    if let Some(path) = &config.judged_insns {
        write_judged(path, &started)
            .map_err(|e| Outcome::Failed(format!("--judged-insns {}: {e}", path.display())))?;
    }
    if let Some(root) = config.filters.tree {
        // What was born between the look and the attachment; from now on the kernel side follows.
        while started.attached.follow(&follow::tree(root)).map_err(|e| Outcome::Failed(e.to_string()))? > 0 {}
    }
    session::drop_all().map_err(|e| Outcome::Failed(format!("privilege cannot be dropped: {e}")))?;
    if config.verbosity > 0 {
        eprintln!("tracer: {}", reason(config, &started));
        for (field, reason) in plan.unavailable.iter() {
            eprintln!("tracer: no event will have {field}: {reason}");
        }
    }
    let places = hierarchies.map(|hierarchies| match plan.no_places() {
        Some(reason) => Places::unavailable(reason),
        None => Places::new(hierarchies),
    });
    Ok(Prepared { plan, started, kernel: facts.release, command, output, places })
}

fn write_judged(path: &Path, started: &Started) -> io::Result<()> {
    let line = |judgement: &Judgement| {
        let hex: String = judgement.insns.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {hex}\n", judgement.program)
    };
    std::fs::write(path, started.attached.judged().iter().map(line).collect::<String>())
}

fn wishes(config: &ExecConfig, hierarchies: Option<[u32; V1_HIERARCHIES]>) -> Wishes {
    let filters = &config.filters;
    Wishes {
        hook: config.hook,
        env: config.env != EnvWanted::None,
        max_argv_bytes: config.limits.max_bytes.map_or(0, std::num::NonZeroU32::get),
        pids: filters.pids.clone(),
        uids: filters.uids.clone(),
        comms: filters.comms.iter().map(|name| plan::comm(name)).collect(),
        cgroup: filters.cgroup.as_ref().map(|c| Cgroup { id: c.id, level: c.level }),
        failed: filters.failed,
        tree: filters.tree.is_some() || filters.command.is_some(),
        follow: follow(config),
        places: hierarchies.map(|hierarchies| plan::Places { hierarchies }),
        buffer: config.buffer_bytes,
        stats: config.stats != StatsWanted::Never || config.max_overhead.is_some(),
        governed: config.max_overhead.is_some(),
        hidden_members: config.hide_members.clone(),
    }
}

/// What the kernel side tells beside executions.
fn follow(config: &ExecConfig) -> plan::Follow {
    let story = &config.story;
    plan::Follow {
        no_execs: !(story.execs || story.lives || config.format == Format::Tree),
        // Of whom nothing but the birth was seen, the life is told too.
        forks: story.forks || story.lives,
        exits: story.exits || story.lives,
        table: story.needs_table(config.format),
    }
}

/// Why this hook.
fn reason(config: &ExecConfig, started: &Started) -> String {
    let hook = started.attached.hook().name();
    if config.hook.is_some() {
        return format!("{hook}: asked for");
    }
    if started.refused.is_empty() {
        return format!("{hook}: the cheapest that there is");
    }
    let others: Vec<_> = started.refused.iter().map(Refusal::to_string).collect();
    format!("{hook}: the cheapest that works here; not {}", others.join("; not "))
}

fn sink(config: &ExecConfig) -> Sink {
    let clock = wall_clock();
    match config.format {
        Format::Json => Sink::Json(clock),
        Format::Table => {
            let table = table(clock, &config.output, config.colour);
            Sink::Table(Box::new(if config.places.is_some() { table.with_places() } else { table }))
        }
        Format::Tree => Sink::Tree(Box::new(Tree::new(table(clock, &config.output, config.colour)))),
    }
}

/// What of all that arrives is shown.
fn shown(config: &ExecConfig) -> Shown {
    let story = &config.story;
    Shown {
        execs: story.execs,
        forks: story.forks,
        exits: story.exits,
        lives: story.lives,
        ancestors: story.ancestors.map(|generations| match generations {
            Generations::All => usize::MAX,
            Generations::Most(most) => most.get() as usize,
        }),
        branches: config.format == Format::Tree,
        places: config.places.clone().unwrap_or_default(),
    }
}

fn table_of(config: &ExecConfig) -> Option<ProcessTable> {
    let processes = config.story.max_processes as usize;
    let limits = process::Limits { processes, ..process::Limits::default() };
    config.story.needs_table(config.format).then(|| ProcessTable::new(limits))
}

/// Tells the table which processes there are.
fn snapshot(attached: &mut Attached, show: &mut Show) {
    let now = boot_ns();
    match attached.snapshot(|record, dropped| show.record(record, dropped, now)) {
        None => {}
        Some(Ok(counts)) if counts.dropped == 0 => {}
        Some(Ok(counts)) => eprintln!(
            "tracer: {} of the processes that were there before the trace found no room: a larger --buffer holds them",
            counts.dropped
        ),
        Some(Err(reason)) => {
            show.teller.no_snapshot();
            eprintln!("tracer: processes that were there before the trace are not known: {reason}");
        }
    }
}

impl Prepared {
    fn run(self, config: &ExecConfig) -> Result<Outcome, Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Outcome::Failed(format!("no event loop: {e}")))?;
        runtime.block_on(self.trace(config)).map_err(|e| Outcome::Failed(e.to_string()))
    }

    async fn trace(self, config: &ExecConfig) -> io::Result<Outcome> {
        let start_ns = boot_ns();
        let assembler = Assembler::new(config.limits, config.env.clone(), self.plan.unavailable.clone());
        let teller =
            Teller::new(sink(config), shown(config), table_of(config), self.places, self.plan.cpus, start_ns);
        let mut show = Show::new(assembler, teller);
        let start = Start {
            boot_ns: start_ns,
            version: env!("CARGO_PKG_VERSION"),
            kernel: &self.kernel,
            hook: self.started.attached.hook(),
            hook_reason: &reason(config, &self.started),
            filters: &config.filters,
            buffer_bytes: u64::from(config.buffer_bytes),
            unavailable: &self.plan.unavailable,
        };
        show.teller.sink.start(&start, &mut show.teller.batch.bytes);
        let mut attached = self.started.attached;
        snapshot(&mut attached, &mut show);
        session::memory::settle();
        let load = Load::new(config, &self.plan, &attached);
        let traced = Execs {
            show,
            attached,
            load,
            to: config.output.clone(),
            tree: self.plan.wishes.tree,
            ticks: 0,
            end: None,
        };
        let interval = match config.stats {
            StatsWanted::Every(interval) => Some(interval),
            StatsWanted::Never | StatsWanted::AtEnd => None,
        };
        let bounds = Bounds {
            duration: config.duration,
            count: config.count,
            interval,
            status: config.status,
            buffer_bytes: config.buffer_bytes,
        };
        run::run(traced, self.output, self.command, bounds).await
    }
}

/// Executions.
struct Execs {
    show: Show,
    attached: Attached,
    /// If anybody asked what the run costs.
    load: Option<Load>,
    to: To,
    /// Only a tree of processes is traced.
    tree: bool,
    /// How often losses were looked for.
    ticks: u32,
    end: Option<End>,
}

/// What was skipped is looked for at every third tick, and so told within a second: it takes a read of /proc for each
/// program, which at rest is most of what a run costs.
const SKIPPED_EVERY: u32 = 3;

impl Execs {
    /// Where nobody follows processes, /proc need not be asked for their births and ends; of a tree, one whose birth was
    /// not seen is missing, with all that it executes.
    fn tell_skipped(&mut self, now_ns: u64) {
        let lives = match (self.show.teller.follows(), self.tree) {
            (true, _) => self.attached.skipped_lives(),
            (false, true) => (self.attached.skipped_lives().0, 0),
            (false, false) => (0, 0),
        };
        self.show.teller.skipped(self.attached.skipped(), lives, now_ns);
    }
}

impl AsRawFd for Execs {
    fn as_raw_fd(&self) -> RawFd {
        self.attached.as_raw_fd()
    }
}

impl Traced for Execs {
    fn take(&mut self, most: usize) -> usize {
        let (now, show) = (boot_ns(), &mut self.show);
        self.attached.drain(most, |record, dropped| show.record(record, dropped, now))
    }

    fn batch(&mut self) -> &mut Batch {
        &mut self.show.teller.batch
    }

    fn events(&self) -> u64 {
        self.show.teller.events()
    }

    fn refresh(&mut self) {
        self.show.teller.sink.set_clock(wall_clock());
        self.show.teller.sink.refresh_users();
        if let Some(load) = &mut self.load {
            load.look(&mut self.attached, &mut self.show.teller);
        }
    }

    fn tell_losses(&mut self) {
        let now = boot_ns();
        self.show.teller.poll(&self.attached.counters(), now);
        self.ticks += 1;
        if self.ticks.is_multiple_of(SKIPPED_EVERY) {
            self.tell_skipped(now);
        }
    }

    fn interval(&mut self) {
        if let Some(load) = &mut self.load {
            load.tell(&self.attached, &mut self.show.teller);
        }
    }

    fn measure_terminal(&mut self) {
        self.show.teller.sink.set_columns(columns(&self.to));
    }

    fn tree_size(&self) -> i64 {
        let counted = self.attached.tree_size();
        // Whose end the kernel skipped, nobody took out.
        if counted > 0
            && self.attached.skipped_lives().1 > 0
            && let Ok(tree) = self.attached.tree()
        {
            return tree.into_iter().filter(|pid| follow::runs(*pid)).count() as i64;
        }
        counted
    }

    fn detach(&mut self) {
        self.attached.detach();
    }

    fn settle(&mut self) {
        let now = boot_ns();
        self.show.teller.settle(&self.attached.counters(), self.attached.pending_returns(), now);
        self.tell_skipped(now);
    }

    fn end(&mut self, reason: EndReason) {
        if let Some(load) = &mut self.load {
            load.finish(&self.attached, &mut self.show.teller);
        }
        let mut end = self.show.teller.end(reason, boot_ns());
        if let Some(load) = &self.load {
            end.accounts = load.accounts(&self.attached, &self.show.teller);
        }
        self.show.teller.sink.end(&end, &mut self.show.teller.batch.bytes);
        self.end = Some(end);
    }

    fn sum_up(&mut self, delivered: u64) {
        if let Some(mut end) = self.end.take() {
            let lines = end.events + end.followed.map_or(0, |f| f.forks + f.exits + f.lives);
            end.undelivered = lines.saturating_sub(delivered);
            if end.followed.is_none() {
                end.events -= end.undelivered;
            }
            eprint!("tracer: {}", sink::summary(&end));
        }
        if let Some(summary) = self.load.as_ref().and_then(Load::summary) {
            eprint!("tracer: {summary}");
        }
        let unseen = self.attached.unseen_returns();
        if unseen > 0 {
            eprintln!(
                "tracer: the kernel did not show the returns of {unseen} system calls: failed execs may be among \
                 them; --hook kprobe sees them all"
            );
        }
        let full = self.attached.counters().tree_full();
        if full > 0 {
            eprintln!("tracer: {full} processes were not followed: the table of the tree was full");
        }
    }
}
