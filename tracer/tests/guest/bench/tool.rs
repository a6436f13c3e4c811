//! A tool that shows executions, from its start to its end, and executions for it to show.

use std::{
    ffi::CString,
    fs::{self, File},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    ptr,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::behaviour::tiny;

/// Longer than the slowest tool needs, on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// A tool that runs.
pub(super) struct Tool {
    child: Child,
    folder: PathBuf,
    /// What it executes so that the tool has something to show.
    program: Program,
}

/// Where a tool's standard output goes.
pub(super) enum To {
    File,
    /// The write end of a pipe, or the other side of a terminal.
    Descriptor(OwnedFd),
}

impl Tool {
    /// Starts it; both its streams are files unless the first is to go elsewhere.
    pub(super) fn start(words: &[&str], to: To) -> Self {
        let folder = folder();
        let file = |name: &str| File::create(folder.join(name)).unwrap();
        let stdout = match to {
            To::File => file("stdout").into(),
            To::Descriptor(descriptor) => Stdio::from(descriptor),
        };
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(stdout).stderr(file("stderr"));
        // A group of its own, as behind a shell's `&`.
        command.process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let program = Program::new(&folder.join("tiny"));
        Self { child, folder, program }
    }

    /// Starts it and waits until it shows what is executed.
    pub(super) fn ready(words: &[&str]) -> Self {
        let mut tool = Self::start(words, To::File);
        let start = Instant::now();
        for number in 0.. {
            tool.program.exec(&format!("ready-{number}"));
            if tool.shows("ready-") {
                break;
            }
            let ended = tool.child.try_wait().unwrap();
            assert_eq!(ended, None, "{words:?} has ended: {}", tool.said());
            assert!(start.elapsed() < PATIENCE, "{words:?} shows nothing: {}", tool.said());
            // Buffered output takes many to be seen.
            thread::sleep(Duration::from_millis(if number < 100 { 50 } else { 5 }));
            assert!(number < 20_000, "{words:?} shows nothing: {}", tool.said());
        }
        tool
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// Nanoseconds that its threads have run.
    pub(super) fn cpu(&self) -> f64 {
        let mut id = 0;
        // SAFETY: `id` is writable.
        assert_eq!(unsafe { libc::clock_getcpuclockid(self.pid(), &raw mut id) }, 0);
        crate::sys::clock(id) as f64
    }

    /// Waits until it has nothing to do any more: what it does by itself now and then is little.
    pub(super) fn idles(&self) {
        let start = Instant::now();
        loop {
            let before = (self.cpu(), self.written());
            thread::sleep(Duration::from_millis(1000));
            let used = self.cpu() - before.0;
            if (used < 5e7 && before.1 == self.written()) || start.elapsed() > Duration::from_secs(60) {
                return;
            }
        }
    }

    fn written(&self) -> u64 {
        ["stdout", "stderr"]
            .iter()
            .filter_map(|name| fs::metadata(self.folder.join(name)).ok())
            .map(|meta| meta.len())
            .sum()
    }

    fn shows(&self, text: &str) -> bool {
        let shown = fs::read(self.folder.join("stdout")).unwrap();
        shown.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Both streams, as far as they are written.
    pub(super) fn streams(&self) -> Vec<u8> {
        let read = |name: &str| fs::read(self.folder.join(name)).unwrap_or_default();
        [read("stdout"), b"\n".to_vec(), read("stderr")].concat()
    }

    fn said(&self) -> String {
        let bytes = self.streams();
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2000)..]).into_owned()
    }

    pub(super) fn signal(&self, signal: i32) {
        // SAFETY: a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Ends it as Ctrl-C does; it is gone then.
    pub(super) fn stop(&mut self) {
        self.signal(libc::SIGINT);
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(20));
            if start.elapsed() > Duration::from_secs(120) {
                eprintln!("killed: it did not end: {}", self.said());
                self.signal(libc::SIGKILL);
            }
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(format!("/tmp/bench-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A program that does nothing, to be executed with a few arguments as a shell's user gives them.
pub(super) struct Program(CString);

impl Program {
    pub(super) fn new(path: &Path) -> Self {
        tiny::write(path);
        Self(CString::new(path.as_os_str().as_bytes()).unwrap())
    }

    /// `PROGRAM TAG --color=auto -l /usr/share/doc`, by way of vfork, and waits for its end.
    pub(super) fn exec(&self, tag: &str) {
        let tag = CString::new(tag).unwrap();
        let words = [&*self.0, &*tag, c"--color=auto", c"-l", c"/usr/share/doc"];
        let mut argv: Vec<_> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
        argv.push(ptr::null_mut());
        let envp = [ptr::null_mut()];
        let (mut pid, mut status) = (0, 0);
        // SAFETY: C strings that live across the call; both arrays end with null.
        let errno = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                self.0.as_ptr(),
                ptr::null(),
                ptr::null(),
                argv.as_ptr(),
                envp.as_ptr(),
            )
        };
        assert_eq!(errno, 0);
        // SAFETY: `status` is writable; the child is ours.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    }

    /// `count` executions with the tags `PREFIX-0`, `PREFIX-1`, ... on so many threads.
    pub(super) fn execs(&self, prefix: &str, count: usize, workers: usize) {
        thread::scope(|scope| {
            for worker in 0..workers {
                scope.spawn(move || {
                    for number in (worker..count).step_by(workers) {
                        self.exec(&format!("{prefix}-{number}"));
                    }
                });
            }
        });
    }
}

/// A pipe: its read and its write end.
pub(super) fn pipe() -> (File, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors; both are ours alone from then on.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

/// A terminal: the side that shows it, which does not block, and the side that programs write to.
pub(super) fn terminal() -> (File, OwnedFd) {
    let (mut shown, mut written) = (0, 0);
    let size = libc::winsize { ws_row: 50, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both numbers are writable, the size is read, the others may be null; both descriptors are ours then.
    let (shown, written) = unsafe {
        let opened =
            libc::openpty(&raw mut shown, &raw mut written, ptr::null_mut(), ptr::null(), &raw const size);
        assert_eq!(opened, 0);
        (File::from_raw_fd(shown), OwnedFd::from_raw_fd(written))
    };
    for descriptor in [shown.as_raw_fd(), written.as_raw_fd()] {
        // SAFETY: descriptors that are open.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: as above.
    unsafe { libc::fcntl(shown.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    (shown, written)
}
