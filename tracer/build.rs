//! Puts what the library includes where it includes it from: the kernel-side objects, and the profiles of kernels.
//!
//! The objects are built by `cargo xtask build`, which says in TRACER_BPF_OBJECTS where they are; without that variable
//! they are looked for where xtask leaves them. TRACER_PROFILES names the folder of profiles (`cargo xtask profiles`); without
//! it none is embedded, and the library says so when asked for one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    kernel_side(&out);
    profiles(&out);
}

fn fail(what: &str) -> ! {
    println!("cargo::error={what}");
    process::exit(1);
}

fn kernel_side(out: &Path) {
    println!("cargo::rerun-if-env-changed=TRACER_BPF_OBJECTS");
    let folder = env::var_os("TRACER_BPF_OBJECTS").map_or_else(
        || {
            let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
            manifest.join("../target/bpf")
        },
        PathBuf::from,
    );
    for name in ["tracer.bpf.o", "probe.bpf.o"] {
        let object = folder.join(name);
        println!("cargo::rerun-if-changed={}", object.display());
        if let Err(error) = fs::copy(&object, out.join(name)) {
            fail(&format!(
                "the kernel side is not built ({}: {error}): run `cargo xtask build` once",
                object.display()
            ));
        }
    }
}

/// Writes `EMBEDDED`: each file `RELEASE.profile.xz` of the folder.
fn profiles(out: &Path) {
    println!("cargo::rerun-if-env-changed=TRACER_PROFILES");
    let mut table = String::from("static EMBEDDED: &[Embedded] = &[\n");
    if let Some(folder) = env::var_os("TRACER_PROFILES").map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", folder.display());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => fail(&format!(
                "no profiles in TRACER_PROFILES={}: {error}: run `cargo xtask profiles`, or unset it",
                folder.display()
            )),
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(release) = name.strip_suffix(".profile.xz") {
                println!("cargo::rerun-if-changed={}", file.display());
                let path = file.display().to_string();
                let _ = writeln!(
                    table,
                    "    Embedded {{ release: {release:?}, bytes: include_bytes!({path:?}) }},"
                );
            }
        }
    }
    table.push_str("];\n");
    if let Err(error) = fs::write(out.join("profiles.rs"), table) {
        fail(&format!("cannot write the table of profiles: {error}"));
    }
}
