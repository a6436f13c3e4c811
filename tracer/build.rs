//! Puts the kernel-side object where the library includes it from.
//!
//! The object is built by `cargo xtask build`, which says in TRACER_BPF_OBJECT where it is; without
//! that variable it is looked for where xtask leaves it.

use std::{env, fs, path::PathBuf, process};

fn main() {
    println!("cargo::rerun-if-env-changed=TRACER_BPF_OBJECT");
    let object = env::var_os("TRACER_BPF_OBJECT").map_or_else(
        || {
            let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
            manifest.join("../target/bpf/tracer.bpf.o")
        },
        PathBuf::from,
    );
    println!("cargo::rerun-if-changed={}", object.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("tracer.bpf.o");
    if let Err(error) = fs::copy(&object, &out) {
        println!(
            "cargo::error=the kernel side is not built ({}: {error}): run `cargo xtask build` once",
            object.display()
        );
        process::exit(1);
    }
}
