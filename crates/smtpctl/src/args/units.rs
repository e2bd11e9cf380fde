//! Times and sizes as people write them.

use std::time::Duration;

use smtp_admin::Size;

/// "90s", "5m", "1h30m", "2d"; a number without unit is in seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: write \"90s\", \"5m\", \"1h30m\" or \"2d\"");
    let (mut rest, mut seconds) = (text, 0_u64);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, unit, after) = quantity(rest).ok_or_else(wrong)?;
        let factor = match unit {
            "" | "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(wrong()),
        };
        seconds = number.checked_mul(factor).and_then(|part| part.checked_add(seconds)).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(Duration::from_secs(seconds))
}

/// "10KiB" and "+10KiB": at least; "-10KiB": at most.
pub(super) fn size(text: &str) -> Result<Size, String> {
    match text.strip_prefix('-') {
        Some(rest) => octets(rest).map(Size::AtMost),
        None => octets(text.strip_prefix('+').unwrap_or(text)).map(Size::AtLeast),
    }
    .ok_or_else(|| format!("`{text}` is not a size: write \"500\", \"10KiB\", \"+1MiB\" or \"-1MiB\""))
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}

fn octets(text: &str) -> Option<u64> {
    let (number, unit, rest) = quantity(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    if rest.is_empty() { number.checked_mul(factor) } else { None }
}

/// A number, its unit, and what follows.
fn quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    let (unit, rest) = (text[digits..].trim_start(), &text[digits..]);
    let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
    let skipped = rest.len() - unit.len();
    Some((number, &unit[..end], &rest[skipped + end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800), ("5 min", 300)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "5x", "-5m", "1.5h", "5m!", "99999999999999999999s", "18446744073709551615w"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_a_direction() {
        for (text, expected) in [
            ("500", Size::AtLeast(500)),
            ("+1MiB", Size::AtLeast(1 << 20)),
            ("-10K", Size::AtMost(10 << 10)),
            ("10 kB", Size::AtLeast(10_000)),
        ] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in ["", "-", "+-5", "5TiBs", "x", "5K5", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
