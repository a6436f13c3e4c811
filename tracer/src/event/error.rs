//! What can be wrong with a record. Each one is a breach of the wire contract by the kernel side
//! (or a record that is not one): worth reporting, never worth stopping for.

/// Why a record could not be decoded, and what is known of the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("a record of {len} bytes is shorter than its {wanted} fixed bytes")]
    Short { len: usize, wanted: usize },
    #[error("a record says that it has {size} bytes, but {len} arrived")]
    Size { size: u32, len: usize },
    #[error("a record of unknown kind {kind} (cpu {cpu}, tid {tid})")]
    Kind { kind: u16, cpu: u32, tid: u32 },
    #[error("the exec of tid {tid} (cpu {cpu}) comes from an unknown hook {hook}")]
    Hook { hook: u16, cpu: u32, tid: u32 },
    #[error("a chunk of tid {tid} (cpu {cpu}) belongs to an unknown stream {stream}")]
    Stream { stream: u32, cpu: u32, tid: u32 },
    #[error("a chunk of tid {tid} (cpu {cpu}) lies at {offset}, before the end of the one that preceded it")]
    Order { offset: u32, cpu: u32, tid: u32 },
    #[error("the exec of tid {tid} (cpu {cpu}) names {named} bytes of variable parts, but carries {carried}")]
    Parts { named: u64, carried: usize, cpu: u32, tid: u32 },
    #[error("the exec of tid {tid} (cpu {cpu}) says that its {stream} have {total} bytes, but more arrived")]
    Stretch { stream: &'static str, total: u32, cpu: u32, tid: u32 },
    #[error("a hit of tid {tid} (cpu {cpu}) is of point {point}, but there are {points}")]
    Point { point: u32, points: usize, cpu: u32, tid: u32 },
    #[error(
        "the hit of tid {tid} (cpu {cpu}) names {named} bytes of stacks and texts, but carries {carried}"
    )]
    HitParts { named: u64, carried: usize, cpu: u32, tid: u32 },
    #[error("the hit of tid {tid} (cpu {cpu}) has a stack of {len} bytes, which are no whole addresses")]
    Stack { len: usize, cpu: u32, tid: u32 },
    #[error("the hit of tid {tid} (cpu {cpu}) has its text {value} outside of its {texts} bytes of texts")]
    Text { value: usize, texts: usize, cpu: u32, tid: u32 },
}
