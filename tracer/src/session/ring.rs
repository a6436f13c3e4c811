//! The consumer's side of a BPF ring buffer (kernel/bpf/ringbuf.c): records, in the order of their reservation.
//!
//! The kernel lets user space map a page for the consumer's position, one for the producer's, and the data twice in a
//! row, so that a record that goes on at the beginning lies in one piece:
//!
//! ```text
//! | consumer | producer | data | the same data |
//! ```
//!
//! Every page that is mapped counts as resident memory, and mapped data twice: 16 MiB for a ring of 8. So no more
//! than a window is mapped, and moved along with the position.
//!
//! *Invariant:* a record's room is given back after the record was looked at, and not before.
//!
//! *Must not know:* what a record says.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

use super::mapping::{Access, Mapping};

/// How much of the data is mapped at once, where no record is longer.
const WINDOW: u64 = 256 << 10;
/// include/uapi/linux/bpf.h: bits of a record's length that say something else, and the header's length.
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
const HEADER: u64 = 8;

/// A ring that this process alone reads.
pub(super) struct Ring {
    fd: OwnedFd,
    page: u64,
    /// Bytes of data: a power of two.
    size: u64,
    consumer: Mapping,
    producer: Mapping,
    window: Option<Window>,
    /// The next record's place.
    at: u64,
    /// Where the producer was when it was last looked at.
    produced: u64,
    /// The position was published since the producer was last asked.
    moved: bool,
}

/// A part of the data.
struct Window {
    mapping: Mapping,
    /// Its place in the doubled data.
    start: u64,
}

impl Ring {
    /// Of a map of this many bytes.
    pub(super) fn map(fd: OwnedFd, size: u32) -> io::Result<Self> {
        // SAFETY: no precondition.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let consumer = Mapping::new(fd.as_fd(), Access::Write, 0, page as usize)?;
        let producer = Mapping::new(fd.as_fd(), Access::Read, page, page as usize)?;
        let at = position(&consumer).load(Ordering::Acquire);
        Ok(Self {
            fd,
            page,
            size: size.into(),
            consumer,
            producer,
            window: None,
            at,
            produced: at,
            moved: false,
        })
    }

    /// Hands the next record to `look`; `false` if there is none. Where the kernel has no memory to map the record, it
    /// stays in the ring for the next time.
    pub(super) fn take(&mut self, mut look: impl FnMut(&[u8])) -> bool {
        loop {
            if self.at == self.produced {
                self.settle();
                self.produced = position(&self.producer).load(Ordering::Acquire);
                if self.at == self.produced {
                    return false;
                }
            }
            let Some(header) = self.header() else { return false };
            let len = u64::from(header & !(BUSY | DISCARD));
            if header & BUSY != 0 {
                // Once more, if it may have been finished before its producer saw where this reader is.
                if !self.settle() {
                    return false;
                }
                continue;
            }
            let wanted = header & DISCARD == 0;
            let after = self.at + (HEADER + len).next_multiple_of(HEADER);
            if wanted {
                let Some(record) = self.bytes(HEADER + len) else { return false };
                // SAFETY: inside of the window. The record is finished: nobody writes to it before it is given back.
                look(unsafe {
                    std::slice::from_raw_parts(record.add(HEADER as usize).as_ptr(), len as usize)
                });
            }
            self.at = after;
            // Pairs with the producer's load of it, before it takes the room.
            position(&self.consumer).store(after, Ordering::Release);
            self.moved = true;
            if wanted {
                return true;
            }
        }
    }

    /// How many bytes there are that this reader has not given back.
    pub(super) fn used(&self) -> u64 {
        position(&self.producer).load(Ordering::Relaxed).saturating_sub(self.at).min(self.size)
    }

    /// Bytes of data.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the position was published since the last time. Then either what is read from now on is new, or its
    /// producer sees the position, and wakes this reader.
    fn settle(&mut self) -> bool {
        let moved = std::mem::take(&mut self.moved);
        if moved {
            fence(Ordering::SeqCst);
        }
        moved
    }

    /// The next record's length and its bits.
    fn header(&mut self) -> Option<u32> {
        let header = self.bytes(HEADER)?.cast::<AtomicU32>();
        // SAFETY: inside of the window, aligned to 8. The kernel writes there meanwhile, hence an atomic; what was
        // written to the record before its length is seen with it.
        Some(unsafe { header.as_ref() }.load(Ordering::Acquire))
    }

    /// Where the next `len` bytes of the ring lie.
    fn bytes(&mut self, len: u64) -> Option<NonNull<u8>> {
        let offset = self.at & (self.size - 1);
        let within = |window: &Window| {
            offset >= window.start && offset + len <= window.start + window.mapping.len() as u64
        };
        if !self.window.as_ref().is_some_and(within) {
            self.window = None;
            self.window = Some(self.open(offset, len)?);
        }
        let window = self.window.as_ref()?;
        // SAFETY: inside of the window.
        Some(unsafe { window.mapping.start().add((offset - window.start) as usize) })
    }

    /// A window from the page of `offset` on, which has `len` bytes there: as large as usual, if there is memory.
    fn open(&self, offset: u64, len: u64) -> Option<Window> {
        let start = offset & !(self.page - 1);
        let needed = (offset - start + len).next_multiple_of(self.page);
        let usual = WINDOW.min(self.size);
        let data = 2 * self.page;
        let open = |bytes| {
            let mapping = Mapping::new(self.fd.as_fd(), Access::Read, data + start, bytes as usize).ok()?;
            Some(Window { mapping, start })
        };
        // A header that no producer writes must not make for a window beyond the data.
        (start + needed <= 2 * self.size).then(|| open(needed.max(usual)).or_else(|| open(needed))).flatten()
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Ring {
    /// Readable when there is a record.
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The position at the beginning of a page.
fn position(page: &Mapping) -> &AtomicU64 {
    // SAFETY: a page at the least, and aligned as one; shared, hence an atomic.
    unsafe { page.start().cast::<AtomicU64>().as_ref() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{fs::File, os::fd::FromRawFd, os::unix::fs::FileExt};

    use super::*;

    const PAGE: u64 = 4096;

    /// What the kernel does, on a file that is laid out as a ring.
    struct Producer {
        file: File,
        size: u64,
        at: u64,
    }

    impl Producer {
        fn new(size: u64) -> (Self, Ring) {
            // SAFETY: the name is a C string.
            let fd = unsafe { libc::memfd_create(c"ring".as_ptr(), libc::MFD_CLOEXEC) };
            assert!(fd >= 0);
            // SAFETY: a descriptor that nobody else owns.
            let file = unsafe { File::from_raw_fd(fd) };
            file.set_len(2 * PAGE + 2 * size).unwrap();
            let ring = Ring::map(file.try_clone().unwrap().into(), size as u32).unwrap();
            (Self { file, size, at: 0 }, ring)
        }

        fn consumed(&self) -> u64 {
            let mut position = [0; 8];
            self.file.read_exact_at(&mut position, 0).unwrap();
            u64::from_ne_bytes(position)
        }

        /// Writes into both copies of the data.
        fn write(&self, at: u64, bytes: &[u8]) {
            for (index, byte) in bytes.iter().enumerate() {
                let offset = (at + index as u64) % self.size;
                for copy in [0, self.size] {
                    self.file.write_all_at(&[*byte], 2 * PAGE + copy + offset).unwrap();
                }
            }
        }

        /// `false` if there is no room.
        fn put(&mut self, bits: u32, record: &[u8]) -> bool {
            let after = self.at + (HEADER + record.len() as u64).next_multiple_of(HEADER);
            if after - self.consumed() > self.size {
                return false;
            }
            self.write(self.at + HEADER, record);
            self.write(self.at, &(record.len() as u32 | bits).to_ne_bytes());
            self.at = after;
            self.file.write_all_at(&after.to_ne_bytes(), PAGE).unwrap();
            true
        }
    }

    fn taken(ring: &mut Ring) -> Option<Vec<u8>> {
        let mut record = None;
        ring.take(|bytes| record = Some(bytes.to_vec())).then_some(())?;
        record
    }

    #[test]
    fn records_come_whole_and_in_order_around_and_around() {
        let (mut producer, mut ring) = Producer::new(4 * PAGE);
        assert_eq!(taken(&mut ring), None);
        let record = |number: usize| vec![number as u8; number * 37 % 3000];
        let mut next = 0;
        let mut put = 0;
        while next < 200 {
            while put < 200 && producer.put(0, &record(put)) {
                put += 1;
            }
            assert!(put > next);
            while let Some(bytes) = taken(&mut ring) {
                assert_eq!(bytes, record(next));
                next += 1;
                assert_eq!(producer.consumed(), ring.at);
            }
        }
        assert!(producer.at > 8 * producer.size);
    }

    #[test]
    fn windows_move_along() {
        let (mut producer, mut ring) = Producer::new(4 * WINDOW);
        for number in 0..40 {
            let record = vec![number; 60_000];
            assert!(producer.put(0, &record));
            assert_eq!(taken(&mut ring), Some(record));
            assert_eq!(ring.window.as_ref().unwrap().mapping.len() as u64, WINDOW);
        }
        let long = vec![7; 2 * WINDOW as usize];
        assert!(producer.put(0, &long));
        assert_eq!(taken(&mut ring), Some(long));
    }

    #[test]
    fn discarded_records_are_passed_over_and_unfinished_ones_waited_for() {
        let (mut producer, mut ring) = Producer::new(PAGE);
        producer.put(DISCARD, b"discarded");
        producer.put(0, b"one");
        let unfinished = producer.at;
        producer.put(BUSY, b"two");
        producer.put(0, b"three");
        assert_eq!(taken(&mut ring).as_deref(), Some(&b"one"[..]));
        assert_eq!(taken(&mut ring), None);
        producer.write(unfinished, &3_u32.to_ne_bytes());
        assert_eq!(taken(&mut ring).as_deref(), Some(&b"two"[..]));
        assert_eq!(taken(&mut ring).as_deref(), Some(&b"three"[..]));
        assert_eq!(taken(&mut ring), None);
    }

    #[test]
    fn a_length_that_cannot_be_is_no_record() {
        let (mut producer, mut ring) = Producer::new(PAGE);
        producer.put(0, b"one");
        producer.write(0, &(1_u32 << 29).to_ne_bytes());
        assert_eq!(taken(&mut ring), None);
    }
}
