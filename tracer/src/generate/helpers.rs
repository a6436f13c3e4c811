//! Helpers that generated programs call, and what each wants. A program type that may not call one is part of the test.

use super::world::map;

/// What goes into an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    Num,
    Imm(i32),
    Ctx,
    /// One of these maps.
    Map(&'static [usize]),
    Key,
    Value,
    /// Memory that is read; its size is the next argument, or 8.
    Read,
    /// Memory that is written.
    Write,
    Size,
    /// Zero is allowed.
    SizeOrZero,
}

/// What comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Give {
    Num,
    /// Maybe a value of the map.
    Value,
}

pub(super) struct Helper {
    pub(super) id: i32,
    pub(super) args: &'static [Want],
    pub(super) give: Give,
}

const fn helper(id: i32, args: &'static [Want], give: Give) -> Helper {
    Helper { id, args, give }
}

use Want::{Ctx, Imm, Key, Map, Num, Read, Size, SizeOrZero, Value, Write};

const KEYED: &[usize] = &[map::ARRAY, map::HASH, map::PERCPU, map::LRU, map::READ_ONLY, map::WRITE_ONLY];
const PERCPU: &[usize] = &[map::PERCPU, map::PERCPU, map::ARRAY];

pub(super) const HELPERS: &[Helper] = &[
    helper(1, &[Map(KEYED), Key], Give::Value),
    helper(1, &[Map(KEYED), Key], Give::Value),
    helper(2, &[Map(KEYED), Key, Value, Num], Give::Num),
    helper(2, &[Map(KEYED), Key, Value, Imm(0)], Give::Num),
    helper(3, &[Map(KEYED), Key], Give::Num),
    helper(4, &[Write, Size, Num], Give::Num),
    helper(5, &[], Give::Num),
    helper(6, &[Read, Size, Num, Num], Give::Num),
    helper(8, &[], Give::Num),
    helper(12, &[Ctx, Map(&[map::PROGS]), Num], Give::Num),
    helper(14, &[], Give::Num),
    helper(15, &[], Give::Num),
    helper(16, &[Write, Size], Give::Num),
    helper(25, &[Ctx, Map(&[map::PERF]), Num, Read, SizeOrZero], Give::Num),
    helper(26, &[Ctx, Num, Write, Size], Give::Num),
    helper(27, &[Ctx, Map(&[map::STACKS]), Num], Give::Num),
    helper(28, &[Read, SizeOrZero, Read, SizeOrZero, Num], Give::Num),
    helper(35, &[], Give::Num),
    helper(44, &[Ctx, Num], Give::Num),
    helper(45, &[Write, Size, Num], Give::Num),
    helper(65, &[Ctx, Num], Give::Num),
    helper(67, &[Ctx, Write, SizeOrZero, Num], Give::Num),
    helper(67, &[Ctx, Write, SizeOrZero, Num], Give::Num),
    helper(87, &[Map(&[map::QUEUE]), Value, Num], Give::Num),
    helper(88, &[Map(&[map::QUEUE]), Value], Give::Num),
    helper(89, &[Map(&[map::QUEUE]), Value], Give::Num),
    helper(105, &[Read, Size, Num, Write], Give::Num),
    helper(112, &[Write, SizeOrZero, Num], Give::Num),
    helper(113, &[Write, SizeOrZero, Num], Give::Num),
    helper(113, &[Write, SizeOrZero, Num], Give::Num),
    helper(114, &[Write, SizeOrZero, Num], Give::Num),
    helper(115, &[Write, SizeOrZero, Num], Give::Num),
    helper(115, &[Write, SizeOrZero, Num], Give::Num),
    helper(130, &[Map(&[map::RING]), Read, SizeOrZero, Num], Give::Num),
    helper(134, &[Map(&[map::RING]), Num], Give::Num),
    helper(182, &[Read, Size, Read], Give::Num),
    helper(195, &[Map(PERCPU), Key, Num], Give::Value),
];
