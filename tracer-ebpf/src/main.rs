//! tracer's kernel side.
//!
//! One file per hook family under `hooks`; all of them end in [`exec::succeeded`] or
//! [`exec::failed`], which build the same record. The verifier has to accept every program on
//! every supported kernel, and quickly, so loops are made of global functions (see [`strings`]).
//!
//! *Invariant:* what could not be delivered is counted in [`maps::STATS`].
//!
//! *Must not know:* what becomes of a record, or how a structure member's offset was found.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod cgroup;
mod emit;
mod exec;
mod filter;
mod hooks;
mod kernel;
mod life;
mod maps;
mod path;
mod preempt;
mod scratch;
mod shed;
mod strings;
mod tree;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel gives some helpers to GPL-compatible programs alone.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
