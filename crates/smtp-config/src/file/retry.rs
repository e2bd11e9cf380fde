//! The list of `[queue] retry`.

use serde::de::{Deserialize, Deserializer, Error};

use crate::value::{Period, ValueError};

/// How many different delays a list may have.
const DELAYS_MAX: usize = 64;

/// How long each attempt waits for the next: `["1m", "5m", "15m", "1h", "…"]`. The last delay repeats until the message
/// expires; the `…` (or `...`) at the end says so to the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry(Vec<Period>);

impl Retry {
    /// The delays, of which the last repeats; never empty, never zero.
    pub fn delays(&self) -> &[Period] {
        &self.0
    }

    fn read(written: &[String]) -> Result<Self, ValueError> {
        let Some((last, delays)) = written.split_last().filter(|(_, delays)| !delays.is_empty()) else {
            return Err(ValueError::new(
                "at least one delay and then \"…\" must stand here, like [\"5m\", \"1h\", \"…\"]",
            ));
        };
        if !is_ellipsis(last) {
            return Err(ValueError::new(
                "the list must end with \"…\": the delay before it repeats until the message expires",
            ));
        }
        if delays.len() > DELAYS_MAX {
            return Err(ValueError::new(format!("no more than {DELAYS_MAX} delays may stand here")));
        }
        delays.iter().map(|text| read_delay(text)).collect::<Result<_, _>>().map(Self)
    }
}

fn read_delay(text: &str) -> Result<Period, ValueError> {
    if is_ellipsis(text) {
        return Err(ValueError::new("\"…\" may stand only at the end of the list"));
    }
    let delay: Period = text.parse()?;
    if delay.0.is_zero() {
        return Err(ValueError::new("a delay of zero would try a dead host without pause; write at least \"1ms\""));
    }
    Ok(delay)
}

fn is_ellipsis(text: &str) -> bool {
    matches!(text, "…" | "...")
}

impl Default for Retry {
    fn default() -> Self {
        Self([60, 300, 900, 3600].map(Period::seconds).to_vec())
    }
}

impl<'de> Deserialize<'de> for Retry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Vec::<String>::deserialize(deserializer)?;
        Self::read(&written).map_err(D::Error::custom)
    }
}
