//! The model's own tests: the domain's laws, verdicts on small programs, and survival of any input.

mod asm;
mod domain;
mod graph;
mod programs;
mod random;
mod struct_ops;
mod survival;
