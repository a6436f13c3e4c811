//! The kernel's BPF verifier, as a model: it says what one kernel's verifier will say of one program.

pub mod btf;
