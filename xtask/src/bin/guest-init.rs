//! The first process of a guest: mounts what a Linux host has mounted, runs one job, reports how
//! it ended, and switches the machine off.
//!
//! It is statically linked and knows of the host only what `guest/job.rs` says. Bytes reach the
//! host unaltered: the ports are raw, and the command writes to pipes, not to a terminal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, killpg};
use nix::sys::termios;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

#[path = "../guest/job.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "the host's half of the contract"))]
mod job;

use job::{Answer, Job};

/// After the command's end, this long without output is taken as the end of it.
const PAUSE: Duration = Duration::from_secs(1);

/// After the command's end, no more than this is spent on output still on its way.
const ALL_OUTPUT: Duration = Duration::from_secs(60);

fn main() {
    if let Err(error) = serve() {
        eprintln!("guest-init: {error}");
    }
    // Only a failure to switch off returns; the kernel then panics, which ends the guest as well.
    let _ = reboot(RebootMode::RB_AUTOBOOT);
}

fn serve() -> io::Result<()> {
    mount_all()?;
    let bytes = fs::read(job::PATH)?;
    let job = Job::decode(&bytes).map_err(|record| io::Error::other(format!("job: {record}")))?;
    if job.tracefs {
        mount_one("tracefs", "/sys/kernel/tracing")?;
    }
    loopback_up()?;
    nix::unistd::sethostname("guest")?;
    let mut control = port(job::CONTROL)?;
    control.write_all(Answer::Hello.line().as_bytes())?;
    let answer = run(&job, control.try_clone()?)?;
    control.write_all(answer.line().as_bytes())?;
    drain(&control)
}

fn mount_all() -> io::Result<()> {
    mount_one("proc", "/proc")?;
    mount_one("sysfs", "/sys")?;
    mount_one("devtmpfs", "/dev")?;
    for folder in ["/dev/pts", "/dev/shm"] {
        fs::create_dir_all(folder)?;
    }
    mount_one("devpts", "/dev/pts")?;
    mount_one("tmpfs", "/dev/shm")?;
    mount_one("tmpfs", "/tmp")?;
    mount_one("tmpfs", "/run")?;
    mount_one("cgroup2", "/sys/fs/cgroup")
}

fn mount_one(kind: &str, on: &str) -> io::Result<()> {
    mount(Some(kind), on, Some(kind), MsFlags::empty(), None::<&str>)
        .map_err(|errno| io::Error::other(format!("cannot mount {kind} on {on}: {errno}")))
}

/// Switches on `lo`.
fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all-zero bytes are a valid ifreq, a C structure of integers and unions of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = i8::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags =
        i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(|_| io::Error::other("interface flags"))?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which lives across the call; the socket is open.
    let result = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens a serial port as a plain channel for bytes.
fn port(path: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut settings = termios::tcgetattr(&file)?;
    termios::cfmakeraw(&mut settings);
    settings.control_flags |= termios::ControlFlags::CLOCAL;
    termios::tcsetattr(&file, termios::SetArg::TCSANOW, &settings)?;
    Ok(file)
}

/// Waits until everything written has left the port.
fn drain(port: &File) -> io::Result<()> {
    Ok(termios::tcdrain(port.as_fd())?)
}

/// Runs the command to its end, its output copied to the ports, orphans reaped.
fn run(job: &Job, control: File) -> io::Result<Answer> {
    let (Some(program), arguments) = (job.command.first(), job.command.get(1..).unwrap_or(&[])) else {
        return Err(io::Error::other("the job has no command"));
    };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin")
        .env("HOME", "/root")
        .envs(job.env.iter().map(|(name, value)| (name, value)))
        .current_dir("/root")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A session of its own would take its terminal away; a group is enough to pass signals on.
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            return Ok(Answer::NotStarted(error.raw_os_error().unwrap_or(0)));
        }
    };
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    pass_signals(control, pid);
    let mut copies = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        copies.push(copy(stdout, port(job::STDOUT)?)?);
    }
    if let Some(stderr) = child.stderr.take() {
        copies.push(copy(stderr, port(job::STDERR)?)?);
    }
    let answer = reap(pid)?;
    let deadline = Instant::now() + ALL_OUTPUT;
    for copy in copies {
        // A pause ends it too: a process that outlives the command may hold the pipe for ever.
        while copy.steps.recv_timeout(PAUSE).is_ok() && Instant::now() < deadline {}
        drain(&copy.port)?;
    }
    Ok(answer)
}

/// Reaps whatever ends until the command itself does.
fn reap(command: Pid) -> io::Result<Answer> {
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == command => {
                return Ok(Answer::Exit(u8::try_from(status).unwrap_or(u8::MAX)));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == command => {
                return Ok(Answer::Signal(u8::try_from(signal as i32).unwrap_or(0)));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// A pipe that is being copied to a port.
struct Copy {
    /// Tells each step, and closes at the pipe's end.
    steps: Receiver<()>,
    port: File,
}

fn copy(mut from: impl Read + Send + 'static, port: File) -> io::Result<Copy> {
    let (sender, steps) = mpsc::channel();
    let mut to = port.try_clone()?;
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            // Nobody receives any more once the machine is about to be switched off.
            if to.write_all(&buffer[..count]).is_err() || sender.send(()).is_err() {
                break;
            }
        }
    });
    Ok(Copy { steps, port })
}

/// Sends the command's process group each signal whose number arrives on the control port.
fn pass_signals(control: File, group: Pid) {
    thread::spawn(move || {
        for line in BufReader::new(control).lines().map_while(Result::ok) {
            let signal = line.trim().parse::<i32>().ok().and_then(|n| Signal::try_from(n).ok());
            if let Some(signal) = signal {
                // The group may have ended meanwhile, and then there is nobody to tell.
                let _ = killpg(group, signal);
            }
        }
    });
}
