//! Rendered bytes to a descriptor, on a thread of its own.
//!
//! A reader that does not read must neither stop tracer from hearing a signal nor make it hold more
//! and more memory: at most [`QUEUE`] buffers wait here, and further events wait in the ring, where
//! the kernel side counts what finds no room.
//!
//! *Invariant:* `delivered` counts the events whose bytes the descriptor has taken, all of them.
//!
//! *Must not know:* what the bytes say.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, BorrowedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

/// Buffers that wait for the writer.
const QUEUE: usize = 4;

/// Bytes and the number of events that they show.
#[derive(Debug, Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub events: u64,
}

/// Why nothing more can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The reader went away: nobody wants more.
    Closed,
    /// Anything else, such as a full disk.
    Failed(String),
}

#[derive(Debug, Default)]
struct Shared {
    delivered: AtomicU64,
    failure: Mutex<Option<Failure>>,
}

/// A thread that writes to one descriptor.
#[derive(Debug)]
pub struct Output {
    batches: Option<mpsc::Sender<Batch>>,
    shared: Arc<Shared>,
    done: Option<mpsc::Receiver<()>>,
    /// A second descriptor of the same file, to be asked whether its reader is still there.
    probe: Option<File>,
}

impl Output {
    /// Starts the thread. `file` is written to; errors end the thread.
    pub fn start(file: File) -> io::Result<Self> {
        let (batches, queue) = mpsc::channel::<Batch>(QUEUE);
        let (done_tx, done) = mpsc::channel(1);
        let shared = Arc::new(Shared::default());
        let probe = file.try_clone().ok();
        let writer = shared.clone();
        thread::Builder::new().name("output".into()).spawn(move || {
            write_all(file, queue, &writer);
            drop(done_tx);
        })?;
        Ok(Self { batches: Some(batches), shared, done: Some(done), probe })
    }

    /// Waits for room and hands the batch over. `Err` gives it back when writing has failed.
    ///
    /// Cancel-safe: a batch that is not taken stays with the caller.
    pub async fn ready(&self) -> Result<mpsc::Permit<'_, Batch>, Failure> {
        match &self.batches {
            Some(batches) => batches.reserve().await.map_err(|_| self.failure_or_closed()),
            None => Err(Failure::Closed),
        }
    }

    /// Events whose bytes have been written.
    pub fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Acquire)
    }

    /// Why nothing more can be written, if so.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failure_or_closed(&self) -> Failure {
        self.failure().unwrap_or(Failure::Closed)
    }

    /// Has the reader of a pipe or socket gone away? Asked now and then, since without an event to
    /// write nothing else would tell.
    pub fn reader_is_gone(&self) -> bool {
        let Some(file) = &self.probe else { return false };
        let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one valid pollfd, no waiting.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
        ready == 1 && poll.revents & libc::POLLERR != 0
    }

    /// Waits until everything has been written, but no longer than `patience`: `false` if then
    /// something is still waiting.
    pub async fn finish(&mut self, patience: Duration) -> bool {
        self.batches = None;
        let Some(done) = &mut self.done else { return true };
        tokio::time::timeout(patience, done.recv()).await.is_ok()
    }
}

fn write_all(mut file: File, mut queue: mpsc::Receiver<Batch>, shared: &Shared) {
    while let Some(batch) = queue.blocking_recv() {
        if let Err(error) = write(&mut file, &batch.bytes) {
            let failure = match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Failure::Closed,
                _ => Failure::Failed(error.to_string()),
            };
            *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            return;
        }
        shared.delivered.fetch_add(batch.events, Ordering::Release);
    }
    if let Err(error) = file.flush() {
        *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Failure::Failed(error.to_string()));
    }
}

/// Writes all bytes, also to a descriptor that somebody has made non-blocking.
fn write(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
                // SAFETY: one valid pollfd.
                unsafe { libc::poll(&raw mut poll, 1, -1) };
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// A copy of standard output that can be handed to [`Output::start`].
pub fn stdout() -> io::Result<File> {
    // SAFETY: the descriptor is open while it is borrowed, or the call fails.
    let stdout = unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) };
    Ok(File::from(stdout.try_clone_to_owned()?))
}
