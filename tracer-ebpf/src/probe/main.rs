//! The kernel side of `tracer probe`: an object of its own, so that what `tracer exec` loads stays small.
//!
//! Every mechanism has its programs in [`hooks`]; each brings the values that its place has by nature and ends in
//! [`engine`], which does what the point's [`PointSpec`](tracer_common::probe::PointSpec) says. What a run does not
//! need is switched off by read-only globals: the verifier drops it.
//!
//! Loops are made of global functions, which take numbers alone: their state is in a block of working memory
//! ([`scratch`]), which belongs to one hit at a time.
//!
//! *Invariant:* a hit that passes its filters is delivered or counted; so is one that could not be looked at.
//!
//! *Must not know:* names, types, or how a value is shown.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod calls;
mod condition;
mod deliver;
mod emit;
mod engine;
mod fetch;
#[path = "../filter.rs"]
mod filter;
mod group;
mod hooks;
#[path = "../kernel.rs"]
mod kernel;
mod maps;
mod operand;
#[path = "../preempt.rs"]
mod preempt;
mod scratch;
#[path = "../tree.rs"]
mod tree;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel gives some helpers to GPL-compatible programs alone.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
