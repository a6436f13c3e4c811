//! Shows what runs on a live Linux host, and says what the kernel's BPF verifier will say.

pub mod check;
pub mod cli;
pub mod command;
pub mod diagnostic;
pub mod enrich;
pub mod event;
pub mod expr;
#[cfg(any(test, feature = "generate"))]
pub mod generate;
pub mod host;
pub mod object;
pub mod overhead;
pub mod place;
pub mod plan;
pub mod process;
pub mod profiles;
pub mod session;
pub mod sink;
pub mod spec;
pub mod verifier;
