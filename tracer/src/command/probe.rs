//! `tracer probe`: look names up, attach, show or count until something ends it.

use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use super::{
    Outcome, common, follow,
    hits::Hits,
    run::{self, Bounds, Traced},
};
use crate::{
    cli::{Output as To, ProbeConfig},
    enrich::Symbols,
    event::{Attachment, EndReason, ProbeEnd, ProbeStart},
    host::{Capability, HostFacts, names::LiveNames},
    plan::{
        probe::{Mode, Place, Point, ProbeRun},
        resolve::{self, ResolveError, Resolved},
    },
    session::{
        self, Command, LoadError,
        probe::{Attached, Failed},
    },
    sink::{self, Batch, Format, ProbeSink},
};

/// Runs `tracer probe`.
pub fn probe(config: &ProbeConfig) -> Outcome {
    for note in &config.notes {
        eprintln!("tracer: {note}");
    }
    match start(config) {
        Ok(Started::Planned(text)) => common::print(text.as_bytes()),
        Ok(Started::Prepared(prepared)) => prepared.run(config),
        Err(outcome) => outcome,
    }
}

enum Started {
    /// Nothing is to be attached: the plan.
    Planned(String),
    Prepared(Box<Prepared>),
}

/// Everything that can go wrong before a command runs has not.
struct Prepared {
    resolved: Resolved,
    attached: Attached,
    attachments: Vec<Attachment>,
    facts: HostFacts,
    command: Option<Command>,
    output: File,
    symbols: Symbols,
}

fn start(config: &ProbeConfig) -> Result<Started, Outcome> {
    let program = match &config.filters.command {
        Some(command) => Some((common::find(command)?, command.clone())),
        None => None,
    };
    let facts = common::facts()?;
    let names = LiveNames::new(facts.btf.as_ref().ok().cloned());
    let resolved = resolve::resolve(&config.specs, &config.request, &facts, &names).map_err(unresolved)?;
    if config.dry_run {
        return Ok(Started::Planned(resolved.to_string()));
    }
    for note in &resolved.notes {
        eprintln!("tracer: {note}");
    }
    let lacking = facts.lacking(&[Capability::Bpf, Capability::Perfmon]);
    if !lacking.is_empty() {
        return Err(Outcome::HostCannot(crate::plan::CannotPlan::Privilege(lacking).to_string()));
    }
    let output = common::open(&config.output)?;
    let command = match program {
        Some((path, argv)) => Some(Command::prepare(path, argv).map_err(|e| Outcome::Failed(e.to_string()))?),
        None => None,
    };
    let mut roots: Vec<u32> = command.iter().map(Command::pid).collect();
    if let Some(root) = config.filters.tree {
        roots.extend(follow::tree(root));
    }
    let run = &resolved.run;
    let mut attached = attach(run, &facts, config, &roots).map_err(common::refused)?;
    common::judged(attached.judged(), config.verbosity);
    if let Some(root) = config.filters.tree {
        // What was born between the look and the attachment; from now on the kernel side follows.
        while attached.follow(&follow::tree(root)).map_err(|e| Outcome::Failed(e.to_string()))? > 0 {}
    }
    let attachments = attachments(&run.points, attached.failed());
    tell_failed(&run.points, attached.failed());
    if config.verbosity > 0 {
        for (point, how) in run.points.iter().zip(&resolved.how) {
            eprintln!("tracer: {}: {how}", point.name);
        }
    }
    // Addresses are shown to the privileged alone, so symbols are read now, if stacks are to be shown.
    let stacks = run.stacks.kernel || run.stacks.user;
    let symbols = if stacks { Symbols::of_this_host() } else { Symbols::default() };
    let mut kept = Vec::new();
    // Before 5.19 (kernel/bpf/syscall.c, `bpf_sys_bpf`), maps are read by the privileged alone.
    if matches!(run.mode, Mode::Aggregate(_)) && facts.version < (5, 19) {
        kept.push(Capability::Bpf);
    }
    // What is mapped into other users' processes is shown to nobody else (ptrace(2), PTRACE_MODE_READ).
    if run.stacks.user {
        kept.push(Capability::SysPtrace);
    }
    session::keep_only(&kept).map_err(|e| Outcome::Failed(format!("privilege cannot be dropped: {e}")))?;
    Ok(Started::Prepared(Box::new(Prepared {
        resolved,
        attached,
        attachments,
        facts,
        command,
        output,
        symbols,
    })))
}

/// How long attaching may take before a terminal is told how far it is.
const SOON: Duration = Duration::from_millis(500);

/// Attaches; where that takes a while, a terminal sees how far it is.
fn attach(
    run: &ProbeRun,
    facts: &HostFacts,
    config: &ProbeConfig,
    roots: &[u32],
) -> Result<Attached, LoadError> {
    let terminal = io::stderr().is_terminal();
    let (began, points) = (Instant::now(), run.points.len());
    let mut shown = false;
    let mut progress = |done: usize| {
        if terminal && points > 1 && began.elapsed() > SOON {
            eprint!("\r{}", bar(done, points));
            shown = true;
        }
    };
    let attached = session::probe::start_telling(run, facts, config.precheck, roots, &mut progress);
    if shown {
        // The line is the user's again.
        eprint!("\r{:width$}\r", "", width = bar(points, points).len());
    }
    attached
}

/// `attaching [#####     ] 100 of 200`
fn bar(done: usize, of: usize) -> String {
    const WIDTH: usize = 30;
    let full = done.min(of) * WIDTH / of.max(1);
    let width = of.to_string().len();
    format!("attaching [{:<WIDTH$}] {done:>width$} of {of}", "#".repeat(full))
}

fn unresolved(error: ResolveError) -> Outcome {
    match error {
        ResolveError::Host(reason) => Outcome::HostCannot(reason),
        other => Outcome::Usage(other.to_string()),
    }
}

fn attachments(points: &[Point], failed: &[Failed]) -> Vec<Attachment> {
    let by = |point: &Point| match point.place {
        Place::Kprobe { multi: true, .. } => "kprobe_multi",
        _ => point.place.kind(),
    };
    let mut all: Vec<_> = points.iter().map(|point| Attachment::By(by(point))).collect();
    for failure in failed {
        if let Some(attachment) = all.get_mut(failure.point as usize) {
            *attachment = Attachment::Failed(failure.reason.clone());
        }
    }
    all
}

/// How many points that could not be attached are told one by one.
const TOLD: usize = 10;

fn tell_failed(points: &[Point], failed: &[Failed]) {
    for failure in failed.iter().take(TOLD) {
        let name = points.get(failure.point as usize).map_or("", |point| &point.name);
        eprintln!("tracer: {name} is not attached: {}", failure.reason);
    }
    if failed.len() > TOLD {
        eprintln!(
            "tracer: {} more are not attached; the start record of --format json has them all",
            failed.len() - TOLD
        );
    }
}

impl Prepared {
    fn run(self, config: &ProbeConfig) -> Outcome {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Outcome::Failed(format!("no event loop: {error}")),
        };
        match runtime.block_on(self.trace(config)) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    async fn trace(self, config: &ProbeConfig) -> io::Result<Outcome> {
        let start_ns = common::boot_ns();
        let clock = common::wall_clock();
        let sink = match config.format {
            Format::Json => ProbeSink::json(clock, self.symbols),
            // Hits have no tree.
            Format::Table | Format::Tree => {
                ProbeSink::table(common::table(clock, &config.output, config.colour), self.symbols)
            }
        };
        let Resolved { run, .. } = self.resolved;
        let specs: Vec<String> = config.specs.iter().map(|spec| spec.text.clone()).collect();
        let mut hits = Hits::new(sink, run, self.facts.possible_cpus, start_ns, config.top);
        hits.start(&ProbeStart {
            boot_ns: start_ns,
            version: env!("CARGO_PKG_VERSION"),
            kernel: &self.facts.release,
            specs: &specs,
            run: &hits.run().clone(),
            attachments: &self.attachments,
            filters: &config.filters,
        });
        session::memory::settle();
        let traced = Probes { hits, attached: self.attached, to: config.output.clone(), end: None };
        let bounds = Bounds {
            duration: config.duration,
            count: config.events,
            interval: config.interval,
            status: config.status,
            buffer_bytes: config.request.buffer,
        };
        run::run(traced, self.output, self.command, bounds).await
    }
}

/// Hits of probes.
struct Probes {
    hits: Hits,
    attached: Attached,
    to: To,
    end: Option<ProbeEnd>,
}

impl AsRawFd for Probes {
    fn as_raw_fd(&self) -> RawFd {
        self.attached.as_raw_fd()
    }
}

impl Probes {
    /// Shows what was counted since the last time.
    fn counted(&mut self) {
        match self.attached.aggregates() {
            Ok(rows) => self.hits.aggregate(&rows, self.attached.totals().keys_full, common::boot_ns()),
            Err(error) => eprintln!("tracer: the counts cannot be read: {error}"),
        }
    }

    fn aggregates(&self) -> bool {
        matches!(self.hits.run().mode, Mode::Aggregate(_))
    }
}

impl Traced for Probes {
    fn take(&mut self, most: usize) -> usize {
        let (now, hits) = (common::boot_ns(), &mut self.hits);
        self.attached.drain(most, |record, dropped| hits.record(record, dropped, now))
    }

    fn batch(&mut self) -> &mut Batch {
        &mut self.hits.batch
    }

    fn events(&self) -> u64 {
        self.hits.events()
    }

    fn refresh(&mut self) {
        self.hits.sink.set_clock(common::wall_clock());
        self.hits.sink.refresh_users();
    }

    fn tell_losses(&mut self) {
        let now = common::boot_ns();
        self.hits.withheld(&self.attached.totals(), now);
        self.hits.poll(&self.attached.counters(), now);
        self.hits.skipped(self.attached.skipped(), now);
    }

    fn interval(&mut self) {
        if self.aggregates() {
            self.counted();
        }
    }

    fn measure_terminal(&mut self) {
        self.hits.sink.set_columns(common::columns(&self.to));
    }

    fn tree_size(&self) -> i64 {
        self.attached.tree_size()
    }

    fn detach(&mut self) {
        self.attached.detach();
    }

    fn settle(&mut self) {
        let now = common::boot_ns();
        self.hits.withheld(&self.attached.totals(), now);
        self.hits.settle(&self.attached.counters(), now);
        self.hits.skipped(self.attached.skipped(), now);
    }

    fn end(&mut self, reason: EndReason) {
        if self.aggregates() {
            self.counted();
        }
        let end = self.hits.end(reason, &self.attached.totals(), common::boot_ns());
        self.hits.sink.end(&end, &mut self.hits.batch.bytes);
        self.end = Some(end);
    }

    fn sum_up(&mut self, delivered: u64) {
        if let Some(mut end) = self.end.take() {
            end.undelivered = end.events.saturating_sub(delivered);
            end.events -= end.undelivered;
            eprint!("tracer: {}", sink::probe_summary(&end));
        }
        let full = self.attached.counters().tree_full();
        if full > 0 {
            eprintln!("tracer: {full} processes were not followed: the table of the tree was full");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_keeps_its_length() {
        assert_eq!(bar(0, 200), "attaching [                              ]   0 of 200");
        assert_eq!(bar(100, 200), "attaching [###############               ] 100 of 200");
        assert_eq!(bar(200, 200).len(), bar(1, 200).len());
        assert_eq!(bar(0, 0).len(), "attaching [] 0 of 0".len() + 30);
    }
}
