//! What a test, a key or a measure speaks of: a value of the point, or something that every hit has.

use core::mem::offset_of;

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use tracer_common::probe::{Fetch, MAX_VALUES, Probe, fetch, operand as which, read};

use crate::{
    maps::POINTS,
    scratch::{self, Block, get, set, within},
};

/// What an operand turned out to be. What is found lies in the block's `number`, `signed`, and, for a text, whose
/// length `number` is, `text_at` and `cut`.
pub(crate) mod found {
    pub(crate) const NUMBER: u32 = 0;
    pub(crate) const TEXT: u32 = 1;
    pub(crate) const COMM: u32 = 2;
    pub(crate) const NOTHING: u32 = 3;
}

/// Looks an operand up: one of [`found`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn operand(index: u32, name: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return found::NOTHING };
    // SAFETY: `block` is working memory.
    unsafe {
        let record = scratch::record(block);
        set!(block, signed, 0);
        set!(block, cut, 0);
        let name = name & 0xff;
        if name < MAX_VALUES as u32 {
            return value(block, name);
        }
        let number = match name as u8 {
            which::PID => u64::from((*record).pid),
            which::TID => u64::from((*record).header.tid),
            which::UID => u64::from((*record).uid),
            which::CPU => bpf_get_smp_processor_id() as u32 as u64,
            which::CGROUP => (*record).cgroup_id,
            which::DURATION => (*record).duration_ns,
            which::POINT => u64::from((*record).point),
            which::COMM => return comm(block),
            _ => return found::NOTHING,
        };
        set!(block, number, number);
        found::NUMBER
    }
}

/// A value of the point.
#[inline(always)]
unsafe fn value(block: *mut Block, i: u32) -> u32 {
    // SAFETY: `block` is working memory, `spec` a map's value; `i` is below the number of its values.
    unsafe {
        let record = scratch::record(block);
        if (*record).unreadable >> i & 1 != 0 {
            return found::NOTHING;
        }
        let Some(spec) = POINTS.get_ptr(get!(block, point) as u32) else { return found::NOTHING };
        if i >= (*spec).values {
            return found::NOTHING;
        }
        let how = (&raw const (*spec).fetches).cast::<Fetch>().add(within::<15>(i.into()));
        let value = (&raw const (*record).values).cast::<u64>().add(within::<15>(i.into())).read_volatile();
        match (*how).read {
            read::VALUE | read::NUMBER => {
                set!(block, signed, u64::from((*how).flags & fetch::SIGNED != 0));
                set!(block, number, value);
                found::NUMBER
            }
            _ => {
                set!(block, cut, u64::from((*record).cut >> i & 1));
                set!(block, number, value >> 32);
                set!(block, text_at, u64::from(scratch::texts(block)) + (value & 0xffff_ffff));
                found::TEXT
            }
        }
    }
}

/// The comm, up to its NUL.
#[inline(always)]
unsafe fn comm(block: *mut Block) -> u32 {
    // SAFETY: `block` is working memory.
    unsafe {
        let bytes = (&raw const (*scratch::record(block)).comm).cast::<u8>();
        let mut len = 0;
        while len < 16 && bytes.add(len).read_volatile() != 0 {
            len += 1;
        }
        set!(block, number, len as u64);
        set!(block, text_at, offset_of!(Probe, comm) as u64);
        found::COMM
    }
}
