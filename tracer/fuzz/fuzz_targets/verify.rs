//! Any instructions get an answer from the model, on every kernel: no panic, no hang.
//! `cargo +nightly fuzz run verify` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::generate::bytes::answers;

fuzz_target!(|data: &[u8]| answers(data));
