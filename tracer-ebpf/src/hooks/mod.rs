//! Where the kernel side is called from: one file per hook family.
//!
//! Each family is enough by itself: it sees successful execs once the new image is in place, and
//! failed ones when the call returns. For the traced tree it sees processes begin and end.

mod fentry;
mod kprobe;
mod syscall;
mod tracepoint;
