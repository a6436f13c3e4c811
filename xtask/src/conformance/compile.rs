//! The compiled half of the corpus: the kernel's BPF selftests, and the loader that loads them.
//!
//! As the tree's own Makefile does it (tools/testing/selftests/bpf/Makefile, CLANG_BPF_BUILD_RULE), with `vmlinux.h`
//! made from the BTF of the kernel of the same series. An object is compiled again when its source is newer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::profiles;
use crate::setup::selftests::Selftests;
use crate::setup::{clang, kernel, require};
use crate::{paths, step};

/// The tree that selftests come from.
const SERIES: &str = "6.12";

/// BPF's instruction set v3, as the Makefile's default flavour has it.
const FLAGS: [&str; 12] = [
    "--target=bpf",
    "-mcpu=v3",
    "-mlittle-endian",
    "-g",
    "-O2",
    "-std=gnu11",
    "-fno-strict-aliasing",
    "-Wno-everything",
    "-D__TARGET_ARCH_x86",
    // So that the tests of v3's atomics are more than empty functions.
    "-DENABLE_ATOMICS_TESTS",
    "-c",
    "-o",
];

const LOADER: &str = include_str!("loader.c");

/// Compiles the selftests whose names `wanted` accepts; returns the objects, by name.
///
/// # Errors
/// The sources cannot be had, or one does not compile.
pub(super) fn selftests(tools: &clang::Found, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let tree = require(&Selftests { series: SERIES.to_owned() })?;
    let header = vmlinux_header(tools)?;
    let tests = tree.join("tools/testing/selftests/bpf");
    let folder = paths::conformance().join(format!("objects-{SERIES}"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let entries = fs::read_dir(tests.join("progs")).context("the tree has no selftests")?;
    let mut sources: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    sources.retain(|path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        path.extension().is_some_and(|extension| extension == "c") && wanted(&stem)
    });
    sources.sort();
    let object = |source: &PathBuf| {
        folder.join(format!("{}.bpf.o", source.file_stem().unwrap_or_default().to_string_lossy()))
    };
    let stale: Vec<&PathBuf> =
        sources.iter().filter(|source| is_older(&object(source), &[source, &header])).collect();
    if !stale.is_empty() {
        step::say(&format!("compiling {} selftests", stale.len()));
    }
    let include = tools.include();
    let each = |source: &&PathBuf| {
        let object = object(source);
        let partial = object.with_extension("partial");
        let mut command = tools.clang();
        command.args(FLAGS).arg(&partial).arg(*source);
        for folder in [header.parent().unwrap_or(&header), &tests, &include, &tree.join("tools/include/uapi")]
        {
            command.arg("-I").arg(folder);
        }
        command.arg("-idirafter").arg(&include).arg("-idirafter").arg(include.join("x86_64-linux-gnu"));
        run(&mut command)?;
        fs::rename(&partial, &object).with_context(|| format!("cannot name {}", object.display()))
    };
    in_parallel(&stale, each)?;
    Ok(sources.iter().map(object).collect())
}

/// Whether a file is missing, or older than one of these.
fn is_older(file: &Path, than: &[&PathBuf]) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let Some(made) = changed(file) else { return true };
    than.iter().any(|other| changed(other).is_none_or(|other| other > made))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().context("cannot run clang")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}", text.lines().take(5).collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// Does `each` on as many threads as there are processors; the first failure ends it.
fn in_parallel<T: Sync>(items: &[T], each: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = each(item) {
                        next.store(items.len(), Ordering::Relaxed);
                        if let Ok(mut failure) = failure.lock() {
                            failure.get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    match failure.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(()),
    }
}

/// `vmlinux.h` of the series' kernel, by bpftool.
fn vmlinux_header(tools: &clang::Found) -> Result<PathBuf> {
    let kernel = require(&kernel::Kernel::new(SERIES)?)?;
    let folder = paths::conformance().join(format!("include-{}", kernel.version));
    let header = folder.join("vmlinux.h");
    if header.is_file() {
        return Ok(header);
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let btf = folder.join("btf");
    fs::write(&btf, profiles::btf(&kernel)?).context("cannot write the kernel's BTF")?;
    let output = tools.bpftool().args(["btf", "dump", "file"]).arg(&btf).args(["format", "c"]).output();
    let output = output.context("cannot run bpftool")?;
    if !output.status.success() {
        bail!("bpftool cannot dump {}: {}", btf.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    let partial = folder.join("partial");
    fs::write(&partial, output.stdout).context("cannot write vmlinux.h")?;
    fs::rename(&partial, &header).context("cannot name vmlinux.h")?;
    Ok(header)
}

/// Builds the loader; its shared libraries are those of the tools.
///
/// # Errors
/// It does not compile, or there is no `ld`.
pub(crate) fn loader(tools: &clang::Found) -> Result<PathBuf> {
    let folder = paths::conformance();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (source, object, program) = (folder.join("loader.c"), folder.join("loader.o"), folder.join("loader"));
    if program.is_file() && fs::read_to_string(&source).is_ok_and(|text| text == LOADER) {
        return Ok(program);
    }
    fs::write(&source, LOADER).context("cannot write the loader's source")?;
    let mut command = tools.clang();
    command.arg("--sysroot").arg(tools.root()).args(["-O2", "-Wall", "-Werror", "-c"]);
    run(command.arg(&source).arg("-o").arg(&object)).context("compiling the loader")?;
    let library = |name: &str| tools.library(name);
    let mut command = Command::new("ld");
    command.arg("-o").arg(&program).args(["-dynamic-linker", LINKER_IN_GUEST]);
    command.args([library("crt1.o"), library("crti.o"), object]);
    // libbpf itself is linked statically; Debian's static libelf lacks functions of elfutils' own.
    command.args([library("libbpf.a")]).args(LIBRARIES.map(&library));
    command.args([library("libc_nonshared.a"), library("crtn.o")]).arg("-rpath-link").arg(library(""));
    let output = command.output().context("cannot run ld (Debian: binutils)")?;
    if !output.status.success() {
        let _ = fs::remove_file(&source);
        bail!("linking the loader: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(program)
}

/// Where the dynamic linker is, by the psABI.
pub(super) const LINKER_IN_GUEST: &str = "/lib64/ld-linux-x86-64.so.2";

/// What the loader is linked with.
pub(super) const LIBRARIES: [&str; 3] = ["libelf.so.1", "libz.so.1", "libc.so.6"];

/// What those need besides.
pub(super) const MORE_LIBRARIES: [&str; 1] = ["libzstd.so.1"];
