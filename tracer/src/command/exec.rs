//! `tracer exec`: prepare, start, trace until something ends it, end.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, IsTerminal},
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{Outcome, follow, show::Show};
use crate::{
    cli::{ExecConfig, Output as To, StatusPolicy},
    enrich::{self, LookupError, Users},
    event::{Assembler, EndReason, EnvWanted, Start, WallClock},
    host::HostFacts,
    plan::{self, Cgroup, Plan, Refusal, Wishes},
    session::{self, Attached, Cause, Command, Judgement, LoadError, Started},
    sink::{self, Batch, Failure, Format, Look, Output, Sink, Table},
};

/// How often counters are looked at. Losses are told within a second.
const TICK: Duration = Duration::from_millis(250);
/// How long the end waits for an output that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes after which a batch is handed to the output.
const BATCH_BYTES: usize = 128 * 1024;
/// Records that are taken from the ring before anything else is looked at.
const RECORDS: usize = 512;
/// When the last descendants of a command that has ended are waited for, the user is told.
const TELL_AFTER: Duration = Duration::from_secs(2);

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
    let facts = HostFacts::read()
        .map_err(|e| Outcome::HostCannot(format!("this host cannot be looked at: {e}; is /proc mounted?")))?;
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
    judged(config, &started);
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

fn refused(error: LoadError) -> Outcome {
    let message = error.to_string();
    match error.cause() {
        Cause::Host => Outcome::HostCannot(message),
        Cause::Precheck => Outcome::PrecheckRefuses(message),
        Cause::Disagreement => Outcome::KernelDisagrees(message),
    }
}

/// Tells where the pre-check and the kernel, which took every program, do not agree.
fn judged(config: &ExecConfig, started: &Started) {
    let judged = started.attached.judged();
    for judgement in judged {
        match judgement.accepted() {
            Some(true) => {}
            Some(false) => eprintln!(
                "tracer: pre-check: {}. The kernel takes it: a fault of tracer's model, please report it",
                judgement.line()
            ),
            None => eprintln!("tracer: pre-check: {}. The kernel takes it", judgement.line()),
        }
    }
    if config.verbosity > 0 && !judged.is_empty() {
        let elapsed: Duration = judged.iter().map(|judgement| judgement.elapsed).sum();
        let insns: u64 = judged.iter().map(|j| u64::from(j.report.stats.insns_processed)).sum();
        eprintln!(
            "tracer: pre-check: {} programs, {insns} instructions processed in {:.1} ms",
            judged.len(),
            elapsed.as_secs_f64() * 1e3
        );
    }
}

fn find(command: &[OsString]) -> Result<std::path::PathBuf, Outcome> {
    let name = command.first().cloned().unwrap_or_default();
    let path = std::env::var_os("PATH");
    enrich::find_command(&name, path.as_deref(), enrich::probe).map_err(|error| {
        eprintln!("tracer: {error}");
        Outcome::Status(match error {
            LookupError::NotFound(_) => 127,
            LookupError::NotExecutable(_) => 126,
        })
    })
}

fn open(to: &To) -> Result<File, Outcome> {
    match to {
        To::Stdout => sink::stdout()
            .map_err(|e| Outcome::Usage(format!("standard output cannot be written to: {e}; use -o FILE"))),
        To::File(path) => {
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(|e| {
                Outcome::Usage(format!(
                    "-o {}: cannot be written: {e}; name a file in a directory that you may write to",
                    path.display()
                ))
            })
        }
    }
}

fn wishes(config: &ExecConfig) -> Wishes {
    let filters = &config.filters;
    let comm = |name: &String| {
        let mut comm = [0; 16];
        comm.iter_mut().zip(name.bytes().take(15)).for_each(|(to, from)| *to = from);
        comm
    };
    Wishes {
        hook: config.hook,
        env: config.env != EnvWanted::None,
        max_argv_bytes: config.limits.max_bytes.map_or(0, std::num::NonZeroU32::get),
        pids: filters.pids.clone(),
        uids: filters.uids.clone(),
        comms: filters.comms.iter().map(comm).collect(),
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

/// Time since boot, suspended time included, in nanoseconds.
fn boot_ns() -> u64 {
    clock(libc::CLOCK_BOOTTIME) as u64
}

fn clock(id: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn wall_clock() -> WallClock {
    WallClock { offset_ns: clock(libc::CLOCK_REALTIME) - clock(libc::CLOCK_BOOTTIME) }
}

fn sink(config: &ExecConfig) -> Sink {
    let clock = wall_clock();
    match config.format {
        Format::Json => Sink::Json(clock),
        Format::Table => {
            let look = Look {
                columns: columns(&config.output),
                colour: config.colour,
                utc_offset_s: enrich::utc_offset_s(clock.unix_ns(boot_ns()) / 1_000_000_000),
            };
            Sink::Table(Box::new(Table::new(clock, look, Users::of_this_host())))
        }
    }
}

fn columns(output: &To) -> Option<usize> {
    match output {
        To::Stdout if io::stdout().is_terminal() => enrich::columns(io::stdout().as_fd()),
        _ => None,
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
        let ring = Ring(self.started.attached.as_raw_fd());
        let mut run = Run {
            // SAFETY: `Run` drops it before the ring that it names is closed.
            ring: unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?,
            attached: self.started.attached,
            show,
            output: Output::start(self.output)?,
            command: self.command,
            ended_at: None,
        };
        let mut signals = Signals::new()?;
        if let Some(command) = &mut run.command
            && let Err(error) = command.release()
        {
            eprintln!("tracer: {error}");
            let status = error.status();
            run.end(EndReason::CommandEnded, config, &mut signals).await?;
            return Ok(Outcome::Status(status));
        }
        let reason = run.until_something_ends_it(config, &mut signals).await?;
        run.end(reason, config, &mut signals).await
    }
}

/// The ring's descriptor, to wait at.
struct Ring(RawFd);

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    child: Signal,
    window: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
            window: signal(SignalKind::window_change())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => Heard::End(libc::SIGINT),
            _ = self.terminate.recv() => Heard::End(libc::SIGTERM),
            _ = self.hangup.recv() => Heard::End(libc::SIGHUP),
            _ = self.child.recv() => Heard::ChildEnded,
            _ = self.window.recv() => Heard::NewWidth,
        }
    }

    /// A signal that ends the run.
    async fn ending(&mut self) {
        while !matches!(self.next().await, Heard::End(_)) {}
    }
}

/// What a signal says.
enum Heard {
    End(i32),
    ChildEnded,
    NewWidth,
}

/// What there is to do next.
enum Next {
    Heard(Heard),
    TimeIsUp,
    LookAround,
    Written(Result<(), Failure>),
    Records,
}

struct Run {
    /// Declared, and so dropped, before the ring that it waits at.
    ring: AsyncFd<Ring>,
    attached: Attached,
    show: Show,
    output: Output,
    command: Option<Command>,
    /// When the command was seen to have ended.
    ended_at: Option<Instant>,
}

impl Run {
    async fn until_something_ends_it(
        &mut self,
        config: &ExecConfig,
        signals: &mut Signals,
    ) -> io::Result<EndReason> {
        let deadline = config.duration.map(|duration| Instant::now() + duration);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Records may be left in the ring.
        let mut more = false;
        loop {
            let Self { ring, attached, show, output, .. } = self;
            let full = show.batch.bytes.len() >= BATCH_BYTES;
            let waiting = !show.batch.bytes.is_empty();
            let next = tokio::select! {
                biased;
                heard = signals.next() => Next::Heard(heard),
                () = sleep_until(deadline.unwrap_or_else(far_future)), if deadline.is_some() => Next::TimeIsUp,
                _ = tick.tick() => Next::LookAround,
                room = output.ready(), if full || waiting && !more => {
                    Next::Written(room.map(|room| room.send(std::mem::take(&mut show.batch))))
                }
                () = async {}, if more && !full => Next::Records,
                ready = ring.readable(), if !more && !full => {
                    // Cleared before the ring is emptied, so that no later record goes unnoticed.
                    ready?.clear_ready();
                    Next::Records
                }
            };
            match next {
                Next::Heard(Heard::End(signal)) => {
                    if let Some(command) = &mut self.command {
                        command.signal(signal);
                    }
                    return Ok(EndReason::Signal);
                }
                Next::Heard(Heard::NewWidth) => show.sink.set_columns(columns(&config.output)),
                Next::Heard(Heard::ChildEnded) => {
                    if self.everything_ended() {
                        return Ok(EndReason::CommandEnded);
                    }
                }
                Next::TimeIsUp => return Ok(EndReason::Duration),
                Next::LookAround => {
                    if let Some(reason) = self.look_around(config) {
                        return Ok(reason);
                    }
                }
                Next::Written(Ok(())) => {}
                Next::Written(Err(Failure::Closed)) => return Ok(EndReason::ClosedOutput),
                Next::Written(Err(Failure::Failed(_))) => return Ok(EndReason::OutputFailed),
                Next::Records => {
                    let most = most(config, show.events());
                    more = take(attached, show, most) == RECORDS;
                }
            }
            if config.count.is_some_and(|count| self.show.events() >= count.get()) {
                return Ok(EndReason::Count);
            }
        }
    }

    /// What is to be done now and then.
    fn look_around(&mut self, config: &ExecConfig) -> Option<EndReason> {
        self.show.sink.set_clock(wall_clock());
        self.show.sink.refresh_users();
        let now = boot_ns();
        let counters = self.attached.counters();
        // Losses are told behind the events that came before them: when these still wait in the
        // ring because the output takes nothing, the losses wait too.
        if self.empty_ring(config) {
            self.show.poll(&counters, now);
            self.show.skipped(self.attached.skipped(), now);
        }
        if self.output.reader_is_gone() {
            return Some(EndReason::ClosedOutput);
        }
        self.everything_ended().then_some(EndReason::CommandEnded)
    }

    /// Takes what is in the ring; `false` if there is no room for all of it.
    fn empty_ring(&mut self, config: &ExecConfig) -> bool {
        while self.show.batch.bytes.len() < BATCH_BYTES {
            let most = most(config, self.show.events());
            if most == 0 {
                return false;
            }
            if take(&mut self.attached, &mut self.show, most) < most {
                return true;
            }
        }
        false
    }

    /// Have the command and all its descendants ended?
    fn everything_ended(&mut self) -> bool {
        let Some(command) = &mut self.command else { return false };
        if command.poll().is_none() {
            return false;
        }
        let left = self.attached.tree_size();
        if left <= 0 {
            return true;
        }
        match self.ended_at {
            None => self.ended_at = Some(Instant::now()),
            Some(at) if at.elapsed() > TELL_AFTER => {
                eprintln!(
                    "tracer: the command has ended, {left} of its descendants still run; Ctrl-C ends the trace"
                );
                // Said once.
                self.ended_at = Some(far_future());
            }
            Some(_) => {}
        }
        false
    }

    /// Detaches, takes what is left, and sums up.
    async fn end(
        mut self,
        reason: EndReason,
        config: &ExecConfig,
        signals: &mut Signals,
    ) -> io::Result<Outcome> {
        self.attached.detach();
        let wanted = !matches!(reason, EndReason::ClosedOutput | EndReason::OutputFailed);
        let mut stuck = None;
        loop {
            let most = if wanted { most(config, self.show.events()) } else { RECORDS };
            let taken = take(&mut self.attached, &mut self.show, most);
            if self.show.batch.bytes.len() >= BATCH_BYTES || taken == 0 {
                if !wanted || stuck.is_some() {
                    self.show.batch = Batch::default();
                } else {
                    stuck = self.send(signals).await.err();
                }
            }
            if taken == 0 {
                break;
            }
        }
        let now = boot_ns();
        let counters = self.attached.counters();
        if config.count.is_none() {
            self.show.settle(&counters, self.attached.pending_returns(), now);
            self.show.skipped(self.attached.skipped(), now);
        }
        let mut end = self.show.end(reason, now);
        self.show.sink.end(&end, &mut self.show.batch.bytes);
        if wanted && stuck.is_none() {
            stuck = self.send(signals).await.err();
        }
        if stuck.is_none() {
            stuck = tokio::select! {
                finished = self.output.finish(PATIENCE) => (!finished).then_some(Stuck::TookNothing),
                () = signals.ending() => Some(Stuck::SecondSignal),
            };
        }
        end.undelivered = end.events.saturating_sub(self.output.delivered());
        end.events -= end.undelivered;
        eprint!("tracer: {}", sink::summary(&end));
        let unseen = self.attached.unseen_returns();
        if unseen > 0 {
            eprintln!(
                "tracer: the kernel did not show the returns of {unseen} system calls: failed execs may be among \
                 them; --hook kprobe sees them all"
            );
        }
        if counters.tree_full() > 0 {
            eprintln!(
                "tracer: {} processes were not followed: the table of the tree was full",
                counters.tree_full()
            );
        }
        Ok(match (reason, self.output.failure()) {
            (_, Some(Failure::Failed(error))) => {
                Outcome::Failed(format!("the output cannot be written: {error}"))
            }
            (EndReason::ClosedOutput, _) | (_, Some(Failure::Closed)) => Outcome::Done,
            _ => match stuck {
                Some(stuck) => Outcome::Failed(stuck.describe()),
                None => self.status(config),
            },
        })
    }

    /// Hands the batch to the output, if it takes it in time.
    async fn send(&mut self, signals: &mut Signals) -> Result<(), Stuck> {
        tokio::select! {
            ready = timeout(PATIENCE, self.output.ready()) => match ready {
                Ok(Ok(permit)) => {
                    permit.send(std::mem::take(&mut self.show.batch));
                    Ok(())
                }
                _ => Err(Stuck::TookNothing),
            },
            () = signals.ending() => Err(Stuck::SecondSignal),
        }
    }

    fn status(&mut self, config: &ExecConfig) -> Outcome {
        match (config.status, self.command.as_mut().and_then(Command::poll)) {
            (StatusPolicy::Command, Some(ended)) => Outcome::Status(ended.status()),
            _ => Outcome::Done,
        }
    }
}

/// Why the end does not wait for the output any longer.
#[derive(Clone, Copy)]
enum Stuck {
    TookNothing,
    /// Somebody is told twice to end.
    SecondSignal,
}

impl Stuck {
    fn describe(self) -> String {
        match self {
            Self::TookNothing => {
                format!("the output took nothing for {} s: given up", PATIENCE.as_secs())
            }
            Self::SecondSignal => "the output takes nothing: given up at the second signal".to_owned(),
        }
    }
}

/// How many records may be taken at once, so that no more events are shown than were asked for.
fn most(config: &ExecConfig, shown: u64) -> usize {
    let left = config.count.map_or(u64::MAX, |count| count.get().saturating_sub(shown));
    usize::try_from(left).unwrap_or(usize::MAX).min(RECORDS)
}

fn take(attached: &mut Attached, show: &mut Show, most: usize) -> usize {
    if most == 0 {
        return 0;
    }
    let now = boot_ns();
    attached.drain(most, |record, dropped| show.record(record, dropped, now))
}

/// A time that does not come.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(86400 * 365)
}
