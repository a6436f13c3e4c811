//! Versions as set-up compares them: the numbers of a dotted version, and Debian's upstream part.

use std::cmp::Ordering;

/// The upstream part of a Debian version: without epoch, revision and the packager's suffixes.
///
/// `1:10.0.2+ds-2+deb13u1` is `10.0.2`; `7.3~rc7-1~exp1` is `7.3~rc7`.
pub(crate) fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(upstream, _)| upstream);
    version.split('+').next().unwrap_or(version)
}

/// The leading numbers of a dotted version: `10.0.2` is `[10, 0, 2]`, `7.3~rc7` is `[7, 3]`.
pub(crate) fn numbers(version: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for part in version.split('.') {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        match digits.parse() {
            Ok(number) => numbers.push(number),
            Err(_) => break,
        }
        if digits.len() != part.len() {
            break;
        }
    }
    numbers
}

/// Whether `version` lies in the series that `prefix` names: `6.1` holds 6.1.192 and not 6.12.
pub(crate) fn in_series(version: &str, prefix: &str) -> bool {
    let series = numbers(prefix);
    !series.is_empty() && numbers(version).starts_with(&series)
}

/// Orders two Debian versions of one package as `dpkg --compare-versions` does: runs of
/// non-digits and of digits in turn, `~` before the end of the text, letters before the rest.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = epoch(left);
    let (right_epoch, right) = epoch(right);
    left_epoch.cmp(&right_epoch).then_with(|| compare_runs(left.as_bytes(), right.as_bytes()))
}

fn epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

fn compare_runs(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = split_run(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split_run(right, |byte| !byte.is_ascii_digit());
        let (left_number, left_rest) = split_run(left_rest, u8::is_ascii_digit);
        let (right_number, right_rest) = split_run(right_rest, u8::is_ascii_digit);
        let order =
            compare_text(left_text, right_text).then_with(|| compare_number(left_number, right_number));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn split_run(text: &[u8], within: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| within(byte)).count())
}

fn compare_text(left: &[u8], right: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    (0..left.len().max(right.len()))
        .map(|at| weight(left.get(at)).cmp(&weight(right.get(at))))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

fn compare_number(left: &[u8], right: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits[zeros..].to_vec()
    };
    let (left, right) = (significant(left), significant(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_drops_what_debian_added() {
        for (version, expected) in [
            ("1:10.0.2+ds-2+deb13u1~bpo12+1", "10.0.2"),
            ("5.10.223-1", "5.10.223"),
            ("7.3~rc7-1~exp1", "7.3~rc7"),
            ("1.96.0+dfsg1-1~deb12u2", "1.96.0"),
            ("22", "22"),
        ] {
            assert_eq!(upstream(version), expected, "{version}");
        }
    }

    #[test]
    fn a_series_is_whole_numbers() {
        assert!(in_series("6.1.192", "6.1"));
        assert!(in_series("6.1", "6.1"));
        assert!(in_series("7.3~rc7", "7.3"));
        assert!(!in_series("6.12.94", "6.1"));
        assert!(!in_series("6.1", "6.1.5"));
        assert!(!in_series("6.1", ""));
        assert!(!in_series("6.1", "new"));
    }

    #[test]
    fn versions_order_as_dpkg_orders_them() {
        for (less, more) in [
            ("5.10.223-1", "5.10.262-1"),
            ("6.12.9-1", "6.12.107-1"),
            ("7.3~rc7-1", "7.3-1"),
            ("7.2.12-1~bpo13+1", "7.2.12-1"),
            ("6.12.90-1", "6.12.90-2"),
            ("9.0", "1:1.0"),
            ("1.0", "1.0+deb1"),
            ("1.0a", "1.0+"),
        ] {
            assert_eq!(compare(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare(more, less), Ordering::Greater, "{more} {less}");
        }
        assert_eq!(compare("1.02-1", "1.2-1"), Ordering::Equal);
    }
}
