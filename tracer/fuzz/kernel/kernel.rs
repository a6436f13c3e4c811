//! The running kernel, as an oracle: bpf(2) and nothing around it.

use std::fmt::Write;
use std::io;

use tracer::generate::Types;
use tracer::verifier::{Map, MapType, Program};

/// `enum bpf_cmd`.
const MAP_CREATE: i32 = 0;
const MAP_UPDATE_ELEM: i32 = 2;
const PROG_LOAD: i32 = 5;
const BTF_LOAD: i32 = 18;
const MAP_FREEZE: i32 = 22;

/// Statistics alone, or every instruction walked.
const LOG_STATS: u32 = 4;
const LOG_WALK: u32 = 1;

/// `union bpf_attr`, as bytes; what a kernel does not know of it is zero.
struct Attr([u8; 144]);

impl Attr {
    fn new() -> Self {
        Self([0; 144])
    }

    fn u32(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn u64(mut self, at: usize, value: u64) -> Self {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn call(&self, command: i32) -> io::Result<i32> {
        // SAFETY: bpf() reads the attributes, which live across the call; the addresses in them are of buffers
        // that the callers hold, of the lengths that stand beside them.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_ptr(), self.0.len()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
    }
}

fn address<T>(of: &[T]) -> u64 {
    of.as_ptr() as u64
}

/// Whether the kernel is asked where it refused, too: that takes it longer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    Shown,
    Silent,
}

/// What the kernel said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// `None` if it loaded the program.
    pub(crate) errno: Option<i32>,
    /// The last line that says something.
    pub(crate) message: String,
    /// The last instruction that it walked, if it was asked for that.
    pub(crate) insn: Option<u32>,
    pub(crate) processed: Option<u32>,
}

impl Answer {
    /// Appends a line: the case's number, errno or 0, the instruction or `-`, instructions walked or `-`, words.
    pub(crate) fn write(&self, case: usize, out: &mut String) {
        let or_dash = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
        let (errno, insn, walked) = (self.errno.unwrap_or(0), or_dash(self.insn), or_dash(self.processed));
        let _ = writeln!(out, "{case}\t{errno}\t{insn}\t{walked}\t{}", self.message.replace('\t', " "));
    }

    pub(crate) fn parse(line: &str) -> Option<(usize, Self)> {
        let mut fields = line.splitn(5, '\t');
        let case = fields.next()?.parse().ok()?;
        let errno = Some(fields.next()?.parse().ok()?).filter(|errno| *errno != 0);
        let (insn, processed) = (fields.next()?.parse().ok(), fields.next()?.parse().ok());
        Some((case, Self { errno, insn, processed, message: fields.next()?.to_owned() }))
    }
}

/// The kernel, with the maps and types of generated programs in it.
pub(crate) struct Kernel {
    /// By the maps' handles.
    maps: Vec<i32>,
    btf: i32,
}

impl Kernel {
    pub(crate) fn new(maps: &[Map], types: &Types) -> io::Result<Self> {
        let context = |what: String| move |e: io::Error| io::Error::new(e.kind(), format!("{what}: {e}"));
        let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: setrlimit reads one structure, which lives across the call.
        unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
        let mut fds = Vec::new();
        for map in maps {
            let inner = match &map.inner {
                Some(inner) => create(inner, 0).map_err(context(format!("inner map of {}", map.name)))?,
                None => 0,
            };
            let fd = create(map, inner).map_err(context(format!("map {}", map.name)))?;
            if let Some(value) = &map.frozen {
                let key = [0u32];
                let update = Attr::new().u32(0, fd as u32).u64(8, address(&key)).u64(16, address(value));
                update.call(MAP_UPDATE_ELEM).map_err(context("update".into()))?;
                Attr::new().u32(0, fd as u32).call(MAP_FREEZE).map_err(context("freeze".into()))?;
            }
            fds.push(fd);
        }
        let load = Attr::new().u64(0, address(&types.blob)).u32(16, types.blob.len() as u32);
        Ok(Self { maps: fds, btf: load.call(BTF_LOAD).map_err(context("BTF".into()))? })
    }

    /// Loads a program, and lets it go.
    pub(crate) fn load(&self, program: &Program, log: &mut Log, walk: Walk) -> Answer {
        let mut answer = self.attempt(program, LOG_STATS, log);
        let cheap = answer.processed.is_none_or(|n| n < 20_000);
        if answer.errno.is_some() && cheap && walk == Walk::Shown {
            let walked = self.attempt(program, LOG_WALK, log);
            answer.insn = walked.insn;
        }
        answer
    }

    fn attempt(&self, program: &Program, level: u32, log: &mut Log) -> Answer {
        let fresh = Self::fresh_array(program);
        let insns = self.bytes(program, fresh);
        let funcs: Vec<[u32; 2]> = program.funcs.iter().map(|f| [f.start, f.type_id.0]).collect();
        let license = b"GPL\0";
        log.0[0] = 0;
        let mut attr = Attr::new()
            .u32(0, program.kind.0)
            .u32(4, program.insns.len() as u32)
            .u64(8, address(&insns))
            .u64(16, address(license))
            .u32(24, level)
            .u32(28, log.0.len() as u32)
            .u64(32, address(&log.0))
            .u32(44, program.flags)
            .u32(68, program.attach.0)
            .u32(108, program.attach_btf_id.0);
        if program.btf.is_some() {
            attr = attr.u32(72, self.btf as u32);
        }
        if !funcs.is_empty() {
            attr = attr.u32(76, 8).u64(80, address(&funcs)).u32(88, funcs.len() as u32);
        }
        let errno = match attr.call(PROG_LOAD) {
            Ok(fd) => {
                // SAFETY: the descriptor is ours, and nobody else knows it.
                unsafe { libc::close(fd) };
                None
            }
            Err(e) => Some(e.raw_os_error().unwrap_or(0)),
        };
        if let Some((_, fd)) = fresh {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
        log.read(errno)
    }

    /// An array of programs of its own for a program that names one: such a map belongs to the type of program that
    /// names it first, for ever.
    fn fresh_array(program: &Program) -> Option<(usize, i32)> {
        let at = program.maps.iter().position(|m| m.kind == MapType::PROG_ARRAY)?;
        let handle = program.maps[at].handle;
        let named = program.insns.iter().any(|i| i.is_ld_imm64() && i.src == 1 && i.imm == handle);
        if !named {
            return None;
        }
        Some((at, create(&program.maps[at], 0).ok()?))
    }

    /// The instructions, with descriptors for the maps' handles.
    fn bytes(&self, program: &Program, fresh: Option<(usize, i32)>) -> Vec<u8> {
        let mut out = Vec::with_capacity(program.insns.len() * 8);
        let mut second = false;
        for insn in &program.insns {
            let first = insn.is_ld_imm64() && !second;
            let imm = match usize::try_from(insn.imm) {
                Ok(handle) if first && matches!(insn.src, 1 | 2) => match &fresh {
                    Some((h, fd)) if *h == handle => *fd,
                    _ => self.maps.get(handle).copied().unwrap_or(i32::MAX),
                },
                _ => insn.imm,
            };
            second = first;
            out.extend([insn.code, insn.dst | insn.src << 4]);
            out.extend(insn.off.to_le_bytes());
            out.extend(imm.to_le_bytes());
        }
        out
    }
}

fn create(map: &Map, inner: i32) -> io::Result<i32> {
    Attr::new()
        .u32(0, map.kind.0)
        .u32(4, map.key_size)
        .u32(8, map.value_size)
        .u32(12, map.max_entries)
        .u32(16, map.flags)
        .u32(20, inner as u32)
        .call(MAP_CREATE)
}

/// Where the kernel writes what it thinks.
pub(crate) struct Log(Vec<u8>);

impl Log {
    pub(crate) fn new() -> Self {
        Self(vec![0; 8 << 20])
    }

    fn read(&self, errno: Option<i32>) -> Answer {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(&self.0[..end]);
        let mut answer = Answer { errno, message: String::new(), insn: None, processed: None };
        for line in text.lines() {
            let number = line.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
            if let Some(count) = line.strip_prefix("processed ") {
                answer.processed = count.split(' ').next().and_then(|n| n.parse().ok());
            } else if !number.is_empty() && line[number.len()..].starts_with(": (") {
                answer.insn = number.parse().ok();
            } else if !number.is_empty() && line[number.len()..].starts_with(": R")
                || [
                    "verification time",
                    "stack depth",
                    "insns processed",
                    "from ",
                    "max_states",
                    "mark_precise",
                ]
                .iter()
                .any(|p| line.starts_with(p))
                || line.trim().is_empty()
            {
            } else {
                answer.message = line.to_owned();
            }
        }
        answer
    }
}
