//! A record, taken apart.

use std::collections::BTreeMap;

use tracer::session::probe::Attached;
use tracer_common::{Kind, probe::Probe};

/// A record, and its variable parts.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) probe: Probe,
    pub(crate) kernel_stack: Vec<u64>,
    pub(crate) user_stack: Vec<u64>,
    texts: Vec<u8>,
}

impl Hit {
    fn of(bytes: &[u8]) -> Self {
        assert!(bytes.len() >= size_of::<Probe>(), "{} bytes", bytes.len());
        // SAFETY: a record is plain, and there are bytes enough.
        let probe = unsafe { bytes.as_ptr().cast::<Probe>().read_unaligned() };
        assert_eq!(probe.header.kind, Kind::Probe as u16);
        assert_eq!(probe.header.size as usize, bytes.len());
        let mut rest = &bytes[size_of::<Probe>()..];
        let mut take = |len: i32| {
            let (part, left) = rest.split_at(len.max(0) as usize);
            rest = left;
            part.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect::<Vec<_>>()
        };
        let kernel_stack = take(probe.kernel_stack_len);
        let user_stack = take(probe.user_stack_len);
        assert_eq!(rest.len(), probe.text_len as usize);
        Self { probe, kernel_stack, user_stack, texts: rest.to_vec() }
    }

    pub(crate) fn number(&self, i: usize) -> i64 {
        assert!(!self.is_unreadable(i), "value {i} could not be read: {:?}", self.probe);
        self.probe.values[i] as i64
    }

    pub(crate) fn text(&self, i: usize) -> &[u8] {
        assert!(!self.is_unreadable(i), "value {i} could not be read: {:?}", self.probe);
        let value = self.probe.values[i];
        let (at, len) = ((value & 0xffff_ffff) as usize, (value >> 32) as usize);
        &self.texts[at..at + len]
    }

    pub(crate) fn is_cut(&self, i: usize) -> bool {
        self.probe.cut >> i & 1 != 0
    }

    pub(crate) fn is_unreadable(&self, i: usize) -> bool {
        self.probe.unreadable >> i & 1 != 0
    }

    pub(crate) fn duration(&self) -> u64 {
        self.probe.duration_ns
    }
}

/// Everything that is in the ring, in the order of the CPUs' numbers, which have no gap but for what was dropped.
pub(crate) fn drain(attached: &mut Attached) -> Vec<Hit> {
    let mut hits = Vec::new();
    attached.drain(usize::MAX, |bytes, _| hits.push(Hit::of(bytes)));
    hits
}

/// As [`drain`], after everything has been detached: nothing may be missing.
pub(crate) fn all(attached: &mut Attached) -> Vec<Hit> {
    attached.detach();
    let hits = drain(attached);
    let counters = attached.counters();
    assert_eq!(counters.dropped(), 0);
    assert_eq!(counters.produced(), hits.len() as u64);
    assert_eq!(attached.skipped(), 0);
    assert_eq!(attached.totals().busy, 0, "{:?}", attached.totals());
    let mut numbers: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for hit in &hits {
        numbers.entry(hit.probe.header.cpu).or_default().push(hit.probe.header.seq);
    }
    for (cpu, mut numbers) in numbers {
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "CPU {cpu}");
    }
    hits
}
