//! What generated programs find: maps, and types of functions. The same for every seed, so that a guest makes them once.

use std::sync::Arc;

use crate::verifier::btf::builder::BtfBuilder;
use crate::verifier::btf::{Btf, TypeId};
use crate::verifier::program::map_flags;
use crate::verifier::{Map, MapType};

/// Maps by number; the number is also the handle that instructions name.
pub(super) mod map {
    pub(in super::super) const ARRAY: usize = 0;
    pub(in super::super) const HASH: usize = 1;
    pub(in super::super) const PERCPU: usize = 2;
    pub(in super::super) const RING: usize = 3;
    pub(in super::super) const PERF: usize = 4;
    pub(in super::super) const CONST: usize = 5;
    pub(in super::super) const PROGS: usize = 6;
    pub(in super::super) const READ_ONLY: usize = 7;
    pub(in super::super) const WRITE_ONLY: usize = 8;
    pub(in super::super) const LRU: usize = 9;
    pub(in super::super) const OUTER: usize = 10;
    pub(in super::super) const QUEUE: usize = 11;
    pub(in super::super) const ONE: usize = 12;
    pub(in super::super) const STACKS: usize = 13;
}

const FROZEN: [u8; 16] = [7, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0x3f, 0, 0, 0, 0, 0, 0, 0x80];

/// The maps of every generated program.
pub fn maps() -> Vec<Map> {
    let spec: [(MapType, u32, u32, u32, u32); 14] = [
        (MapType::ARRAY, 4, 48, 4, 0),
        (MapType::HASH, 8, 32, 16, 0),
        (MapType::PERCPU_ARRAY, 4, 64, 2, 0),
        (MapType::RINGBUF, 0, 0, 4096, 0),
        (MapType::PERF_EVENT_ARRAY, 4, 4, 2, 0),
        (MapType::ARRAY, 4, FROZEN.len() as u32, 1, map_flags::RDONLY_PROG),
        (MapType::PROG_ARRAY, 4, 4, 2, 0),
        (MapType::HASH, 4, 24, 4, map_flags::RDONLY_PROG),
        (MapType::ARRAY, 4, 24, 4, map_flags::WRONLY_PROG),
        (MapType::LRU_HASH, 12, 20, 16, 0),
        (MapType::ARRAY_OF_MAPS, 4, 4, 2, 0),
        (MapType::QUEUE, 0, 16, 4, 0),
        (MapType::ARRAY, 4, 256, 1, 0),
        (MapType::STACK_TRACE, 4, 80, 4, 0),
    ];
    let mut maps: Vec<Map> = spec
        .iter()
        .enumerate()
        .map(|(i, &(kind, key_size, value_size, max_entries, flags))| Map {
            handle: i as i32,
            name: format!("m{i}"),
            kind,
            key_size,
            value_size,
            max_entries,
            flags,
            extra: 0,
            btf_value: None,
            inner: None,
            frozen: None,
        })
        .collect();
    maps[map::CONST].frozen = Some(FROZEN.as_slice().into());
    let template = Map { handle: -1, value_size: 16, max_entries: 2, ..maps[map::ARRAY].clone() };
    maps[map::OUTER].inner = Some(Box::new(template));
    maps
}

/// Types of functions that a program may be told to have.
#[derive(Clone)]
pub struct Types {
    /// The blob, as bpf(BPF_BTF_LOAD) takes it.
    pub blob: Vec<u8>,
    /// The same, parsed.
    pub btf: Arc<Btf>,
    pub(super) main: TypeId,
    /// Static functions, by number of arguments.
    pub(super) statics: [TypeId; 6],
    /// Global functions of one to three numbers.
    pub(super) globals: [TypeId; 3],
    /// A global function of a pointer to 16 bytes and a number.
    pub(super) global_mem: TypeId,
    /// `long (*)(u32 index, void *ctx)`.
    pub(super) on_loop: TypeId,
    /// `long (*)(map, key, value, ctx)`.
    pub(super) on_element: TypeId,
}

impl Types {
    /// Builds them.
    pub fn new() -> Option<Self> {
        let mut b = BtfBuilder::new();
        let int = b.int("int", 4, 1);
        let long = b.int("long", 8, 1);
        let void_ptr = b.ptr(TypeId(0));
        let pair = b.structure("pair", 16, &[("a", long, 0), ("b", long, 64)]);
        let pair_ptr = b.ptr(pair);
        let main = {
            let p = b.func_proto(int, &[("ctx", void_ptr)]);
            b.func("main", p, 1)
        };
        let names = ["a", "b", "c", "d", "e"];
        let mut of_numbers = |n: usize, name: &str, linkage: usize| {
            let params: Vec<_> = names[..n].iter().map(|p| (*p, long)).collect();
            let p = b.func_proto(long, &params);
            b.func(name, p, linkage)
        };
        let statics = std::array::from_fn(|n| of_numbers(n, &format!("static{n}"), 0));
        let globals = std::array::from_fn(|n| of_numbers(n + 1, &format!("global{n}"), 1));
        let p = b.func_proto(int, &[("p", pair_ptr), ("n", long)]);
        let global_mem = b.func("global_mem", p, 1);
        let p = b.func_proto(long, &[("i", int), ("ctx", void_ptr)]);
        let on_loop = b.func("on_loop", p, 0);
        let p = b.func_proto(
            long,
            &[("map", void_ptr), ("key", void_ptr), ("value", void_ptr), ("ctx", void_ptr)],
        );
        let on_element = b.func("on_element", p, 0);
        let blob = b.build();
        let btf = Arc::new(Btf::parse(blob.clone()).ok()?);
        Some(Self { blob, btf, main, statics, globals, global_mem, on_loop, on_element })
    }
}
