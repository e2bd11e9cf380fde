use super::super::tests::all;
use super::*;
use crate::{ForwardPath, Mail, Rcpt, ReversePath};

fn envelope(reverse_path: &str, forward_paths: &[&str]) -> Envelope {
    let mut envelope = Envelope::new(Mail::new(reverse_path.parse::<ReversePath>().unwrap()));
    envelope.recipients = forward_paths.iter().map(|path| Rcpt::new(path.parse::<ForwardPath>().unwrap())).collect();
    envelope
}

const ASCII: ContentFacts =
    ContentFacts { octets: 500, longest_line_octets: 80, eight_bit: false, eight_bit_header: false, binary: false };
const EIGHT_BIT: ContentFacts = ContentFacts { eight_bit: true, ..ASCII };

#[test]
fn parameters_follow_from_the_content_and_the_offer() {
    let mut claimed = envelope("<a@b>", &["<c@d>"]);
    claimed.mail.parameters = MailParameters {
        size: Some(7),
        body: Some(BodyType::EightBitMime),
        smtputf8: true,
        ..MailParameters::default()
    };

    let fitting = all().fit(&claimed, &ASCII).unwrap();
    assert_eq!(fitting.mail.parameters, MailParameters { size: Some(500), ..MailParameters::default() });
    assert_eq!(fitting.recipients, claimed.recipients);

    let fitting = all().fit(&envelope("<a@b>", &["<c@d>"]), &EIGHT_BIT).unwrap();
    assert_eq!(fitting.mail.parameters.body, Some(BodyType::EightBitMime));
}

/// Case C26: SMTPUTF8 that nothing needs does not stop a message.
#[test]
fn a_flag_that_the_message_does_not_need_is_dropped() {
    let mut flagged = envelope("<a@example.net>", &["<c@d>"]);
    flagged.mail.parameters.smtputf8 = true;
    let fitting = Extensions::default().fit(&flagged, &ASCII).unwrap();
    assert_eq!(fitting.mail.parameters, MailParameters::default());
    let eight_bit = Extensions { eight_bit_mime: true, ..Extensions::default() };
    assert!(eight_bit.fit(&flagged, &EIGHT_BIT).is_ok());
    let header = ContentFacts { eight_bit_header: true, ..EIGHT_BIT };
    let unfit = eight_bit.fit(&flagged, &header).unwrap_err();
    assert_eq!((unfit, unfit.status()), (Unfit::HeaderUtf8, EnhancedStatus::new(5, 6, 9)));
    // Without the flag it is the old habit of 8-bit header fields.
    assert!(eight_bit.fit(&envelope("<a@example.net>", &["<c@d>"]), &header).is_ok());
}

#[test]
fn what_does_not_fit_is_told() {
    let plain = envelope("<a@b>", &["<c@d>"]);
    let big = ContentFacts { octets: 1001, ..ASCII };
    assert_eq!(all().fit(&plain, &big), Err(Unfit::TooLarge { octets: 1001, limit: 1000 }));
    assert!(Extensions { size: Some(0), ..all() }.fit(&plain, &big).is_ok());
    assert_eq!(Extensions { eight_bit_mime: false, ..all() }.fit(&plain, &EIGHT_BIT), Err(Unfit::EightBit));

    let ascii_only = Extensions { smtputf8: false, ..all() };
    assert_eq!(ascii_only.fit(&envelope("<\u{e9}@b>", &["<c@d>"]), &ASCII), Err(Unfit::ReversePathUtf8));
    let unfit = ascii_only.fit(&envelope("<>", &["<postmaster>", "<c@\u{e9}.example>"]), &ASCII).unwrap_err();
    assert_eq!(unfit, Unfit::ForwardPathUtf8 { index: 1 });
    assert_eq!(unfit.status().to_string(), "5.6.7");
}

#[test]
fn addresses_in_utf8_ask_for_smtputf8() {
    let fitting = all().fit(&envelope("<\u{e9}@b>", &["<c@d>"]), &ASCII).unwrap();
    assert!(fitting.mail.parameters.smtputf8);
}
