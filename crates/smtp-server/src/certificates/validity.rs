//! How long a certificate is valid: the one part of X.509 (RFC 5280 §4.1) that rustls does not tell.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// When the certificate in `der` ends (`notAfter`). None if it is not a certificate, or has a date that is none.
pub(super) fn not_after(der: &[u8]) -> Option<SystemTime> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (to_be_signed, _) = take(certificate, SEQUENCE)?;
    // The version is left out in the first version of X.509.
    let rest = take(to_be_signed, VERSION).map_or(to_be_signed, |(_, rest)| rest);
    let (_serial_number, rest) = take(rest, INTEGER)?;
    let (_signature, rest) = take(rest, SEQUENCE)?;
    let (_issuer, rest) = take(rest, SEQUENCE)?;
    let (validity, _) = take(rest, SEQUENCE)?;
    let (_not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some(not_after)
}

/// The content of the value that `input` begins with, if it has that tag, and what stands behind it.
fn take(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = input.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
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
