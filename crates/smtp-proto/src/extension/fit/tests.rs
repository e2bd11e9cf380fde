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

/// A message with everything that a sender can wish for, in ASCII.
fn wishes(parameters: &str, rcpt_parameters: &str) -> Envelope {
    let mut envelope = Envelope::new(Mail::parse(format!("MAIL FROM:<a@b>{parameters}").as_bytes()).unwrap());
    envelope.recipients.push(Rcpt::parse(format!("RCPT TO:<c@d>{rcpt_parameters}").as_bytes()).unwrap());
    envelope
}

type Offer = fn(&mut Extensions);

const ALL: Offer = |_| {};

fn fitted(
    parameters: &str,
    rcpt_parameters: &str,
    change: Offer,
    facts: ContentFacts,
) -> Result<(String, String), Unfit> {
    let mut offered = Extensions { size: None, ..all() };
    change(&mut offered);
    let fitting = offered.fit(&wishes(parameters, rcpt_parameters), &facts)?;
    let shown = (fitting.mail.parameters.to_string(), fitting.recipients[0].parameters.to_string());
    assert!(offered.permits_mail(&fitting.mail.parameters), "{shown:?}");
    assert!(offered.permits_rcpt(&fitting.recipients[0].parameters), "{shown:?}");
    Ok(shown)
}

/// What is asked for, what is offered, what is sent.
#[test]
fn wishes_are_kept_dropped_or_forbid_it() {
    let table: [(&str, Offer, Result<&str, Unfit>); 27] = [
        (" REQUIRETLS", ALL, Ok(" REQUIRETLS")),
        (" REQUIRETLS", |e| e.require_tls = false, Err(Unfit::RequireTls)),
        (" RET=HDRS ENVID=x+2By", ALL, Ok(" RET=HDRS ENVID=x+2By")),
        (" RET=HDRS ENVID=x+2By", |e| e.dsn = false, Ok("")),
        (" AUTH=a@b", ALL, Ok(" AUTH=<>")),
        (" AUTH=<>", ALL, Ok(" AUTH=<>")),
        (" AUTH=a@b", |e| e.auth.clear(), Ok("")),
        ("", ALL, Ok("")),
        (" HOLDFOR=86400", ALL, Ok(" HOLDFOR=86400")),
        (" HOLDFOR=86401", ALL, Err(Unfit::Hold)),
        (" HOLDFOR=1", |e| e.future_release = None, Err(Unfit::Hold)),
        (" HOLDUNTIL=2026-12-24T18:00:00Z", ALL, Ok(" HOLDUNTIL=2026-12-24T18:00:00Z")),
        (" HOLDUNTIL=2026-12-24T18:00:01Z", ALL, Err(Unfit::Hold)),
        (" BY=60;R", ALL, Ok(" BY=60;R")),
        (" BY=59;R", ALL, Err(Unfit::DeliverBy)),
        (" BY=59;N", ALL, Ok(" BY=59;N")),
        (" BY=-7;NT", ALL, Ok(" BY=-7;NT")),
        (" BY=1;R", |e| e.deliver_by = Some(super::super::DeliverByOffer::default()), Ok(" BY=1;R")),
        (" BY=999;R", |e| e.deliver_by = None, Err(Unfit::DeliverBy)),
        (" BY=999;N", |e| e.deliver_by = None, Ok("")),
        (" MT-PRIORITY=9", ALL, Ok(" MT-PRIORITY=9")),
        (" MT-PRIORITY=9", |e| e.mt_priority = false, Ok("")),
        (" SIZE=7", ALL, Ok("")),
        (" SIZE=7", |e| e.size = Some(0), Ok(" SIZE=500")),
        (" BODY=7BIT", ALL, Ok("")),
        (" BODY=BINARYMIME", |e| e.binary_mime = false, Ok("")),
        (" SMTPUTF8", |e| e.smtputf8 = false, Ok("")),
    ];
    for (asked, change, sent) in table {
        let shown = fitted(asked, "", change, ASCII).map(|(mail, _)| mail);
        assert_eq!(shown.as_deref(), sent.as_ref().map(|sent| *sent), "{asked}");
    }
}

/// RFC 3461 §5.2.1, §5.2.2; RFC 2852 §4.1.4.2; RFC 6533 §3.
#[test]
fn wishes_for_reports_go_where_dsn_is_offered() {
    let no_deliver_by: Offer = |e| e.deliver_by = None;
    let neither: Offer = |e| (e.deliver_by, e.dsn) = (None, false);
    let table: [(&str, &str, Offer, &str); 12] = [
        ("", " NOTIFY=NEVER", ALL, " NOTIFY=NEVER"),
        ("", " NOTIFY=SUCCESS ORCPT=RFC822;C+2B@d", ALL, " NOTIFY=SUCCESS ORCPT=RFC822;C+2B@d"),
        ("", " NOTIFY=SUCCESS ORCPT=RFC822;C+2B@d", |e| e.dsn = false, ""),
        ("", "", ALL, ""),
        (" BY=9;N", "", ALL, ""),
        (" BY=9;N", "", no_deliver_by, " NOTIFY=FAILURE,DELAY"),
        (" BY=9;N", " NOTIFY=SUCCESS", no_deliver_by, " NOTIFY=SUCCESS,DELAY"),
        (" BY=9;N", " NOTIFY=FAILURE,DELAY", no_deliver_by, " NOTIFY=FAILURE,DELAY"),
        (" BY=9;N", " NOTIFY=NEVER", no_deliver_by, " NOTIFY=NEVER"),
        (" BY=9;N", " NOTIFY=SUCCESS", neither, ""),
        ("", " ORCPT=utf-8;\u{fc}@d", ALL, " ORCPT=utf-8;\\x{FC}@d"),
        ("", " ORCPT=utf-8;\\x{FC}@d", ALL, " ORCPT=utf-8;\\x{FC}@d"),
    ];
    for (asked, asked_of_rcpt, change, sent) in table {
        assert_eq!(fitted(asked, asked_of_rcpt, change, ASCII).unwrap().1, sent, "{asked} {asked_of_rcpt}");
    }
    let mut utf8 = wishes("", " ORCPT=utf-8;\u{fc}@d");
    utf8.mail.reverse_path = "<\u{fc}@b>".parse().unwrap();
    let fitting = all().fit(&utf8, &ASCII).unwrap();
    assert_eq!(fitting.recipients[0].parameters.to_string(), " ORCPT=utf-8;\u{fc}@d");
}

/// RFC 3030 §3: binary content goes by BDAT with BINARYMIME, and no other way.
#[test]
fn binary_content_goes_only_as_such() {
    let binary = ContentFacts { binary: true, ..ASCII };
    for facts in [binary, ContentFacts { eight_bit: true, ..binary }] {
        assert_eq!(fitted("", "", ALL, facts).unwrap().0, " BODY=BINARYMIME");
        assert_eq!(fitted("", "", |e| e.binary_mime = false, facts), Err(Unfit::Binary));
        assert_eq!(fitted("", "", |e| e.chunking = false, facts), Err(Unfit::Binary));
    }
}

/// RFC 8689 §5: a report must not be lost for it.
#[test]
fn a_report_goes_without_requiretls_where_that_is_not_offered() {
    let mut report = wishes(" REQUIRETLS", "");
    report.mail.reverse_path = ReversePath::Null;
    assert!(all().fit(&report, &ASCII).unwrap().mail.parameters.require_tls);
    let fitting = Extensions { require_tls: false, ..all() }.fit(&report, &ASCII).unwrap();
    assert!(!fitting.mail.parameters.require_tls);
}

#[test]
fn each_reason_has_its_status() {
    for (unfit, status) in [
        (Unfit::TooLarge { octets: 2, limit: 1 }, "5.3.4"),
        (Unfit::EightBit, "5.6.3"),
        (Unfit::Binary, "5.6.3"),
        (Unfit::ReversePathUtf8, "5.6.7"),
        (Unfit::ForwardPathUtf8 { index: 0 }, "5.6.7"),
        (Unfit::HeaderUtf8, "5.6.9"),
        (Unfit::RequireTls, "5.7.30"),
        (Unfit::Hold, "5.3.3"),
        (Unfit::DeliverBy, "5.3.3"),
    ] {
        assert_eq!(unfit.status().to_string(), status, "{unfit}");
    }
}
