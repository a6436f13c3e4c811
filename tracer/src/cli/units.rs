//! Numbers with units, and other values that a word alone can get wrong: for clap, which names
//! the option and the value.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::life::Generations;
use crate::overhead::Share;

/// A size in bytes: `65536`, `64K`, `8M`, `1GiB`. Units are powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const FORM: &str = "expected a size such as 65536, 64K, 8M or 1GiB";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(FORM.into()),
    };
    let number: u64 = number.parse().map_err(|_| FORM.to_string())?;
    number.checked_mul(1 << shift).ok_or_else(|| "larger than any memory".into())
}

/// A time: `500ms`, `10s`, `1m30s`, `2h`, `1d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "expected a time such as 500ms, 10s, 1m30s or 2h";
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("no unit: write {text}s for seconds"));
    }
    let too_long = || "longer than anything lasts".to_string();
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| FORM.to_string())?;
        let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" | "min" => seconds(60),
            "h" => seconds(3600),
            "d" => seconds(86_400),
            _ => return Err(FORM.into()),
        };
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(too_long)?;
        rest = tail;
    }
    match total {
        Duration::ZERO if text.is_empty() => Err(FORM.into()),
        Duration::ZERO => Err("no time at all: nothing would be traced".into()),
        // The kernel's clocks count nanoseconds in 64 bits.
        total if u64::try_from(total.as_nanos()).is_err() => Err(too_long()),
        total => Ok(total),
    }
}

/// A share of the time of all CPUs: `1%`, `0.5%`, or `1` without the sign.
pub(super) fn share(text: &str) -> Result<Share, String> {
    const FORM: &str = "expected a percentage from 0.1% to 100%, such as 1%";
    /// Decimals of a percentage: thousandths of it are the finest.
    const DECIMALS: usize = 3;
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(rest) || rest.len() > DECIMALS {
        return Err(FORM.into());
    }
    let whole: u32 = whole.parse().map_err(|_| FORM.to_string())?;
    let thousandths: u32 = format!("{rest:0<DECIMALS$}").parse().map_err(|_| FORM.to_string())?;
    let ppm = whole.checked_mul(10_000).and_then(|ppm| ppm.checked_add(thousandths * 10));
    match ppm.map(Share::from_ppm) {
        Some(share) if share < Share::from_ppm(1_000) => {
            Err("less than can be kept: the least is 0.1%".into())
        }
        Some(share) if share <= Share::ALL => Ok(share),
        _ => Err("more than there is: up to 100%".into()),
    }
}

/// How many hits stand for one that is shown: `1/100`.
pub(super) fn sample(text: &str) -> Result<NonZeroU32, String> {
    const FORM: &str = "expected a fraction such as 1/100";
    let of = text.strip_prefix("1/").ok_or(FORM)?;
    of.parse().map_err(|_| FORM.to_string())
}

/// A number a second: `1000/s`, or `1000`.
pub(super) fn rate(text: &str) -> Result<NonZeroU32, String> {
    const FORM: &str = "expected a number a second such as 1000/s";
    text.strip_suffix("/s").unwrap_or(text).parse().map_err(|_| FORM.to_string())
}

/// A whole number with a unit of sizes or times, or none: `-5`, `64K`, `10us`. Times are nanoseconds.
pub(super) fn quantity(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{text}' is no number such as 4096, 64K or 10us");
    let (sign, amount) = match text.strip_prefix('-') {
        Some(amount) => (-1, amount),
        None => (1, text),
    };
    let digits = amount.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = amount.split_at(digits);
    let factor: i64 = match unit {
        "" | "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).map(|number| sign * number).ok_or_else(wrong)
}

/// A process id.
pub(super) fn pid(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("0 is the idle task, which executes nothing".into()),
        // PID_MAX_LIMIT of include/linux/threads.h.
        Ok(pid) if pid <= 1 << 22 => Ok(pid),
        Ok(_) => Err("Linux has no process ids above 4194304".into()),
        Err(_) => Err("expected a process id, a number such as 1234".into()),
    }
}

/// A command name.
pub(super) fn comm(text: &str) -> Result<String, String> {
    /// `TASK_COMM_LEN` of include/linux/sched.h, without the NUL.
    const MAX: usize = 15;
    if text.is_empty() {
        return Err("a process' name is not empty".into());
    }
    if text.len() <= MAX {
        return Ok(text.into());
    }
    let mut end = MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Err(format!(
        "{} bytes, but the kernel keeps the first {MAX} of a process' name: try '{}'",
        text.len(),
        &text[..end],
    ))
}

/// The name of an environment variable, or `*`.
pub(super) fn env_name(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) => Err(format!("a name has no '=': try '{name}', or '*' for all")),
        None if text.is_empty() => Err("an empty name: '*' stands for all".into()),
        None => Ok(text.into()),
    }
}

/// How many generations.
pub(super) fn generations(text: &str) -> Result<Generations, String> {
    match text {
        "all" => Ok(Generations::All),
        text => text
            .parse()
            .map(Generations::Most)
            .map_err(|_| "expected a number of generations from 1 on, or 'all'".to_owned()),
    }
}

/// How many to show.
pub(super) fn limit(text: &str) -> Result<NonZeroU32, String> {
    match text.parse::<u32>() {
        Ok(number) => {
            NonZeroU32::new(number).ok_or_else(|| "0 would show nothing: leave it out to show all".into())
        }
        Err(_) => Err("expected a number from 1 to 4294967295".into()),
    }
}

/// How many events to wait for.
pub(super) fn count(text: &str) -> Result<NonZeroU64, String> {
    match text.parse::<u64>() {
        Ok(number) => NonZeroU64::new(number)
            .ok_or_else(|| "0 events: nothing would be traced; leave it out to go on".into()),
        Err(_) => Err("expected a number of events from 1 on".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("1", 1),
            ("64K", 65_536),
            ("64k", 65_536),
            ("8M", 8 << 20),
            ("8MiB", 8 << 20),
            ("1GiB", 1 << 30),
            ("512b", 512),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "1.5M", "-1", "8X", "1 G", "99999999999999999999", "99999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        for (text, ppm) in
            [("1%", 10_000), ("1", 10_000), ("0.1%", 1_000), ("12.345%", 123_450), ("100%", 1_000_000)]
        {
            assert_eq!(share(text), Ok(Share::from_ppm(ppm)), "{text}");
        }
        for text in
            ["", "%", ".5", "1.", "-1%", "1.2345%", "0", "0.09%", "100.001%", "101", "99999999999", "1 %"]
        {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("1m30s", 90_000), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "1.5s", "0s", "-1s", "10x", "9999999999999d", "10s "] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
