//! Shows what runs on a live Linux host, and says what the kernel's BPF verifier will say.

pub mod verifier;
