//! Guests: a kernel, a file system of our own, one command in it, its output and its end.
//!
//! A guest never hangs xtask: its boot and its run have an end each. One that dies before its
//! init says hello is booted again (an emulator's or a loaded machine's fault); one that dies
//! later is a failure, because that may be ours.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::iterator::Signals;

use crate::setup::{kernel, qemu as qemu_part, require, userland};
use crate::{dist, paths, step};
use accel::Accel;
use job::{Answer, Job};
use qemu::{Folder, Machine, Port, Received, Running};

mod accel;
mod cpio;
mod initramfs;
#[expect(dead_code, reason = "init's half of the contract")]
mod job;
mod qemu;

pub(crate) use initramfs::{GuestFile, GuestTree, with_libraries};
pub(crate) use qemu::Clock;

/// How often a guest that dies at boot is booted again.
const BOOTS_AGAIN: u32 = 2;
/// How long a boot may take, with the machine's other work in the way.
const BOOT: Duration = Duration::from_secs(120);
/// The same under KVM, where a guest that has not come up by then never will.
const BOOT_KVM: Duration = Duration::from_secs(15);
/// How long the power may take to go off.
const POWER_OFF: Duration = Duration::from_secs(10);
const CONSOLE_TAIL: usize = 30;

/// One guest, before it boots.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) kernel: kernel::Found,
    /// The program and its arguments, as paths of the guest's.
    pub(crate) command: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// What the command needs besides busybox and its links.
    pub(crate) files: Vec<GuestFile>,
    /// Whole folders besides.
    pub(crate) trees: Vec<GuestTree>,
    pub(crate) cpus: u32,
    /// MiB.
    pub(crate) memory: u32,
    /// From hello to the command's end; `None` is without end.
    pub(crate) timeout: Option<Duration>,
    pub(crate) clock: Clock,
    /// Whether tracefs is mounted before the command runs.
    pub(crate) tracefs: bool,
    /// More for the kernel's command line.
    pub(crate) append: String,
}

/// A stream of the guest's command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// How a guest's command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Exit(u8),
    Signal(u8),
    /// It did not start: this errno.
    NotStarted(i32),
}

/// What a guest that was run to its end left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) ended: Ended,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// What every guest needs from outside itself, found or built once.
pub(crate) struct Kit {
    qemu: qemu_part::Found,
    busybox: PathBuf,
    init: PathBuf,
}

impl Kit {
    /// Finds or installs QEMU and busybox, and builds init.
    ///
    /// # Errors
    /// One of them cannot be had; the message says how.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            qemu: require(&qemu_part::Qemu)?,
            busybox: require(&userland::Busybox)?,
            init: dist::guest_init()?,
        })
    }
}

impl Kit {
    /// The emulator's version.
    ///
    /// # Errors
    /// It cannot be run.
    pub(crate) fn qemu_version(&self) -> Result<String> {
        qemu_part::version(&self.qemu.program)
    }
}

enum Attempt {
    Done(Ended),
    /// It died, or fell silent, before its init said hello.
    NoHello(String),
}

impl Guest {
    /// A guest with a small machine, two CPUs and ten minutes.
    pub(crate) fn new(kernel: kernel::Found, command: Vec<OsString>) -> Self {
        Self {
            kernel,
            command,
            env: Vec::new(),
            files: Vec::new(),
            trees: Vec::new(),
            cpus: 2,
            memory: 512,
            timeout: Some(Duration::from_secs(600)),
            clock: Clock::Real,
            tracefs: false,
            append: String::new(),
        }
    }

    /// Runs the guest and keeps its output.
    ///
    /// # Errors
    /// As [`Guest::stream`].
    pub(crate) fn run(&self, kit: &Kit) -> Result<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let ended = self.stream(kit, None, &mut |stream, bytes| {
            match stream {
                Stream::Stdout => &mut stdout,
                Stream::Stderr => &mut stderr,
            }
            .extend_from_slice(bytes);
        })?;
        Ok(Output { ended, stdout, stderr })
    }

    /// Where the kernel's messages of the last such guest are.
    pub(crate) fn console(&self) -> PathBuf {
        paths::vm().join(format!("console-{}.log", self.kernel.version))
    }

    /// Runs the guest, handing on its output as it comes, and the given signals to its command
    /// (a second one ends the guest).
    ///
    /// # Errors
    /// QEMU cannot be started; the guest does not boot, dies, or takes too long. The end
    /// of its console is in the message.
    pub(crate) fn stream(
        &self,
        kit: &Kit,
        mut signals: Option<&mut Signals>,
        sink: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Ended> {
        let folder = Folder::new()?;
        let initramfs = folder.path().join("initramfs");
        let job = Job { command: self.command.clone(), env: self.env.clone(), tracefs: self.tracefs };
        initramfs::write(&initramfs, &kit.init, &job, &kit.busybox, &self.files, &self.trees)?;
        let mut accel = match self.clock {
            Clock::Real => Accel::choose(),
            Clock::Instructions => Accel::Tcg,
        };
        let mut again = BOOTS_AGAIN;
        loop {
            let console = self.console();
            let machine = Machine {
                qemu: &kit.qemu,
                kernel: &self.kernel.image,
                initramfs: &initramfs,
                console: &console,
                cpus: self.cpus,
                memory: self.memory,
                clock: self.clock,
                accel,
                append: &self.append,
            };
            let reason = match self.attempt(&machine, signals.as_deref_mut(), sink)? {
                Attempt::Done(ended) => return Ok(ended),
                Attempt::NoHello(reason) => reason,
            };
            let version = &self.kernel.version;
            if accel == Accel::Kvm {
                step::say(&format!("KVM does not work here ({reason}): guests run emulated"));
                accel::kvm_failed();
                accel = Accel::Tcg;
            } else if again > 0 {
                step::say(&format!("guest {version} {reason}: booting it again ({again} left)"));
                again -= 1;
            } else {
                bail!("guest {version} {reason}, each time\n{}", console_tail(&console));
            }
        }
    }

    fn attempt(
        &self,
        machine: &Machine<'_>,
        mut signals: Option<&mut Signals>,
        sink: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Attempt> {
        let (sender, received) = mpsc::channel();
        let mut running = Running::start(machine, &sender)?;
        drop(sender);
        let version = &self.kernel.version;
        let mut state = State { control: Vec::new(), hello: None, ended: None };
        let start = Instant::now();
        let boot = if machine.accel == Accel::Kvm { BOOT_KVM } else { BOOT };
        let mut told = false;
        while next(&received, &mut state, sink) {
            match state.hello {
                None if start.elapsed() > boot => {
                    let seconds = boot.as_secs();
                    return Ok(Attempt::NoHello(format!("was silent for {seconds} s after boot")));
                }
                Some(hello) if state.ended.is_none() => {
                    if let Some(limit) = self.timeout.filter(|limit| hello.elapsed() > *limit) {
                        bail!(
                            "guest {version} was stopped: its command took longer than {} s\n{}",
                            limit.as_secs(),
                            console_tail(machine.console)
                        );
                    }
                }
                _ => {}
            }
            for signal in signals.iter_mut().flat_map(|signals| signals.pending()) {
                if told || state.hello.is_none() {
                    bail!("guest {version} was stopped by signal {signal}");
                }
                told = true;
                writeln!(running.control, "{signal}").context("cannot reach the guest's init")?;
            }
        }
        running.end(POWER_OFF);
        match (state.hello, state.ended) {
            (_, Some(ended)) => Ok(Attempt::Done(ended)),
            (None, None) => Ok(Attempt::NoHello("died at boot".to_owned())),
            (Some(hello), None) => bail!(
                "guest {version} died {:.1} s after its boot, before its command ended\n{}",
                hello.elapsed().as_secs_f32(),
                console_tail(machine.console)
            ),
        }
    }
}

struct State {
    /// What the control port sent after its last whole line.
    control: Vec<u8>,
    hello: Option<Instant>,
    ended: Option<Ended>,
}

/// Takes what the guest sent, or a short rest; `false` once all its ports are closed.
fn next(received: &Receiver<Received>, state: &mut State, sink: &mut dyn FnMut(Stream, &[u8])) -> bool {
    match received.recv_timeout(Duration::from_millis(50)) {
        Ok(Received { port: Port::Stdout, bytes }) => sink(Stream::Stdout, &bytes),
        Ok(Received { port: Port::Stderr, bytes }) => sink(Stream::Stderr, &bytes),
        Ok(Received { port: Port::Control, bytes }) => state.answer(&bytes),
        Err(RecvTimeoutError::Timeout) => {}
        Err(RecvTimeoutError::Disconnected) => return false,
    }
    true
}

impl State {
    fn answer(&mut self, bytes: &[u8]) {
        self.control.extend_from_slice(bytes);
        while let Some(end) = self.control.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.control.drain(..=end).collect();
            match Answer::parse(&String::from_utf8_lossy(&line)) {
                Some(Answer::Hello) => self.hello = Some(Instant::now()),
                Some(Answer::Exit(status)) => self.ended = Some(Ended::Exit(status)),
                Some(Answer::Signal(signal)) => self.ended = Some(Ended::Signal(signal)),
                Some(Answer::NotStarted(errno)) => self.ended = Some(Ended::NotStarted(errno)),
                None => {}
            }
        }
    }
}

fn console_tail(console: &Path) -> String {
    let text = fs::read(console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let tail = step::tail(&text.unwrap_or_default(), CONSOLE_TAIL);
    format!("the end of {}:\n{tail}", console.display())
}
