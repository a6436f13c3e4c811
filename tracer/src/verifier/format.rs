//! The format string of bpf_snprintf(): known before the program runs, so a bad one is refused.
//!
//! `check_bpf_snprintf_call()` (kernel/bpf/verifier.c), `bpf_bprintf_prepare()` (kernel/bpf/helpers.c, 5.13 on; the same
//! in all kernels read). It must not know where the string lies.

use super::env::Env;
use super::report::{Checked, reject, unmodelled};

impl Env<'_> {
    pub(super) fn check_snprintf(&self) -> Checked {
        const MEMBER: u64 = 8;
        let (format, length) = (self.cur.reg(3), self.cur.reg(5));
        if !length.v.t.value.is_multiple_of(MEMBER) {
            reject!(ArgSize, "");
        }
        let arguments = length.v.t.value / MEMBER;
        let bytes = self.reg_map(format)?.frozen.as_deref();
        let at = usize::try_from(self.fixed_offset(format)).ok();
        let Some(text) = at.and_then(|at| bytes?.get(at..)).and_then(|t| t.split(|b| *b == 0).next()) else {
            unmodelled!("a format that is not constant")
        };
        if conversions(text).is_none_or(|used| used > arguments) {
            reject!(ArgConst, "Invalid format string");
        }
        Ok(())
    }
}

/// How many arguments a format uses; `None` if it is not one.
fn conversions(text: &[u8]) -> Option<u64> {
    let at = |i: usize| text.get(i).copied().unwrap_or(0);
    let ends = |c: u8| c == 0 || is_space(c) || c.is_ascii_punctuation();
    let mut used = 0;
    let mut i = 0;
    while i < text.len() {
        let c = text[i];
        if c.is_ascii() && !is_printable(c) && !is_space(c) {
            return None;
        }
        if c != b'%' {
            i += 1;
            continue;
        }
        if at(i + 1) == b'%' {
            i += 2;
            continue;
        }
        i += 1;
        if !at(i).is_ascii() {
            return None;
        }
        while matches!(at(i), b'0' | b'+' | b'-' | b' ') {
            i += 1;
        }
        if at(i).is_ascii_digit() {
            while at(i).is_ascii_digit() {
                i += 1;
            }
        }
        i = match at(i) {
            b'p' => match (at(i + 1), at(i + 2)) {
                (c, _) if ends(c) => i,
                (b'k' | b'u', b's') if ends(at(i + 3)) => i + 2,
                (b'k' | b'u', b's') => return None,
                (b'K' | b'x' | b's' | b'S' | b'B', _) => i + 1,
                (b'i' | b'I', b'4' | b'6') => i + 2,
                _ => return None,
            },
            b's' if ends(at(i + 1)) => i,
            b'c' => i,
            _ => {
                let wide = (at(i) == b'l') as usize;
                let wide = wide + (wide == 1 && at(i + 1) == b'l') as usize;
                if !matches!(at(i + wide), b'i' | b'd' | b'u' | b'x' | b'X') {
                    return None;
                }
                i + wide
            }
        };
        used += 1;
        i += 1;
    }
    Some(used)
}

/// `isspace()`: also the vertical tab and the no-break space (lib/ctype.c).
fn is_space(c: u8) -> bool {
    matches!(c, b' ' | 0x09..=0x0d | 0xa0)
}

/// `isprint()` of what is ASCII.
fn is_printable(c: u8) -> bool {
    matches!(c, 0x20..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::conversions;

    #[test]
    fn arguments_are_counted_and_nonsense_is_refused() {
        for (text, used) in [
            ("", Some(0)),
            ("100%%", Some(0)),
            ("%d %-10llu %08lX %c", Some(4)),
            ("%p %pK %pI4 %pi6 %ps %pB", Some(6)),
            ("%s, %pks.", Some(2)),
            ("caf\u{e9}", Some(0)),
            ("%", None),
            ("%\u{e9}", None),
            ("%pI5", None),
            ("%sx", None),
            ("%lld%lc", None),
            ("\u{7}", None),
        ] {
            assert_eq!(conversions(text.as_bytes()), used, "{text:?}");
        }
    }
}
