//! The kernel side's part of the wire contract, in plain Rust: one generator of records for
//! tests, fuzzing and benchmarks.
//!
//! *Invariant:* what it writes is what `tracer_common` documents, byte for byte. It shares no code
//! with the decoders: it is their oracle.

mod hit;
mod life;

use tracer_common::{CHUNK_BYTES, Cgroups, Chunk, Exec, Header, Hook, Kind, Stream};

pub use hit::{SimulatedHit, example_run, hit_from, probe_record};
pub use life::{
    alive_end_record, alive_record, example_alive, example_exit, example_fork, exit_record, fork_record,
};

/// An exec as the kernel side would see it. Lengths and counts in `exec` are filled in by
/// [`SimulatedExec::records`].
#[derive(Clone, Debug, Default)]
pub struct SimulatedExec {
    pub exec: Exec,
    pub filename: Vec<u8>,
    pub interp: Vec<u8>,
    /// From the first to the last.
    pub exe: Vec<Vec<u8>>,
    pub cwd: Vec<Vec<u8>>,
    pub argv: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    /// Chunks of the arguments, by number, that find no room in the ring.
    pub lost_chunks: Vec<u64>,
}

impl SimulatedExec {
    /// A plain successful exec: `/usr/bin/true` by a shell.
    pub fn example() -> Self {
        let mut exec = Exec {
            header: Header {
                hook: Hook::Fentry as u16,
                cpu: 1,
                tid: 4242,
                boot_ns: 81_234_567_890,
                seq: 7,
                ..Header::default()
            },
            start_ns: 81_234_000_000,
            parent_start_ns: 60_000_000_000,
            cgroups: Cgroups { v2: 4567, ..Cgroups::default() },
            pid: 4242,
            ppid: 4000,
            uid: 1000,
            gid: 1000,
            euid: 1000,
            egid: 1000,
            login_uid: 1000,
            session_id: 3,
            pid_ns: 4_026_531_836,
            mnt_ns: 4_026_531_841,
            ns_pid: 4242,
            dirfd: -100,
            ..Exec::default()
        };
        exec.comm[..4].copy_from_slice(b"true");
        exec.parent_comm[..4].copy_from_slice(b"bash");
        let parts = |parts: &[&str]| parts.iter().map(|part| part.as_bytes().to_vec()).collect();
        Self {
            exec,
            filename: b"/usr/bin/true".to_vec(),
            exe: parts(&["usr", "bin", "true"]),
            cwd: parts(&["home", "user"]),
            argv: parts(&["true", "--flag", "value with spaces"]),
            env: parts(&["HOME=/home/user", "PATH=/usr/bin:/bin"]),
            ..Self::default()
        }
    }

    /// Its records, in the order of the ring: chunks, then the event.
    pub fn records(&self) -> Vec<Vec<u8>> {
        let mut exec = self.exec;
        exec.header.kind = Kind::Exec as u16;
        let argv = stream(&self.argv);
        let env = stream(&self.env);
        exec.argc = self.argv.len() as u32;
        exec.argv_bytes = argv.len() as u32;
        exec.env_bytes = env.len() as u32;
        let mut records = Vec::new();
        let mut number = 0;
        let argv_tail = self.chunks(Stream::Argv, &argv, &mut number, &mut exec, &mut records);
        let env_tail = self.chunks(Stream::Env, &env, &mut number, &mut exec, &mut records);

        let exe = components(&self.exe);
        let cwd = components(&self.cwd);
        exec.filename_len = self.filename.len() as u32;
        exec.interp_len = self.interp.len() as u32;
        exec.exe_len = exe.len() as u32;
        exec.cwd_len = cwd.len() as u32;
        exec.argv_len = argv_tail.len() as u32;
        exec.env_len = env_tail.len() as u32;
        let mut body = Vec::new();
        for part in [&self.filename, &self.interp, &exe, &cwd, argv_tail, env_tail] {
            body.extend_from_slice(part);
        }
        records.push(exec_record(exec, &body));
        records
    }

    fn chunks<'a>(
        &self,
        stream: Stream,
        bytes: &'a [u8],
        number: &mut u64,
        exec: &mut Exec,
        records: &mut Vec<Vec<u8>>,
    ) -> &'a [u8] {
        let mut offset = 0;
        while bytes.len() - offset >= CHUNK_BYTES {
            if self.lost_chunks.contains(number) {
                exec.chunks_lost += 1;
            } else {
                let mut header = self.exec.header;
                header.kind = Kind::Chunk as u16;
                header.seq = *number;
                let chunk = Chunk { header, stream: stream as u32, offset: offset as u32 };
                records.push(chunk_record(chunk, &bytes[offset..offset + CHUNK_BYTES]));
            }
            *number += 1;
            offset += CHUNK_BYTES;
        }
        &bytes[offset..]
    }
}

/// An exec record with these variable parts; its size is filled in.
pub fn exec_record(mut exec: Exec, body: &[u8]) -> Vec<u8> {
    exec.header.size = (size_of::<Exec>() + body.len()) as u32;
    record(&exec, body)
}

/// A chunk record with this payload; its size is filled in.
pub fn chunk_record(mut chunk: Chunk, payload: &[u8]) -> Vec<u8> {
    chunk.header.size = (size_of::<Chunk>() + payload.len()) as u32;
    record(&chunk, payload)
}

/// Records out of any bytes, for fuzzing: each starts with a byte that says how much of it is put
/// right (size, kind, hook, thread, lengths), so that garbage gets past the first checks.
pub fn records_from(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let [mend, low, high, rest @ ..] = data {
        let len = usize::from(u16::from_le_bytes([*low, *high]) % 0x1400).min(rest.len());
        let (body, tail) = rest.split_at(len);
        let mut record = body.to_vec();
        if mend & 1 != 0 {
            patch(&mut record, 0, &(len as u32).to_le_bytes());
        }
        if mend & 2 != 0 {
            let kind = if mend & 4 == 0 { Kind::Exec } else { Kind::Chunk };
            patch(&mut record, 4, &(kind as u16).to_le_bytes());
            patch(&mut record, 6, &(Hook::Kprobe as u16).to_le_bytes());
        }
        if mend & 8 != 0 {
            // One event: its tid and time.
            patch(&mut record, 12, &[7, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        }
        if mend & 16 != 0 {
            // The lengths of the variable parts: bytes instead of words.
            let lengths = std::mem::offset_of!(Exec, filename_len);
            for part in 0..6 {
                patch(&mut record, lengths + 4 * part + 1, &[0, 0, 0]);
            }
            let streams = std::mem::offset_of!(Exec, argc);
            for part in 0..3 {
                patch(&mut record, streams + 4 * part + 2, &[0, 0]);
            }
        }
        if mend >> 5 > 1 {
            life::mend(&mut record, (mend >> 5) - 2);
        }
        records.push(record);
        data = tail;
    }
    records
}

fn patch(record: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = record.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn record<T: tracer_common::Plain>(fixed: &T, rest: &[u8]) -> Vec<u8> {
    // SAFETY: `T: Plain` has no padding, so all its bytes are initialised.
    let fixed = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(fixed).cast(), size_of::<T>()) };
    [fixed, rest].concat()
}

fn stream(strings: &[Vec<u8>]) -> Vec<u8> {
    strings.iter().flat_map(|string| string.iter().copied().chain([0])).collect()
}

fn components(path: &[Vec<u8>]) -> Vec<u8> {
    path.iter().rev().flat_map(|part| part.iter().copied().chain([0])).collect()
}
