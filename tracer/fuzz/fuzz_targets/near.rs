//! Generated programs with random damage get an answer: the bytes are seeds and places of damage.
//! `cargo +nightly fuzz run near` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::generate::bytes::damaged_answers;

fuzz_target!(|data: &[u8]| damaged_answers(data));
