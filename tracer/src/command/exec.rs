//! `tracer exec`: prepare, start, trace until something ends it, end.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, RawFd},
    path::Path,
};

use super::{
    Outcome,
    common::{boot_ns, columns, facts, find, judged, open, refused, table, wall_clock},
    follow,
    run::{self, Bounds, Traced},
    show::Show,
};
use crate::{
    cli::{ExecConfig, Output as To},
    event::{Assembler, End, EndReason, EnvWanted, Start},
    plan::{self, Cgroup, Plan, Refusal, Wishes},
    session::{self, Attached, Command, Judgement, Started},
    sink::{self, Batch, Format, Sink},
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
    let plan = plan::exec(&wishes(config), &facts).map_err(|e| Outcome::HostCannot(e.to_string()))?;

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
    Ok(Prepared { plan, started, kernel: facts.release, command, output })
}

fn write_judged(path: &Path, started: &Started) -> io::Result<()> {
    let line = |judgement: &Judgement| {
        let hex: String = judgement.insns.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {hex}\n", judgement.program)
    };
    std::fs::write(path, started.attached.judged().iter().map(line).collect::<String>())
}

fn wishes(config: &ExecConfig) -> Wishes {
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
        buffer: config.buffer_bytes,
        hidden_members: config.hide_members.clone(),
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
        Format::Table => Sink::Table(Box::new(table(clock, &config.output, config.colour))),
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
        let mut show = Show::new(sink(config), assembler, self.plan.cpus, start_ns);
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
        show.sink.start(&start, &mut show.batch.bytes);
        session::memory::settle();
        let traced = Execs { show, attached: self.started.attached, to: config.output.clone(), end: None };
        let bounds =
            Bounds { duration: config.duration, count: config.count, interval: None, status: config.status };
        run::run(traced, self.output, self.command, bounds).await
    }
}

/// Executions.
struct Execs {
    show: Show,
    attached: Attached,
    to: To,
    end: Option<End>,
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
        &mut self.show.batch
    }

    fn events(&self) -> u64 {
        self.show.events()
    }

    fn refresh(&mut self) {
        self.show.sink.set_clock(wall_clock());
        self.show.sink.refresh_users();
    }

    fn tell_losses(&mut self) {
        let now = boot_ns();
        self.show.poll(&self.attached.counters(), now);
        self.show.skipped(self.attached.skipped(), now);
    }

    fn measure_terminal(&mut self) {
        self.show.sink.set_columns(columns(&self.to));
    }

    fn tree_size(&self) -> i64 {
        self.attached.tree_size()
    }

    fn detach(&mut self) {
        self.attached.detach();
    }

    fn settle(&mut self) {
        let now = boot_ns();
        self.show.settle(&self.attached.counters(), self.attached.pending_returns(), now);
        self.show.skipped(self.attached.skipped(), now);
    }

    fn end(&mut self, reason: EndReason) {
        let end = self.show.end(reason, boot_ns());
        self.show.sink.end(&end, &mut self.show.batch.bytes);
        self.end = Some(end);
    }

    fn sum_up(&mut self, delivered: u64) {
        if let Some(mut end) = self.end.take() {
            end.undelivered = end.events.saturating_sub(delivered);
            end.events -= end.undelivered;
            eprint!("tracer: {}", sink::summary(&end));
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
