//! One QEMU process: its command line, its ports as sockets, its end.
//!
//! It dies with xtask, whatever ends xtask, and its folder goes with it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::accel::Accel;
use crate::paths;
use crate::setup::qemu::Found;

/// How long QEMU may take to open its ports.
const START: Duration = Duration::from_secs(30);

/// The guest's second to fourth port; the first is the console, which goes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Stdout,
    Stderr,
    Control,
}

impl Port {
    const ALL: [Self; 3] = [Self::Stdout, Self::Stderr, Self::Control];

    fn socket(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Control => "control",
        }
    }
}

/// How time passes in a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// With the host's.
    Real,
    /// With each instruction executed: deterministic, on one CPU of software.
    Instructions,
}

/// What one QEMU process is made of.
pub(crate) struct Machine<'a> {
    pub(crate) qemu: &'a Found,
    pub(crate) kernel: &'a Path,
    pub(crate) initramfs: &'a Path,
    /// Where the kernel's messages go.
    pub(crate) console: &'a Path,
    pub(crate) cpus: u32,
    /// MiB.
    pub(crate) memory: u32,
    pub(crate) clock: Clock,
    pub(crate) accel: Accel,
    /// More for the kernel's command line.
    pub(crate) append: &'a str,
}

/// A folder under `target/vm/` that goes when this does.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = paths::vm().join(format!("run-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to `cargo clean`.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes of a port, or its end.
pub(crate) struct Received {
    pub(crate) port: Port,
    pub(crate) bytes: Vec<u8>,
}

/// A running QEMU; dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    /// The way to the guest's init.
    pub(crate) control: UnixStream,
    _folder: Folder,
}

impl Running {
    /// Starts the machine. What its ports send goes to `sender`, whose copies are gone once all
    /// ports are closed.
    pub(crate) fn start(machine: &Machine<'_>, sender: &Sender<Received>) -> Result<Self> {
        let folder = Folder::new()?;
        // A socket's path is short by the kernel's definition; the workspace's need not be.
        let handle = File::open(folder.path()).context("cannot open the guest's folder")?;
        let listeners = Port::ALL.map(|port| {
            let name = format!("/proc/self/fd/{}/{}", handle.as_raw_fd(), port.socket());
            UnixListener::bind(name)
        });
        let mut child = spawn(machine, folder.path())?;
        let mut control = None;
        for (port, listener) in Port::ALL.into_iter().zip(listeners) {
            let listener = listener.context("cannot open a guest's port")?;
            let stream = match accept(&listener, &mut child) {
                Ok(stream) => stream,
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let said = fs::read_to_string(folder.path().join("qemu.log"));
                    return Err(error.context(said.unwrap_or_default().trim().to_owned()));
                }
            };
            if port == Port::Control {
                control = Some(stream.try_clone().context("cannot share the control port")?);
            }
            forward(port, stream, sender.clone());
        }
        let control = control.context("the guest has no control port")?;
        Ok(Self { child, control, _folder: folder })
    }

    /// Waits for QEMU's end, and makes one after `patience`.
    pub(crate) fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn accept(listener: &UnixListener, child: &mut Child) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot accept QEMU's connection"),
        }
        if let Some(status) = child.try_wait()? {
            bail!("QEMU ended at once ({status})");
        }
        if start.elapsed() > START {
            bail!("QEMU did not open its ports within {} s", START.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn forward(port: Port, mut stream: UnixStream, sender: Sender<Received>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if sender.send(Received { port, bytes: buffer[..count].to_vec() }).is_err() {
                break;
            }
        }
    });
}

fn spawn(machine: &Machine<'_>, folder: &Path) -> Result<Child> {
    let log = File::create(folder.join("qemu.log")).context("cannot create QEMU's log")?;
    let mut command = Command::new(&machine.qemu.program);
    command
        .args(arguments(machine))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share QEMU's log")?)
        .stderr(log)
        // Signals are xtask's to pass on.
        .process_group(0);
    if let Some(prefix) = &machine.qemu.prefix {
        command.env("QEMU_MODULE_DIR", prefix.join("usr/lib/x86_64-linux-gnu/qemu"));
    }
    // SAFETY: prctl is async-signal-safe, and this sets an attribute of the child alone.
    unsafe {
        command.pre_exec(|| {
            // The thread that starts QEMU waits for it, so its end is xtask's, or a panic's.
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
    command.spawn().with_context(|| format!("cannot start {}", machine.qemu.program.display()))
}

fn arguments(machine: &Machine<'_>) -> Vec<OsString> {
    let mut list: Vec<OsString> = Vec::new();
    let mut add = |arguments: &[&dyn AsRef<OsStr>]| {
        list.extend(arguments.iter().map(|argument| argument.as_ref().to_owned()));
    };
    if let Some(prefix) = &machine.qemu.prefix {
        for folder in ["usr/share/qemu", "usr/share/seabios"] {
            add(&[&"-L", &prefix.join(folder)]);
        }
    }
    add(&[&"-nodefaults", &"-no-user-config", &"-display", &"none", &"-no-reboot"]);
    for argument in machine.accel.arguments() {
        add(&[&argument]);
    }
    add(&[&"-m", &machine.memory.to_string(), &"-smp", &machine.cpus.to_string()]);
    if machine.clock == Clock::Instructions {
        add(&[&"-icount", &"shift=0,sleep=off"]);
    }
    add(&[&"-kernel", &machine.kernel, &"-initrd", &machine.initramfs]);
    let append = format!("console=ttyS0 quiet panic=-1 {}", machine.append);
    add(&[&"-append", &append.trim()]);
    // A comma in a value is written twice.
    let console = machine.console.to_string_lossy().replace(',', ",,");
    add(&[&"-chardev", &format!("file,id=console,path={console}")]);
    add(&[&"-serial", &"chardev:console"]);
    for port in Port::ALL {
        let name = port.socket();
        add(&[&"-chardev", &format!("socket,id={name},path={name}")]);
        add(&[&"-serial", &format!("chardev:{name}")]);
    }
    list
}
