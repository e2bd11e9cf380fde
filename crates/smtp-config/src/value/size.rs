//! Sizes in octets: `"25 MiB"`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::value::ValueError;

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of octets, written with a unit (B, KB, MB, GB, TB; KiB, MiB, GiB, TiB) as in `"25 MiB"`, or as a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let trimmed = text.trim();
        let digits_end = trimmed.find(|character: char| !character.is_ascii_digit()).unwrap_or(trimmed.len());
        let (digits, unit) = trimmed.split_at(digits_end);
        let unit = unit.trim_start();
        if digits.is_empty() {
            return Err(ValueError::new(format!(
                "{text:?} is no size; write a whole number and a unit, like \"25 MiB\""
            )));
        }
        let unit_octets = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, octets)) => *octets,
            None if unit.is_empty() => 1,
            None => return Err(unknown_unit(unit)),
        };
        let number = digits.parse::<u64>().ok();
        let octets = number.and_then(|number| number.checked_mul(unit_octets));
        octets.map(Self).ok_or_else(|| ValueError::new(format!("{text:?} is larger than any file")))
    }
}

fn unknown_unit(unit: &str) -> ValueError {
    let initial = unit.chars().next().map(|initial| initial.to_ascii_uppercase());
    let suggestion = match initial {
        Some(initial @ ('K' | 'M' | 'G' | 'T')) => format!("; did you mean \"{initial}iB\"?"),
        _ => "; take one of B, KiB, MiB, GiB, TiB".to_owned(),
    };
    ValueError::new(format!("{unit:?} is no unit of size{suggestion}"))
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(name, octets)| name.len() != 2 && self.0 != 0 && self.0.is_multiple_of(*octets));
        let (name, octets) = unit.copied().unwrap_or(("B", 1));
        write!(formatter, "{} {name}", self.0 / octets)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a size such as \"25 MiB\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, octets: i64) -> Result<Size, E> {
        u64::try_from(octets).map(Size).map_err(|_| E::custom(format!("{octets} is negative; a size is not")))
    }
}
