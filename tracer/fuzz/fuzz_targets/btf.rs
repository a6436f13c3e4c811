//! Any bytes are BTF or an error, and BTF that parses can be walked: no panic, no hang.
//! `cargo +nightly fuzz run btf` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::verifier::btf::{Btf, TypeId};

fuzz_target!(|data: &[u8]| {
    if let Ok(btf) = Btf::parse(data.to_vec()) {
        for id in 0..btf.type_count() {
            let _ = btf.get(TypeId(id));
        }
    }
});
