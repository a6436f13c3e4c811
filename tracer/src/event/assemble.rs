//! Records in, events out: chunks are kept until their event joins them.

use tracer_common::{Exit, Fork, Kind, cut, field, shed};

use super::argv::{Extent, Scratch, Source, Unread};
use super::exec::{self, Paths, Raw, Streams};
use super::pending::{Chunks, Key, Pending, Stretches};
use super::{
    AliveEndEvent, AliveEvent, ArgShape, Args, CgroupEvent, DecodeError, ExecEvent, ExitEvent, ForkEvent,
    GapReason, Limits, Unavailable, cgroup, chunk, life, wire,
};

/// The environment variables that events show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EnvWanted {
    #[default]
    None,
    All,
    /// Those with these names.
    Named(Vec<Vec<u8>>),
}

impl EnvWanted {
    fn wants(&self, string: &[u8], shape: ArgShape) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            // Without its beginning a string has no name.
            Self::Named(_) if matches!(shape, ArgShape::Tail | ArgShape::Middle) => false,
            Self::Named(names) => {
                let name = string.split(|byte| *byte == b'=').next();
                names.iter().any(|wanted| name == Some(wanted))
            }
        }
    }
}

/// What a record says, when it is whole.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is not kept")]
pub enum Event<'a> {
    Exec(ExecEvent<'a>),
    Fork(ForkEvent<'a>),
    Exit(ExitEvent<'a>),
    Alive(AliveEvent<'a>),
    AliveEnd(AliveEndEvent),
    Cgroup(CgroupEvent<'a>),
}

impl<'a> Event<'a> {
    /// The execution that it is, if it is one.
    pub fn exec(self) -> Option<ExecEvent<'a>> {
        match self {
            Self::Exec(exec) => Some(exec),
            _ => None,
        }
    }
}

/// Turns records into events.
#[derive(Debug, Default)]
pub struct Assembler {
    limits: Limits,
    env: EnvWanted,
    unavailable: Unavailable,
    chunks: Chunks,
    /// The chunks of the event that was returned last.
    joined: Pending,
    paths: Paths,
    argv: Scratch,
    environ: Scratch,
    /// The fixed part of the event that was returned last.
    exec: tracer_common::Exec,
    fork: Fork,
    exit: Exit,
    found: life::Found,
    cgroup: Vec<u8>,
}

impl Assembler {
    /// An assembler that applies `limits`, shows `env`, and says for the fields in `unavailable`
    /// why they are missing.
    pub fn new(limits: Limits, env: EnvWanted, unavailable: Unavailable) -> Self {
        Self { limits, env, unavailable, ..Self::default() }
    }

    /// How many events' chunks were given up, because the event did not come: it found no room
    /// in the ring, and is counted as lost there.
    pub fn orphans(&self) -> u64 {
        self.chunks.orphans()
    }

    /// Takes one record from the ring: `None` for a chunk, an event for others.
    ///
    /// # Errors
    /// If the record breaks the wire contract. Later records are not affected.
    pub fn push<'a>(&'a mut self, record: &'a [u8]) -> Result<Option<Event<'a>>, DecodeError> {
        let (header, record) = wire::header(record)?;
        let key = Key { tid: header.tid, boot_ns: header.boot_ns };
        match Kind::from_u16(header.kind) {
            Some(Kind::Chunk) => {
                let (chunk, stream, payload) = chunk::decode(record)?;
                match self.chunks.push(key, stream, chunk.offset, payload) {
                    Some(()) => Ok(None),
                    None => {
                        Err(DecodeError::Order { offset: chunk.offset, cpu: header.cpu, tid: header.tid })
                    }
                }
            }
            Some(Kind::Exec) => self.exec(key, record).map(|exec| Some(Event::Exec(exec))),
            Some(Kind::Fork) => {
                life::fork(record, &mut self.fork, &self.unavailable).map(|fork| Some(Event::Fork(fork)))
            }
            Some(Kind::Exit) => {
                life::exit(record, &mut self.exit, &self.unavailable).map(|exit| Some(Event::Exit(exit)))
            }
            Some(Kind::Alive) => {
                life::alive(record, &mut self.found, &self.unavailable).map(|alive| Some(Event::Alive(alive)))
            }
            Some(Kind::AliveEnd) => life::alive_end(record).map(|end| Some(Event::AliveEnd(end))),
            Some(Kind::Cgroup) => {
                cgroup::decode(record, &mut self.cgroup).map(|cgroup| Some(Event::Cgroup(cgroup)))
            }
            Some(Kind::Probe) | None => {
                Err(DecodeError::Kind { kind: header.kind, cpu: header.cpu, tid: header.tid })
            }
        }
    }

    fn exec<'a>(&'a mut self, key: Key, record: &'a [u8]) -> Result<ExecEvent<'a>, DecodeError> {
        let last = std::mem::take(&mut self.joined);
        if !last.argv.bytes.is_empty() || !last.env.bytes.is_empty() {
            self.chunks.recycle(last);
        }
        self.joined = self.chunks.take(key).unwrap_or_default();
        let (exec, hook, parts) = exec::decode(record)?;
        self.exec = exec;
        let exec = &self.exec;
        self.paths.join(exec, &parts);

        let stretch = |stream, total| DecodeError::Stretch {
            stream,
            total,
            cpu: exec.header.cpu,
            tid: exec.header.tid,
        };
        let extents = &mut self.argv.extents;
        let total = exec.argv_bytes;
        let bytes = join(&mut self.joined.argv, parts.argv, total.into(), extents)
            .ok_or_else(|| stretch("arguments", total))?;
        let listed = exec.unreadable.len().min(exec.unreadable_count as usize);
        let counted = (exec.missing | self.unavailable.mask()) & field::ARGC == 0;
        let source = Source {
            bytes,
            total: total.into(),
            argc: counted.then_some(exec.argc),
            hole: match exec.cut & cut::ARGV_MIDDLE != 0 && exec.chunks_lost == 0 {
                true if exec.shed & shed::LONG_ARGV != 0 => GapReason::Shed,
                true => GapReason::MaxBytes,
                false => GapReason::Lost,
            },
            end_cut: exec.cut & cut::ARGV_END != 0,
            unread: Unread { count: exec.unreadable_count, indices: &exec.unreadable[..listed] },
        };
        let argv = self.argv.split(&source, self.limits);

        let env = match self.env {
            EnvWanted::None => None,
            _ => {
                let extents = &mut self.environ.extents;
                let total = exec.env_bytes;
                let bytes = join(&mut self.joined.env, parts.env, total.into(), extents)
                    .ok_or_else(|| stretch("environment", total))?;
                Some(environment(&self.env, &mut self.environ, bytes, exec))
            }
        };
        let raw = Raw { exec, hook, parts };
        let streams = Streams { argv, env };
        Ok(exec::event(raw, &self.paths, streams, &self.unavailable))
    }
}

fn environment<'a>(
    wanted: &EnvWanted,
    scratch: &'a mut Scratch,
    bytes: &'a [u8],
    exec: &tracer_common::Exec,
) -> Args<'a> {
    let source = Source {
        bytes,
        total: exec.env_bytes.into(),
        argc: None,
        hole: GapReason::Lost,
        end_cut: exec.cut & cut::ENV_END != 0,
        unread: Unread::default(),
    };
    scratch.split(&source, Limits::default());
    scratch.retain(bytes, |string, shape| wanted.wants(string, shape))
}

/// Joins a stream's chunks with its tail, which ends where the stream ends: the known bytes, and
/// in `extents` where they lie. `None` if they do not fit into the stream.
fn join<'a>(
    chunks: &'a mut Stretches,
    tail: &'a [u8],
    total: u64,
    extents: &mut Vec<Extent>,
) -> Option<&'a [u8]> {
    extents.clear();
    let start = total.checked_sub(tail.len() as u64)?;
    if chunks.bytes.is_empty() {
        extents.extend((!tail.is_empty()).then_some(Extent { from: start, start: 0, len: tail.len() }));
        return Some(tail);
    }
    if tail.is_empty() {
        (chunks.end() <= total).then_some(())?;
    } else {
        chunks.push(start, tail)?;
    }
    let mut at = 0;
    for (from, len) in &chunks.extents {
        extents.push(Extent { from: *from, start: at, len: *len });
        at += len;
    }
    Some(&chunks.bytes)
}
