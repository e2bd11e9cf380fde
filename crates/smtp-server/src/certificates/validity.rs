//! How long a certificate is valid (RFC 5280 §4.1.2.5).

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use smtp_io::certificate::Certificate;
use smtp_io::certificate::der::{GENERALIZED_TIME, UTC_TIME, take};

/// When the certificate in `der` ends (`notAfter`). None if it is not a certificate, or has a date that is none.
pub(super) fn not_after(der: &[u8]) -> Option<SystemTime> {
    let (_not_before, rest) = time(Certificate::parse(der)?.validity)?;
    let (not_after, _) = time(rest)?;
    Some(not_after)
}

/// `UTCTime` or `GeneralizedTime`, as RFC 5280 §4.1.2.5 restricts them: seconds, and `Z`.
fn time(input: &[u8]) -> Option<(SystemTime, &[u8])> {
    let ((text, rest), has_century) = match take(input, UTC_TIME) {
        Some(taken) => (taken, false),
        None => (take(input, GENERALIZED_TIME)?, true),
    };
    let digits = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let full = if has_century {
        digits.to_owned()
    } else {
        let year: u8 = digits.get(..2)?.parse().ok()?;
        format!("{}{digits}", if year < 50 { "20" } else { "19" })
    };
    let date = DateTime::strptime("%Y%m%d%H%M%S", full).ok()?;
    // 99991231235959Z means "no end", and is more than can be counted.
    let timestamp = date.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp());
    Some((timestamp.into(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expires(year: i32, month: u8, day: u8) -> Option<String> {
        let mut parameters = rcgen::CertificateParams::new(vec!["mx.example.org".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(1999, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, month, day);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        not_after(certificate.der()).map(|time| Timestamp::try_from(time).unwrap().to_string())
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        assert_eq!(expires(2027, 2, 28).as_deref(), Some("2027-02-28T00:00:00Z"));
        assert_eq!(expires(2049, 12, 31).as_deref(), Some("2049-12-31T00:00:00Z"));
        assert_eq!(expires(2050, 1, 1).as_deref(), Some("2050-01-01T00:00:00Z"));
        assert!(expires(9999, 12, 31).unwrap().starts_with("9999-12-30"));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        assert_eq!(not_after(b""), None);
        assert_eq!(not_after(b"0\x84\xff\xff\xff\xff0"), None);
        assert_eq!(not_after(b"no certificate"), None);
    }

    #[test]
    fn a_certificate_that_is_cut_off_has_no_end_or_the_same() {
        let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        let der = made.cert.der();
        let end = not_after(der);
        assert!(end.is_some());
        for cut in 0..der.len() {
            assert_eq!(not_after(&der[..cut]), None);
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = not_after(&octets);
        }
    }
}
