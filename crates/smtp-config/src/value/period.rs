//! Lengths of time: `"5m"`, `"1h 30m"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::value::{ValueError, deserialize_from_string};

/// The longest that is taken: ten years. What is longer is a slip, and would overflow sums with a clock.
const MAX: Duration = Duration::from_hours(3650 * 24);

/// Milliseconds of each unit, the longest first.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A length of time, written as numbers with units (ms, s, m, h, d, w): `"500ms"`, `"5m"`, `"1h 30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

impl Period {
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Period {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(ValueError::new("an empty text is no duration; write a number and a unit, like \"5m\""));
        }
        let mut milliseconds: u64 = 0;
        while !rest.is_empty() {
            let (part, behind) = one_part(text, rest)?;
            milliseconds = milliseconds.checked_add(part).ok_or_else(|| too_long(text))?;
            rest = behind.trim_start();
        }
        let length = Duration::from_millis(milliseconds);
        if length > MAX { Err(too_long(text)) } else { Ok(Self(length)) }
    }
}

/// The milliseconds of the first number and unit in `rest`, and what stands behind them.
fn one_part<'a>(text: &str, rest: &'a str) -> Result<(u64, &'a str), ValueError> {
    let digits_end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(digits_end);
    if digits.is_empty() {
        return Err(ValueError::new(format!("{text:?} is no duration; write numbers and units, like \"1h 30m\"")));
    }
    let behind = behind.trim_start();
    let unit_end = behind.find(|character: char| !character.is_alphabetic()).unwrap_or(behind.len());
    let (unit, behind) = behind.split_at(unit_end);
    if unit.is_empty() {
        return Err(ValueError::new(format!(
            "{text:?} lacks a unit; write \"{digits}s\" or \"{digits}m\" (ms, s, m, h, d, w)"
        )));
    }
    let Some((_, unit_milliseconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(ValueError::new(format!("{unit:?} is no unit of time; take one of ms, s, m, h, d, w")));
    };
    let number: u64 = digits.parse().map_err(|_| too_long(text))?;
    let milliseconds = number.checked_mul(*unit_milliseconds).ok_or_else(|| too_long(text))?;
    Ok((milliseconds, behind))
}

fn too_long(text: &str) -> ValueError {
    ValueError::new(format!("{text:?} is longer than ten years"))
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return formatter.write_str("0s");
        }
        let mut separator = "";
        for (unit, unit_milliseconds) in UNITS {
            let number = rest / unit_milliseconds;
            rest %= unit_milliseconds;
            if number > 0 {
                write!(formatter, "{separator}{number}{unit}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

deserialize_from_string!(Period, "a duration such as \"5m\"");
