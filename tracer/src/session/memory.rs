//! Memory at rest: what only the start needed is given back.
//!
//! Starting reads the kernel's types, judges programs and fits them: megabytes on the heap, and most of this
//! program's own pages. A trace that waits for events needs little of either.

unsafe extern "C" {
    /// Where the program's file is mapped, and where its instructions end: the linker's own symbols (ld(1)). Between
    /// them lie constants and instructions, and nothing that is written to.
    #[link_name = "__executable_start"]
    static START: u8;
    #[link_name = "etext"]
    static END: u8;
}

/// Gives back what only the start needed. The heap's free pages go; the program's own pages are taken out of this
/// process, and come back from the page cache one by one when they are needed.
pub fn settle() {
    // SAFETY: no precondition.
    unsafe { libc::malloc_trim(0) };
    // SAFETY: no precondition.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    // The file begins on a page.
    let start = &raw const START;
    let len = ((&raw const END).addr() & !(page - 1)).saturating_sub(start.addr());
    // SAFETY: the range is mapped from a file, privately, and never written to: what is dropped is read again. A
    // failure costs nothing but memory.
    unsafe { libc::madvise(start.cast_mut().cast(), len, libc::MADV_DONTNEED) };
}
