//! The parameters of RFC 4865: not to be released before.

use std::fmt;
use std::str::FromStr;

use crate::error::SyntaxError;
use crate::syntax::{self, timestamp};

/// `HOLDFOR=` or `HOLDUNTIL=`: until when a message is to be held (RFC 4865 §3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Hold {
    /// For so long from now on.
    For(HoldInterval),
    /// Until then.
    Until(Timestamp),
}

/// The value of `HOLDFOR=`: 1 to 999,999,999 seconds (RFC 4865 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HoldInterval(u32);

impl HoldInterval {
    /// The greatest number of seconds.
    pub const SECONDS_MAX: u32 = 999_999_999;

    /// So many seconds, unless there are none or more than [`SECONDS_MAX`](Self::SECONDS_MAX).
    pub const fn from_seconds(seconds: u32) -> Option<Self> {
        match seconds {
            1..=Self::SECONDS_MAX => Some(Self(seconds)),
            _ => None,
        }
    }

    /// The seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for HoldInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A date and time in UTC, as `2026-11-25T09:30:00Z`, with fractions of seconds where they were given (RFC 3339 §5.6).
///
/// The text is kept as it was written, and compares exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    text: Box<str>,
    unix_seconds: i64,
}

impl Timestamp {
    pub(crate) fn from_parsed(text: &str, unix_seconds: i64) -> Self {
        Self { text: text.into(), unix_seconds }
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The seconds since 1970-01-01T00:00:00Z. Fractions of a second count as a whole one: what is held is not released early.
    pub const fn unix_seconds(&self) -> i64 {
        self.unix_seconds
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Timestamp {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), timestamp::date_time_utc)
    }
}
