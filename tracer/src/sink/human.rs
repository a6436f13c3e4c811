//! Numbers in units that people read.

use std::fmt::Write;

/// Appends nanoseconds with three digits that count: `812 ns`, `12.3 µs`, `1.50 s`.
pub(super) fn duration(ns: u64, out: &mut String) {
    let (unit, one) = match ns {
        ..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (whole, rest) = (ns / one, ns % one);
    // Writing into a string does not fail. What is beyond the digits is cut off: 999.9 µs is not yet a millisecond.
    let _ = match whole {
        _ if one == 1 => write!(out, "{whole} {unit}"),
        ..10 => write!(out, "{whole}.{:02} {unit}", rest / (one / 100)),
        10..100 => write!(out, "{whole}.{} {unit}", rest / (one / 10)),
        _ => write!(out, "{whole} {unit}"),
    };
}

/// Appends a number of bytes with three digits that count: `812 B`, `2.00 MiB`.
pub(super) fn bytes(bytes: u64, out: &mut String) {
    let shift = bytes.max(1).ilog2() / 10 * 10;
    let unit = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][shift as usize / 10];
    let (whole, rest) = (bytes >> shift, u128::from(bytes & ((1 << shift) - 1)));
    let hundredths = (rest * 100) >> shift;
    // Writing into a string does not fail. What is beyond the digits is cut off.
    let _ = match whole {
        _ if shift == 0 => write!(out, "{whole} B"),
        ..10 => write!(out, "{whole}.{hundredths:02} {unit}"),
        10..100 => write!(out, "{whole}.{} {unit}", hundredths / 10),
        _ => write!(out, "{whole} {unit}"),
    };
}

/// Appends a bound of a bucket: `512`, `4K` for 4096. Exact, whatever it is.
pub(super) fn bound(mut bound: i128, out: &mut String) {
    let mut units = ["", "K", "M", "G", "T", "P", "E"].iter();
    let mut unit = units.next();
    while bound != 0 && bound % 1024 == 0 {
        let Some(next) = units.next() else { break };
        bound /= 1024;
        unit = Some(next);
    }
    // Writing into a string does not fail.
    let _ = write!(out, "{bound}{}", unit.unwrap_or(&""));
}

/// A number of bytes, rounded: `512 B`, `12.1 KiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| bytes >> shift > 0) {
        Some((shift, unit)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let check = |ns, expected: &str| {
            let mut text = String::new();
            duration(ns, &mut text);
            assert_eq!(text, expected);
        };
        check(0, "0 ns");
        check(999, "999 ns");
        check(1_000, "1.00 µs");
        check(12_345, "12.3 µs");
        check(999_999, "999 µs");
        check(1_500_000_000, "1.50 s");
        check(3_723_000_000_000, "3723 s");
        check(u64::MAX, "18446744073 s");
    }

    #[test]
    fn sizes_are_rounded() {
        let sizes = [0, 1023, 1024, 12_345, 8 << 20, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "12.1 KiB", "8.0 MiB", "17179869184.0 GiB"]);
    }

    #[test]
    fn bytes_have_three_digits() {
        let check = |value, expected: &str| {
            let mut text = String::new();
            bytes(value, &mut text);
            assert_eq!(text, expected);
        };
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.00 KiB");
        check(2 << 20, "2.00 MiB");
        check((12 << 30) + (1 << 29), "12.5 GiB");
        check(1023 << 20, "1023 MiB");
        check(u64::MAX, "15.9 EiB");
    }

    #[test]
    fn bounds_are_exact() {
        let check = |value, expected: &str| {
            let mut text = String::new();
            bound(value, &mut text);
            assert_eq!(text, expected);
        };
        check(0, "0");
        check(1023, "1023");
        check(4096, "4K");
        check(-4096, "-4K");
        check(1_000_000, "1000000");
        check(1 << 63, "8E");
        check(1 << 64, "16E");
        check(i128::MAX, &i128::MAX.to_string());
    }
}
