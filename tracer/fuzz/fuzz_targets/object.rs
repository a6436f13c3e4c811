//! Any bytes are an object file or an error: no panic, and bounded memory.
//! `cargo +nightly fuzz run object` in `tracer/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer::object::Object;

fuzz_target!(|data: &[u8]| {
    if let Ok(object) = Object::parse(data, "fuzz.o") {
        for (id, _) in object.programs() {
            let _ = object.function(id);
        }
    }
});
