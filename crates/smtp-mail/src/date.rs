//! Dates as header fields write them.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The `date-time` of RFC 5322 §3.3, in UTC: `Wed, 1 Jan 2025 00:00:00 +0000`.
///
/// A time before 1970 or after 9999 is shown as the start of 1970.
pub fn date_time(time: SystemTime) -> String {
    let timestamp = Timestamp::try_from(time).unwrap_or_default().max(Timestamp::UNIX_EPOCH);
    let utc = timestamp.to_zoned(TimeZone::UTC);
    utc.strftime("%a, %-d %b %Y %H:%M:%S %z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_rfc_5322() {
        let at = |seconds| date_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_735_689_600), "Wed, 1 Jan 2025 00:00:00 +0000");
        assert_eq!(at(1_795_622_399), "Wed, 25 Nov 2026 15:59:59 +0000");
        assert_eq!(at(0), "Thu, 1 Jan 1970 00:00:00 +0000");
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(date_time(before), at(0));
        assert_eq!(at(1 << 50), at(0));
    }
}
