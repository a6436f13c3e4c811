//! The life of a trace, whatever is traced: records are taken, bytes handed to the output, signals heard, until
//! something ends it.
//!
//! *Invariant:* nothing waits for the output but the output's own thread: records that find no room wait in the
//! ring, where losses are counted.
//!
//! *Must not know:* what a record says, or what it becomes.

use std::{
    fs::File,
    io,
    num::NonZeroU64,
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep_until, timeout},
};

use super::Outcome;
use crate::{
    cli::StatusPolicy,
    event::EndReason,
    session::Command,
    sink::{Batch, Failure, Output},
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

/// What is traced: records in, bytes out.
pub(super) trait Traced: AsRawFd {
    /// Takes up to `most` records from the ring, and makes bytes of them; how many there were.
    fn take(&mut self, most: usize) -> usize;
    /// The bytes that wait for the output.
    fn batch(&mut self) -> &mut Batch;
    /// Events shown so far.
    fn events(&self) -> u64;
    /// Now and then: the clock, the names of users.
    fn refresh(&mut self);
    /// Now and then, when the ring is empty: tells the losses that no event follows.
    fn tell_losses(&mut self);
    /// The interval that the user asked for is over.
    fn interval(&mut self) {}
    /// How wide the terminal is now.
    fn measure_terminal(&mut self);
    /// Processes in the traced tree.
    fn tree_size(&self) -> i64;
    fn detach(&mut self);
    /// Nothing is attached any more and the ring is empty: settles the account of losses.
    fn settle(&mut self);
    /// Makes bytes of the end of the run.
    fn end(&mut self, reason: EndReason);
    /// Tells the user what the run came to, of which `delivered` events reached the output.
    fn sum_up(&mut self, delivered: u64);
}

/// What ends a run by itself, and how.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) duration: Option<Duration>,
    /// Events.
    pub(super) count: Option<NonZeroU64>,
    /// How often [`Traced::interval`] is told.
    pub(super) interval: Option<Duration>,
    pub(super) status: StatusPolicy,
    /// The ring's size.
    pub(super) buffer_bytes: u32,
}

impl Bounds {
    /// How long the ring is left alone after it was emptied. Meanwhile nobody is woken for what fills it, since the
    /// kernel wakes a reader that has read everything, and no other; so that many records cost one wake-up. A small
    /// ring is not left alone for longer than it takes to fill an eighth of it.
    fn rest(self) -> Duration {
        const LONGEST: Duration = Duration::from_millis(10);
        /// More than any two processors' programs write.
        const BYTES_PER_MS: u32 = 100 << 10;
        Duration::from_millis((self.buffer_bytes / 8 / BYTES_PER_MS).into()).min(LONGEST)
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
    Interval,
    LookAround,
    Written(Result<(), Failure>),
    /// Records that came right after others: they are taken with those that follow.
    Rest,
    Records,
}

/// Traces until something ends it, and ends. The command, if there is one, waits to be released.
pub(super) async fn run<T: Traced>(
    traced: T,
    output: File,
    command: Option<Command>,
    bounds: Bounds,
) -> io::Result<Outcome> {
    let ring = Ring(traced.as_raw_fd());
    let mut run = Run {
        // SAFETY: `Run` drops it before the ring that it names is closed.
        ring: unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?,
        traced,
        output: Output::start(output)?,
        command,
        bounds,
        ended_at: None,
    };
    let mut signals = Signals::new()?;
    if let Some(command) = &mut run.command
        && let Err(error) = command.release()
    {
        eprintln!("tracer: {error}");
        let status = error.status();
        run.end(EndReason::CommandEnded, &mut signals).await?;
        return Ok(Outcome::Status(status));
    }
    let reason = run.until_something_ends_it(&mut signals).await?;
    run.end(reason, &mut signals).await
}

struct Run<T> {
    /// Declared, and so dropped, before the ring that it waits at.
    ring: AsyncFd<Ring>,
    traced: T,
    output: Output,
    command: Option<Command>,
    bounds: Bounds,
    /// When the command was seen to have ended.
    ended_at: Option<Instant>,
}

impl<T: Traced> Run<T> {
    async fn until_something_ends_it(&mut self, signals: &mut Signals) -> io::Result<EndReason> {
        let deadline = self.bounds.duration.map(|duration| Instant::now() + duration);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick of an interval is its start.
        let mut intervals = self.bounds.interval.map(|every| interval_at(Instant::now() + every, every));
        // Records may be left in the ring.
        let mut more = false;
        let rest = self.bounds.rest();
        // Until when the ring is left alone, and whether there are records to be taken then.
        let (mut rested, mut resting) = (Instant::now(), false);
        loop {
            let Self { ring, traced, output, .. } = self;
            let full = traced.batch().bytes.len() >= BATCH_BYTES;
            let waiting = !traced.batch().bytes.is_empty();
            let next = tokio::select! {
                biased;
                heard = signals.next() => Next::Heard(heard),
                () = sleep_until(deadline.unwrap_or_else(far_future)), if deadline.is_some() => Next::TimeIsUp,
                () = next_of(&mut intervals), if intervals.is_some() && !full => Next::Interval,
                _ = tick.tick() => Next::LookAround,
                room = output.ready(), if full || waiting && !more => {
                    Next::Written(room.map(|room| room.send(std::mem::take(traced.batch()))))
                }
                () = async {}, if more && !full => Next::Records,
                () = sleep_until(rested), if resting && !full => Next::Records,
                ready = ring.readable(), if !more && !full && !resting => {
                    // Cleared before the ring is emptied, so that no later record goes unnoticed.
                    ready?.clear_ready();
                    if rested > Instant::now() { Next::Rest } else { Next::Records }
                }
            };
            match next {
                Next::Heard(Heard::End(signal)) => {
                    if let Some(command) = &mut self.command {
                        command.signal(signal);
                    }
                    return Ok(EndReason::Signal);
                }
                Next::Heard(Heard::NewWidth) => self.traced.measure_terminal(),
                Next::Heard(Heard::ChildEnded) => {
                    if self.everything_ended() {
                        return Ok(EndReason::CommandEnded);
                    }
                }
                Next::TimeIsUp => return Ok(EndReason::Duration),
                Next::Interval => self.traced.interval(),
                Next::LookAround => {
                    if let Some(reason) = self.look_around() {
                        return Ok(reason);
                    }
                }
                Next::Written(Ok(())) => {}
                Next::Written(Err(Failure::Closed)) => return Ok(EndReason::ClosedOutput),
                Next::Written(Err(Failure::Failed(_))) => return Ok(EndReason::OutputFailed),
                Next::Rest => resting = true,
                Next::Records => {
                    let most = self.most();
                    more = self.take(most) == RECORDS;
                    (rested, resting) = (Instant::now() + rest, false);
                }
            }
            if self.bounds.count.is_some_and(|count| self.traced.events() >= count.get()) {
                return Ok(EndReason::Count);
            }
        }
    }

    /// What is to be done now and then.
    fn look_around(&mut self) -> Option<EndReason> {
        self.traced.refresh();
        // Losses are told behind the events that came before them: when these still wait in the
        // ring because the output takes nothing, the losses wait too.
        if self.empty_ring() {
            self.traced.tell_losses();
        }
        if self.output.reader_is_gone() {
            return Some(EndReason::ClosedOutput);
        }
        self.everything_ended().then_some(EndReason::CommandEnded)
    }

    /// Takes what is in the ring; `false` if there is no room for all of it.
    fn empty_ring(&mut self) -> bool {
        while self.traced.batch().bytes.len() < BATCH_BYTES {
            let most = self.most();
            if most == 0 {
                return false;
            }
            if self.take(most) < most {
                return true;
            }
        }
        false
    }

    /// How many records may be taken at once, so that no more events are shown than were asked for.
    fn most(&self) -> usize {
        let left =
            self.bounds.count.map_or(u64::MAX, |count| count.get().saturating_sub(self.traced.events()));
        usize::try_from(left).unwrap_or(usize::MAX).min(RECORDS)
    }

    fn take(&mut self, most: usize) -> usize {
        if most == 0 { 0 } else { self.traced.take(most) }
    }

    /// Have the command and all its descendants ended?
    fn everything_ended(&mut self) -> bool {
        let Some(command) = &mut self.command else { return false };
        if command.poll().is_none() {
            return false;
        }
        let left = self.traced.tree_size();
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
    async fn end(mut self, reason: EndReason, signals: &mut Signals) -> io::Result<Outcome> {
        self.traced.detach();
        let wanted = !matches!(reason, EndReason::ClosedOutput | EndReason::OutputFailed);
        let mut stuck = None;
        loop {
            let most = if wanted { self.most() } else { RECORDS };
            let taken = self.take(most);
            if self.traced.batch().bytes.len() >= BATCH_BYTES || taken == 0 {
                if !wanted || stuck.is_some() {
                    *self.traced.batch() = Batch::default();
                } else {
                    stuck = self.send(signals).await.err();
                }
            }
            if taken == 0 {
                break;
            }
        }
        // Of a run that ends with a count nothing more is to be told.
        if self.bounds.count.is_none() {
            self.traced.settle();
        }
        self.traced.end(reason);
        if wanted && stuck.is_none() {
            stuck = self.send(signals).await.err();
        }
        if stuck.is_none() {
            stuck = tokio::select! {
                finished = self.output.finish(PATIENCE) => (!finished).then_some(Stuck::TookNothing),
                () = signals.ending() => Some(Stuck::SecondSignal),
            };
        }
        self.traced.sum_up(self.output.delivered());
        Ok(match (reason, self.output.failure()) {
            (_, Some(Failure::Failed(error))) => {
                Outcome::Failed(format!("the output cannot be written: {error}"))
            }
            (EndReason::ClosedOutput, _) | (_, Some(Failure::Closed)) => Outcome::Done,
            _ => match stuck {
                Some(stuck) => Outcome::Failed(stuck.describe()),
                None => self.status(),
            },
        })
    }

    /// Hands the batch to the output, if it takes it in time.
    async fn send(&mut self, signals: &mut Signals) -> Result<(), Stuck> {
        tokio::select! {
            ready = timeout(PATIENCE, self.output.ready()) => match ready {
                Ok(Ok(permit)) => {
                    permit.send(std::mem::take(self.traced.batch()));
                    Ok(())
                }
                _ => Err(Stuck::TookNothing),
            },
            () = signals.ending() => Err(Stuck::SecondSignal),
        }
    }

    fn status(&mut self) -> Outcome {
        match (self.bounds.status, self.command.as_mut().and_then(Command::poll)) {
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

/// The next tick, of what ticks.
async fn next_of(intervals: &mut Option<Interval>) {
    if let Some(intervals) = intervals {
        intervals.tick().await;
    }
}

/// A time that does not come.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(86400 * 365)
}
