//! In a guest: the kernel's answer to each case.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracer::generate::{Types, maps};

use crate::kernel::{Kernel, Log};
use crate::{CPUS, Words, case, read};

pub(crate) fn main(words: &Words) -> Result<bool, String> {
    let types = Types::new().ok_or("the generator's own types are broken")?;
    let cases = case::read_all(&read(Path::new(words.one()?))?, &types)?;
    let kernel = Kernel::new(&maps(), &types).map_err(|e| e.to_string())?;
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..CPUS {
            scope.spawn(|| {
                let mut log = Log::new();
                let mut lines = String::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let case = cases.get(at);
                    if let Some(case) = case {
                        kernel.load(&case.program, &mut log, case.walk).write(at, &mut lines);
                    }
                    if lines.len() > 1 << 16 || case.is_none() {
                        let written = std::io::stdout().lock().write_all(lines.as_bytes());
                        lines.clear();
                        if let (Err(error), Ok(mut failed)) = (written, failed.lock()) {
                            *failed = Some(format!("cannot tell the answers: {error}"));
                        }
                    }
                    if case.is_none() {
                        return;
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(true),
    }
}
