//! A kernel's release, read from text.

use crate::object::KernelVersion;

/// Reads `6.12`, `6.12.107`, `v6.12.107+deb13-cloud-amd64`, `7.3-rc7`. `None` for anything else.
pub fn parse_version(text: &str) -> Option<KernelVersion> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    if rest.starts_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let mut parts = numbers.split('.');
    let (major, minor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let patch = match parts.next() {
        Some(text) => text.parse().ok()?,
        None => 0,
    };
    // Distributions append more numbers (`5.14.0.1`): they say nothing of behaviour.
    parts.all(|part| part.parse::<u32>().is_ok()).then(|| KernelVersion::new(major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_all_forms_are_read() {
        for (text, expected) in [
            ("6.12", Some((6, 12, 0))),
            ("5.10.223", Some((5, 10, 223))),
            ("v6.12.107+deb13-cloud-amd64", Some((6, 12, 107))),
            ("7.3-rc7", Some((7, 3, 0))),
            ("5.10.0-32-cloud-amd64", Some((5, 10, 0))),
            ("6", None),
            ("", None),
            ("6.", None),
            ("6.12.x", None),
            ("6.12abc", None),
            ("six.twelve", None),
            ("99999.1", None),
        ] {
            let expected = expected.map(|(major, minor, patch)| KernelVersion::new(major, minor, patch));
            assert_eq!(parse_version(text), expected, "{text:?}");
        }
    }
}
