//! Times of day as text, without a time zone database.

use std::io::Write;

use super::json::PAIRS;

const DAY: u64 = 86_400;

/// Appends nanoseconds since 1970 as RFC 3339 in UTC: `2026-11-20T23:30:54.123456789Z`.
pub(super) fn rfc3339(unix_ns: u64, out: &mut Vec<u8>) {
    let (seconds, nanos) = (unix_ns / 1_000_000_000, unix_ns % 1_000_000_000);
    let (year, month, day) = date(seconds / DAY);
    let second = seconds % DAY;
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    let nanos = nanos as u32;
    let pairs = [
        (0, (year / 100) as u32),
        (2, (year % 100) as u32),
        (5, month as u32),
        (8, day as u32),
        (11, (second / 3600) as u32),
        (14, (second / 60 % 60) as u32),
        (17, (second % 60) as u32),
        (21, nanos / 1_000_000 % 100),
        (23, nanos / 10_000 % 100),
        (25, nanos / 100 % 100),
        (27, nanos % 100),
    ];
    for (at, pair) in pairs {
        let pair = pair as usize % 100 * 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    text[20] = b'0' + (nanos / 100_000_000) as u8;
    out.extend_from_slice(&text);
}

/// Appends a time of day with milliseconds: `23:30:54.123`.
pub(super) fn time_of_day(unix_ns: u64, utc_offset_s: i32, out: &mut Vec<u8>) {
    let millis = unix_ns / 1_000_000 % 1000;
    let second = (unix_ns / 1_000_000_000).saturating_add_signed(utc_offset_s.into()) % DAY;
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    // Writing into a vector does not fail.
    let _ = write!(out, "{h:02}:{m:02}:{s:02}.{millis:03}");
}

/// Civil date of a day since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms",
/// civil_from_days): years start in March, so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = match month {
        0..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    (year_of_era + era * 400 + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unix_ns: u64, expected: &str) {
        let mut out = Vec::new();
        rfc3339(unix_ns, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn times_are_rfc_3339() {
        check(0, "1970-01-01T00:00:00.000000000Z");
        check(951_827_696_000_000_007, "2000-02-29T12:34:56.000000007Z");
        check(1_709_251_199_999_999_999, "2024-02-29T23:59:59.999999999Z");
        check(4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z");
        check(u64::MAX, "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn times_of_day_follow_the_offset() {
        let mut out = Vec::new();
        time_of_day(1_709_251_199_999_999_999, 3600, &mut out);
        assert_eq!(out, b"00:59:59.999");
    }
}
