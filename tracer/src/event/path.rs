//! Paths as the kernel side sends them, and file names as the kernel generates them.
//!
//! A path travels as its components from the last to the first, each followed by a NUL.

/// Appends the path whose components these are to `out`. `cut` paths lack their beginning, and
/// therefore their leading slash.
pub(super) fn join(components: &[u8], start: PathStart, out: &mut Vec<u8>) {
    let before = out.len();
    let components = components.strip_suffix(&[0]).unwrap_or(components);
    for component in components.rsplit(|byte| *byte == 0) {
        if component.is_empty() {
            continue;
        }
        if start == PathStart::Root || out.len() > before {
            out.push(b'/');
        }
        out.extend_from_slice(component);
    }
    if start == PathStart::Root && out.len() == before {
        out.push(b'/');
    }
}

/// Where a path's first component lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathStart {
    Root,
    /// Below components that were not copied.
    Unknown,
}

/// The descriptor and the relative name in a name that the kernel generated for an execveat:
/// `/dev/fd/N/name`, or `/dev/fd/N` for the descriptor itself (fs/exec.c, alloc_bprm()).
pub(super) fn generated(filename: &[u8]) -> Option<(i32, &[u8])> {
    let rest = filename.strip_prefix(b"/dev/fd/")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, name) = rest.split_at(digits);
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    match name {
        [] => Some((number, name)),
        [b'/', name @ ..] => Some((number, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(components: &[u8], start: PathStart, expected: &str) {
        let mut out = b"kept".to_vec();
        join(components, start, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("kept{expected}"));
    }

    #[test]
    fn components_are_joined_from_the_root() {
        check(b"", PathStart::Root, "/");
        check(b"ls\0bin\0usr\0", PathStart::Root, "/usr/bin/ls");
        check(b"memfd:x\0", PathStart::Root, "/memfd:x");
        check(b"ls\0bin\0", PathStart::Unknown, "bin/ls");
        check(b"", PathStart::Unknown, "");
        check(b"no nul", PathStart::Root, "/no nul");
        check(b"\0\0\0", PathStart::Root, "/");
    }

    #[test]
    fn generated_names_are_taken_apart() {
        assert_eq!(generated(b"/dev/fd/7"), Some((7, &b""[..])));
        assert_eq!(generated(b"/dev/fd/7/a/b"), Some((7, &b"a/b"[..])));
        assert_eq!(generated(b"/dev/fd/7b"), None);
        assert_eq!(generated(b"/dev/fd/"), None);
        assert_eq!(generated(b"/dev/fd/99999999999"), None);
        assert_eq!(generated(b"/bin/ls"), None);
    }
}
