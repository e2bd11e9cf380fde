use bytes::BytesMut;

use super::*;
use crate::{ForwardPath, Mail, Rcpt, ReversePath};

const ALL: Extensions = Extensions {
    size: Some(1000),
    pipelining: true,
    eight_bit_mime: true,
    smtputf8: true,
    enhanced_status_codes: true,
    starttls: true,
};

fn read(reply: &str) -> Extensions {
    Extensions::from_reply(&RemoteReply::parse(reply.as_bytes()).unwrap())
}

fn written(extensions: &Extensions) -> String {
    let mut output = BytesMut::new();
    extensions.reply("mx.example.com at your service").unwrap().encode(&mut output);
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(
        written(&ALL),
        "250-mx.example.com at your service\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-STARTTLS\r\n\
         250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
    );
    assert_eq!(written(&Extensions::default()), "250 mx.example.com at your service\r\n");
    for extensions in [ALL, Extensions::default(), Extensions { size: Some(0), ..Extensions::default() }] {
        assert_eq!(read(&written(&extensions)), extensions);
    }
}

#[test]
fn a_greeting_of_two_lines_would_offer_what_it_says() {
    assert_eq!(ALL.reply("mx.example.com\nSTARTTLS"), Err(ReplyError { offset: 14 }));
    assert_eq!(ALL.reply("mx\r"), Err(ReplyError { offset: 2 }));
}

#[test]
fn keywords_are_read_in_any_case_and_unknown_ones_say_nothing() {
    let extensions = read(
        "250-STARTTLS is my name\r\n250-size 35882577 more\r\n250-X-UNKNOWN a b\r\n250-AUTH PLAIN LOGIN\r\n250-AUTH=LOGIN\r\n\
         250-\r\n250- PIPELINING\r\n250-\u{e9}\r\n250-8BitMime now\r\n250 SMTPUTF8x\r\n",
    );
    assert_eq!(extensions, Extensions { size: Some(35_882_577), eight_bit_mime: true, ..Extensions::default() });
}

#[test]
fn size_without_a_number_is_no_limit() {
    for (line, limit) in [("SIZE", 0), ("SIZE 0", 0), ("SIZE many", 0), ("SIZE 99999999999999999999", u64::MAX)] {
        assert_eq!(read(&format!("250-x\r\n250 {line}\r\n")).size, Some(limit), "{line}");
    }
}

fn envelope(reverse_path: &str, forward_paths: &[&str]) -> Envelope {
    let mut envelope = Envelope::new(Mail::new(reverse_path.parse::<ReversePath>().unwrap()));
    envelope.recipients = forward_paths.iter().map(|path| Rcpt::new(path.parse::<ForwardPath>().unwrap())).collect();
    envelope
}

const ASCII: ContentFacts =
    ContentFacts { octets: 500, longest_line_octets: 80, eight_bit: false, eight_bit_header: false };
const EIGHT_BIT: ContentFacts = ContentFacts { eight_bit: true, ..ASCII };

#[test]
fn parameters_follow_from_the_content_and_the_offer() {
    let mut claimed = envelope("<a@b>", &["<c@d>"]);
    claimed.mail.parameters = MailParameters { size: Some(7), body: Some(BodyType::EightBitMime), smtputf8: true };

    let fitting = ALL.fit(&claimed, &ASCII).unwrap();
    assert_eq!(fitting.mail.parameters, MailParameters { size: Some(500), ..MailParameters::default() });
    assert_eq!(fitting.recipients, claimed.recipients);

    let fitting = ALL.fit(&envelope("<a@b>", &["<c@d>"]), &EIGHT_BIT).unwrap();
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
    assert_eq!(ALL.fit(&plain, &big), Err(Unfit::TooLarge { octets: 1001, limit: 1000 }));
    assert!(Extensions { size: Some(0), ..ALL }.fit(&plain, &big).is_ok());
    assert_eq!(Extensions { eight_bit_mime: false, ..ALL }.fit(&plain, &EIGHT_BIT), Err(Unfit::EightBit));

    let ascii_only = Extensions { smtputf8: false, ..ALL };
    assert_eq!(ascii_only.fit(&envelope("<\u{e9}@b>", &["<c@d>"]), &ASCII), Err(Unfit::ReversePathUtf8));
    let unfit = ascii_only.fit(&envelope("<>", &["<postmaster>", "<c@\u{e9}.example>"]), &ASCII).unwrap_err();
    assert_eq!(unfit, Unfit::ForwardPathUtf8 { index: 1 });
    assert_eq!(unfit.status().to_string(), "5.6.7");
}

#[test]
fn addresses_in_utf8_ask_for_smtputf8() {
    let fitting = ALL.fit(&envelope("<\u{e9}@b>", &["<c@d>"]), &ASCII).unwrap();
    assert!(fitting.mail.parameters.smtputf8);
}
