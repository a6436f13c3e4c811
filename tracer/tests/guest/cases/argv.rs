//! Arguments of every shape.

use super::{Case, Stage, words};
use crate::elf::exit_argc;
use crate::limits::ENVIRONMENT;
use crate::process::{launch, launch_all};
use crate::sys::{execve, execve_at, execve_env, kernel};
use crate::want::Want;

pub(super) const CASES: &[Case] = &[
    Case::new("argc_0", argc_0),
    Case::new("argv_null", argv_null),
    Case::new("argv_empty_strings", |stage| both(stage, &words(["", "", "x", ""]))),
    Case::new("argv_awkward", |stage| both(stage, &awkward())),
    Case::new("argv_1000", |stage| both(stage, &numbered(1000, 0))),
    Case::new("argv_100k", |stage| both(stage, &[b"big".to_vec(), filler(0, 100 * 1024)])),
    Case::new("argv_12_100k", |stage| both(stage, &numbered(12, 100 * 1024))),
    Case::new("argv_chunk_edges", |stage| both(stage, &edges())),
    Case::new("environment", environment),
];

/// A failed exec with these arguments, then a successful one.
fn both(stage: &Stage, argv: &[Vec<u8>]) -> Vec<Want> {
    let path = stage.ok();
    let who = launch(|gate| {
        // Touched, so that they are resident.
        let strings = crate::sys::Strings::new(argv);
        gate.pass();
        execve_at(c"/no/such".as_ptr(), strings.as_ptr());
        execve(&path, argv);
    });
    vec![who.fails(b"/no/such", argv, libc::ENOENT), who.runs(&path, &path, argv)]
}

fn awkward() -> Vec<Vec<u8>> {
    let mut argv =
        words(["", "new\nline", "tab\t", "\x1b[31mred\x1b[0m", "\"double\" 'single' \\", "größe", "\u{7f}"]);
    argv.push(b"\xff\xfe invalid \xc3".to_vec());
    argv.push((1..=255).collect());
    argv
}

/// Shown only if it is asked for: see `limits`.
fn environment(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["x"]));
    let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
    let who = launch(|gate| {
        gate.pass();
        execve_env(b"/no/such", &argv, &ENVIRONMENT);
        execve_env(&path, &argv, &ENVIRONMENT);
    });
    vec![who.fails(b"/no/such", &argv, libc::ENOENT), who.runs(&path, &path, &argv)]
}

/// Bytes that tell where they stand.
fn filler(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| b'a' + ((at / 26 + at + seed) % 26) as u8).collect()
}

fn numbered(count: usize, len: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| [format!("argument {n} ").into_bytes(), filler(n, len)].concat()).collect()
}

/// Lengths around those at which the kernel side starts another chunk (4,096 bytes).
fn edges() -> Vec<Vec<u8>> {
    let lengths = [4094, 4095, 4096, 4097, 0, 8191, 8192, 1, 4095, 4095];
    lengths.iter().enumerate().map(|(n, len)| filler(n, *len)).collect()
}

/// fs/exec.c, `do_execveat_common`: since 5.18, and in stable releases before it, an image always
/// has one argument, an empty one if its caller gave none. A program tells how many it was given.
fn no_arguments(status: i32) -> Vec<Vec<u8>> {
    match libc::WEXITSTATUS(status) {
        0 if kernel() < (5, 18) => Vec::new(),
        1 => words([""]),
        argc => panic!("{argc} arguments"),
    }
}

fn argc_0(stage: &Stage) -> Vec<Want> {
    // On the heap: a constant's page need not be resident.
    let argv = Box::new([std::ptr::null()]);
    both_without(stage, argv.as_ptr())
}

fn argv_null(stage: &Stage) -> Vec<Want> {
    both_without(stage, std::ptr::null())
}

fn both_without(stage: &Stage, argv: *const *const libc::c_char) -> Vec<Want> {
    let path = stage.program("bin/argc", &exit_argc());
    let name = crate::sys::c(&path);
    let (mut all, status) = launch_all(0, |gate| {
        gate.pass();
        execve_at(c"/no/such".as_ptr(), argv);
        execve_at(name.as_ptr(), argv);
    });
    let (who, argv) = (all.remove(0), no_arguments(status));
    vec![who.fails(b"/no/such", &words([]), libc::ENOENT), who.runs(&path, &path, &argv)]
}
