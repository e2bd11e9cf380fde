use super::*;
use proptest::prelude::*;
use smtp_proto::{EnhancedStatus, RemoteReply};
use std::time::Duration;

fn at(hours: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(482_136 + hours)
}

fn reply(octets: &[u8]) -> Report {
    let address = Some("192.0.2.1:25".parse().unwrap());
    Report::of_reply(RemoteReply::parse(octets).unwrap()).with_host("mx.example.net", address)
}

struct Sample {
    kind: DsnKind,
    reverse_path: Mailbox,
    forward_path: ForwardPath,
    original: Option<ForwardPath>,
    original_recipient: Option<OriginalRecipient>,
    parameters: MailParameters,
    report: Report,
    header: Vec<u8>,
    content: Option<Vec<u8>>,
}

impl Sample {
    fn new() -> Self {
        Self {
            kind: DsnKind::Failed,
            reverse_path: "alice@example.org".parse().unwrap(),
            forward_path: "<bob@example.net>".parse().unwrap(),
            original: None,
            original_recipient: None,
            parameters: MailParameters::default(),
            content: None,
            report: reply(b"550-5.1.1 No such user here,\r\n550 5.1.1 sorry\r\n"),
            header: b"Subject: Lunch\r\nMessage-ID: <1@example.org>\r\nAuto-Submitted: auto-generated\r\nPrecedence: bulk\r\nList-Id: x\r\n\r\n".to_vec(),
        }
    }

    fn compose(&self) -> Dsn {
        let recipient = DsnRecipient {
            number: 3,
            forward_path: &self.forward_path,
            original: self.original.as_ref(),
            original_recipient: self.original_recipient.as_ref(),
            report: &self.report,
            last_attempt_at: Some(at(120)),
        };
        let request = DsnRequest {
            kind: self.kind,
            id: "0123456789ABD".parse().unwrap(),
            reporting_mta: "mx.example.org",
            message: "0123456789ABC".parse().unwrap(),
            reverse_path: &self.reverse_path,
            received_at: at(0),
            parameters: &self.parameters,
            content: self.content.as_deref(),
            header: &HeaderBlock::from_bytes(self.header.clone().into()),
            recipients: &[recipient],
            now: at(121),
        };
        compose(&request)
    }
}

/// Header and body of each part, by the rules of RFC 2046 §5.1.1.
fn parts(dsn: &Dsn) -> Vec<(HeaderBlock, String)> {
    let header = HeaderBlock::from_bytes(dsn.header.clone());
    let content_type = header.find("Content-Type").unwrap().text().into_owned();
    assert!(content_type.starts_with("multipart/report; report-type=delivery-status;"), "{content_type}");
    let boundary = content_type.split_once("boundary=\"").unwrap().1.trim_end_matches('"');
    let body = String::from_utf8(dsn.body.to_vec()).unwrap();
    let body = body.strip_suffix(&format!("--{boundary}--\r\n")).unwrap();
    body.split(&format!("--{boundary}\r\n"))
        .skip(1)
        .map(|part| {
            let (header, body) = HeaderBlock::split(Bytes::copy_from_slice(part.as_bytes()));
            let body = String::from_utf8(body.to_vec()).unwrap();
            (header, body.strip_suffix("\r\n").unwrap().to_owned())
        })
        .collect()
}

fn groups(dsn: &Dsn) -> Vec<HeaderBlock> {
    let (header, status) = parts(dsn).remove(1);
    assert_eq!(header.find("Content-Type").unwrap().text(), "message/delivery-status");
    assert_eq!(header.find("Content-Transfer-Encoding").unwrap().text(), "7bit");
    status.split("\r\n\r\n").map(|group| HeaderBlock::from_bytes(group.to_owned().into())).collect()
}

fn field(group: &HeaderBlock, name: &str) -> String {
    group.find(name).map(|field| field.text().into_owned()).unwrap_or_default()
}

fn text(dsn: &Dsn) -> String {
    parts(dsn).remove(0).1
}

#[test]
fn a_failure_is_reported_to_the_sender_from_nobody() {
    let dsn = Sample::new().compose();
    assert_eq!(dsn.mail, Mail::new(ReversePath::Null));
    assert_eq!(dsn.rcpt, Rcpt::new("<alice@example.org>".parse().unwrap()));
    let header = HeaderBlock::from_bytes(dsn.header.clone());
    assert_eq!(field(&header, "To"), "<alice@example.org>");
    assert_eq!(field(&header, "From"), "Mail Delivery System <MAILER-DAEMON@mx.example.org>");
    assert_eq!(field(&header, "Auto-Submitted"), "auto-replied");
    assert_eq!(field(&header, "Message-ID"), "<0123456789ABD@mx.example.org>");
    assert_eq!(field(&header, "References"), "<1@example.org>");
    let whole = [&dsn.header[..], &dsn.body[..]].concat();
    assert_eq!(dsn.facts, ContentFacts::of(&whole));
    assert!(!dsn.facts.eight_bit && dsn.facts.longest_line_octets <= 1_000);
}

#[test]
fn programs_read_what_rfc_3464_says() {
    let groups = groups(&Sample::new().compose());
    assert_eq!(groups.len(), 2);
    assert_eq!(field(&groups[0], "Reporting-MTA"), "dns; mx.example.org");
    assert_eq!(field(&groups[0], "Arrival-Date"), "Wed, 1 Jan 2025 00:00:00 +0000");
    for (name, value) in [
        ("Final-Recipient", "rfc822; bob@example.net"),
        ("Original-Recipient", ""),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Remote-MTA", "dns; mx.example.net"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 No such user here, sorry"),
        ("Last-Attempt-Date", "Mon, 6 Jan 2025 00:00:00 +0000"),
        ("Final-Log-ID", "0123456789ABC.3"),
        ("Will-Retry-Until", ""),
    ] {
        assert_eq!(field(&groups[1], name), value, "{name}");
    }
}

#[test]
fn people_read_plain_words_and_what_was_said() {
    let text = text(&Sample::new().compose());
    for line in [
        "Your message could not be delivered to the recipient below.",
        "<bob@example.net>",
        "    There is no mailbox of that address. Please check how it is written.",
        "    mx.example.net[192.0.2.1:25] said: 550",
        "        5.1.1 No such user here,",
        "        5.1.1 sorry",
        "    Subject:  Lunch",
        "    Id:       0123456789ABC",
    ] {
        assert!(text.split("\r\n").any(|found| found == line), "{line} in {text}");
    }
}

// Case C15: what the message says about itself does not matter, and comes back as it was.
#[test]
fn the_header_is_returned_whatever_is_in_it() {
    let sample = Sample::new();
    let (header, body) = parts(&sample.compose()).remove(2);
    assert_eq!(field(&header, "Content-Type"), "text/rfc822-headers");
    assert_eq!(format!("{body}\r\n").as_bytes(), sample.header);
}

#[test]
fn a_delay_says_until_when() {
    let sample = Sample {
        kind: DsnKind::Delayed { retry_until: at(120) },
        report: Report::new(EnhancedStatus::new(4, 4, 1), "connection refused"),
        ..Sample::new()
    };
    let dsn = sample.compose();
    let groups = groups(&dsn);
    assert_eq!(field(&groups[1], "Action"), "delayed");
    assert_eq!(field(&groups[1], "Status"), "4.4.1");
    assert_eq!(field(&groups[1], "Diagnostic-Code"), "X-local; connection refused");
    assert_eq!(field(&groups[1], "Will-Retry-Until"), "Mon, 6 Jan 2025 00:00:00 +0000");
    assert_eq!(field(&groups[1], "Remote-MTA"), "");
    let text = text(&dsn);
    assert!(text.contains("it is tried until Mon, 6 Jan 2025"), "{text}");
    assert!(text.contains("does not answer") && text.contains("    connection refused"), "{text}");
}

#[test]
fn time_that_has_run_out_is_a_permanent_failure() {
    let sample = Sample { report: reply(b"451 4.7.1 try later\r\n"), ..Sample::new() };
    let dsn = sample.compose();
    assert_eq!(field(&groups(&dsn)[1], "Status"), "5.7.1");
    assert!(text(&dsn).contains("It has been tried for 5 days"), "{}", text(&dsn));
}

#[test]
fn an_alias_is_told() {
    let sample = Sample { original: Some("<team@example.org>".parse().unwrap()), ..Sample::new() };
    let dsn = sample.compose();
    assert_eq!(field(&groups(&dsn)[1], "Original-Recipient"), "rfc822; team@example.org");
    assert!(text(&dsn).contains("<bob@example.net> (to which <team@example.org> is forwarded)"));
}

#[test]
fn utf8_is_seven_bit_in_the_body() {
    let sample = Sample {
        reverse_path: "jürgen@example.org".parse().unwrap(),
        forward_path: "<ülrich@example.net>".parse().unwrap(),
        header: "Subject: Größe\r\n\r\n".as_bytes().to_vec(),
        ..Sample::new()
    };
    let dsn = sample.compose();
    assert!(dsn.mail.parameters.smtputf8 && dsn.facts.eight_bit_header);
    assert!(dsn.body.is_ascii());
    assert_eq!(field(&groups(&dsn)[1], "Final-Recipient"), "utf-8; \\x{FC}lrich@example.net");
    let (header, body) = parts(&dsn).remove(2);
    assert_eq!(field(&header, "Content-Type"), "message/global-headers");
    assert_eq!(body, "Subject: Gr=C3=B6=C3=9Fe\r\n");
    assert!(text(&dsn).contains("<=C3=BClrich@example.net>"));
}

#[test]
fn octets_that_are_no_utf8_come_back_too() {
    let sample = Sample { header: b"Subject: \xff\r\nno end".to_vec(), ..Sample::new() };
    let (header, body) = parts(&sample.compose()).remove(2);
    assert_eq!(field(&header, "Content-Type"), "text/rfc822-headers");
    assert_eq!(body, "Subject: =FF\r\nno end\r\n");
}

#[test]
fn quotes_are_bounded() {
    let mut octets = Vec::new();
    for _ in 0..40 {
        octets.extend_from_slice(format!("550-{}\r\n", "\u{7}x".repeat(700)).as_bytes());
    }
    octets.extend_from_slice(b"550 end\r\n");
    let header = format!("Subject: {}\r\n", "s".repeat(900)).repeat(1_000).into_bytes();
    let dsn = Sample { report: reply(&octets), header, ..Sample::new() }.compose();
    assert!(dsn.body.len() < 48 * 1024, "{}", dsn.body.len());
    assert!(dsn.facts.longest_line_octets <= 1_000);
    assert!(text(&dsn).contains("        ...\r\n"));
    let (_, returned) = parts(&dsn).remove(2);
    assert!(returned.len() > 30 * 1024 && returned.ends_with("s\r\n"));
}

#[test]
fn a_boundary_that_occurs_is_not_used() {
    let header = format!("Subject: =_0123456789ABD{}\r\nX: --=_0123456789ABD_1\r\n\r\n", "=".repeat(900));
    let dsn = Sample { header: header.into_bytes(), ..Sample::new() }.compose();
    assert_eq!(parts(&dsn).len(), 3);
    let header = String::from_utf8(dsn.header.to_vec()).unwrap();
    // At most 70 characters: RFC 2046 §5.1.1.
    assert!(header.contains("boundary=\"=_0123456789ABD_2\""), "{header}");
}

#[test]
fn message_ids_that_cannot_be_repeated_are_left_out() {
    let long = format!("<{}@x>", "a".repeat(300));
    for id in ["1@example.org", "<a b@x>", "<ä@x>", "<a@x> <b@x>", "<>", "<a>", &long] {
        let header = HeaderBlock::from_bytes(format!("Message-ID: {id}\r\n\r\n").into());
        assert_eq!(message_id(&header), None, "{id}");
    }
}

#[test]
fn many_recipients_are_all_named() {
    let sample = Sample::new();
    let paths: Vec<ForwardPath> = (0..60).map(|number| format!("<u{number}@example.net>").parse().unwrap()).collect();
    let recipients: Vec<_> = (1..)
        .zip(&paths)
        .map(|(number, forward_path)| DsnRecipient {
            number,
            forward_path,
            original: None,
            original_recipient: None,
            report: &sample.report,
            last_attempt_at: None,
        })
        .collect();
    let header = HeaderBlock::from_bytes("\r\n".into());
    let dsn = compose(&DsnRequest {
        kind: DsnKind::Failed,
        id: MessageId::from_raw(2),
        reporting_mta: "mx.example.org",
        message: MessageId::from_raw(1),
        reverse_path: &sample.reverse_path,
        received_at: at(0),
        parameters: &sample.parameters,
        content: None,
        header: &header,
        recipients: &recipients,
        now: at(1),
    });
    assert_eq!(groups(&dsn).len(), 61);
    let text = text(&dsn);
    assert!(text.contains("<u59@example.net>"));
    assert_eq!(text.matches("said: 550").count(), 50);
}

proptest! {
    #[test]
    fn nothing_said_breaks_the_report(
        line in proptest::collection::vec(any::<u8>().prop_filter("LF", |octet| *octet != b'\n'), 0..300),
        subject in proptest::collection::vec(any::<u8>(), 0..300),
        local in "\\PC{0,300}",
        host in "\\PC{0,40}|[\r\n;]{1,9}",
        remote: bool,
    ) {
        let octets = [b"550 ", &line[..], b"\r\n"].concat();
        let report = if remote { reply(&octets) } else { Report::new(EnhancedStatus::new(5, 0, 0), &local) };
        let report = report.with_host(host, None);
        let header = [b"Subject: ", &subject[..], b"\r\n\r\n"].concat();
        let dsn = Sample { report, header, ..Sample::new() }.compose();
        prop_assert_eq!(parts(&dsn).len(), 3);
        prop_assert_eq!(groups(&dsn).len(), 2);
        prop_assert!(groups(&dsn)[1].fields().all(|field| field.name().is_some()));
        prop_assert!(!dsn.facts.eight_bit && dsn.facts.longest_line_octets <= 1_000);
        let whole = [&dsn.header[..], &dsn.body[..]].concat();
        let bare = |pair: &[u8]| (pair[1] == b'\n') != (pair[0] == b'\r');
        prop_assert!(!whole.windows(2).any(bare), "a bare CR or LF");
        prop_assert!(!whole.contains(&0));
    }
}

/// RFC 3461 §4.1: nothing said asks for failures and delays, NEVER for nothing, and success is told to who asked for it.
#[test]
fn notify_says_what_is_reported() {
    let delayed = DsnKind::Delayed { retry_until: at(0) };
    let kinds = [DsnKind::Failed, delayed, DsnKind::Delivered, DsnKind::Relayed];
    let wanted = |notify: Option<Notify>| kinds.map(|kind| kind.is_wanted(notify));
    assert_eq!(wanted(None), [true, true, false, false]);
    assert_eq!(wanted(Some(Notify::NEVER)), [false; 4]);
    assert_eq!(wanted(Some(Notify { failure: true, ..Notify::NEVER })), [true, false, false, false]);
    assert_eq!(wanted(Some(Notify { delay: true, ..Notify::NEVER })), [false, true, false, false]);
    assert_eq!(wanted(Some(Notify { success: true, ..Notify::NEVER })), [false, false, true, true]);
}

/// RFC 3464 §2.2.1, §2.3.1: what the sender called message and recipient comes back, decoded, and in no field but its own.
#[test]
fn envid_and_orcpt_come_back_decoded() {
    let mut sample = Sample::new();
    sample.parameters.envelope_id = Some("QQ+2B314".parse().unwrap());
    sample.original_recipient = Some("rfc822;Bob+2Bx@Example.com".parse().unwrap());
    sample.original = Some("<alias@example.org>".parse().unwrap());
    let status = status_of(&sample);
    assert!(status.starts_with("Original-Envelope-Id: QQ+314\r\nReporting-MTA: dns; mx.example.org\r\n"), "{status}");
    assert!(status.contains("\r\nOriginal-Recipient: rfc822; Bob+x@Example.com\r\nFinal-Recipient:"), "{status}");
    assert!(!status.contains("alias@"), "{status}");
    // What means a line end is not decoded.
    sample.parameters.envelope_id = Some("a+0D+0AAction:+20x".parse().unwrap());
    sample.original_recipient = Some("rfc822;a+0Ab".parse().unwrap());
    let status = status_of(&sample);
    assert!(!status.contains("Original-Envelope-Id") && !status.contains("Action: x"), "{status}");
    assert!(status.contains("Original-Recipient: rfc822; alias@example.org"), "{status}");
}

/// RFC 3461 §6.2, RFC 3464 §2.3.3.
#[test]
fn success_is_reported_as_delivered_or_relayed() {
    for (kind, action) in [(DsnKind::Delivered, "delivered"), (DsnKind::Relayed, "relayed")] {
        let sample = Sample { kind, report: reply(b"250 2.0.0 taken\r\n"), ..Sample::new() };
        let status = status_of(&sample);
        assert!(status.contains(&format!("\r\nAction: {action}\r\nStatus: 2.0.0\r\n")), "{status}");
    }
}

/// RFC 3461 §4.3: the whole message comes back where that was asked for and a report can carry it.
#[test]
fn the_whole_message_is_returned_where_it_was_asked_for() {
    let mut sample = Sample::new();
    let content = b"Subject: Lunch\r\n\r\nat noon?\r\n".to_vec();
    sample.content = Some(content.clone());
    let returned = parts(&sample.compose()).pop().unwrap();
    assert_eq!(returned.0.find("Content-Type").unwrap().text(), "message/rfc822");
    assert_eq!(returned.1.as_bytes(), content);
    sample.content = Some([&content[..], "caf\u{e9}\r\n".as_bytes()].concat());
    let returned = parts(&sample.compose()).pop().unwrap();
    assert_eq!(returned.0.find("Content-Type").unwrap().text(), "text/rfc822-headers");
}

/// RFC 8689 §5.
#[test]
fn a_report_on_what_requires_tls_requires_it_too_and_returns_no_content() {
    let mut sample = Sample::new();
    sample.content = Some(b"Subject: Lunch\r\n\r\nat noon?\r\n".to_vec());
    assert!(!sample.compose().mail.parameters.require_tls);
    sample.parameters.require_tls = true;
    for kind in [DsnKind::Failed, DsnKind::Delayed { retry_until: at(200) }, DsnKind::Relayed] {
        sample.kind = kind;
        let dsn = sample.compose();
        assert!(dsn.mail.parameters.require_tls);
        assert_eq!(dsn.mail.reverse_path, ReversePath::Null);
        let returned = parts(&dsn).pop().unwrap();
        assert_eq!(returned.0.find("Content-Type").unwrap().text(), "text/rfc822-headers");
    }
}

/// RFC 2852 §5, RFC 4865 §5.1.2.
#[test]
fn the_times_that_a_sender_has_set_come_back() {
    let mut sample = Sample::new();
    assert!(!status_of(&sample).contains("Deliver-By") && !status_of(&sample).contains("Future-Release"));
    let command = b"MAIL FROM:<a@example.org> HOLDFOR=60 BY=3600;R";
    sample.parameters = Mail::parse(command).unwrap().parameters;
    let status = status_of(&sample);
    assert!(status.contains(&format!("\r\nDeliver-By-Date: {}\r\n", date_time(at(1)))), "{status}");
    assert!(status.contains("\r\nFuture-Release-Request: for;60\r\n"), "{status}");
}

/// RFC 6710 §4.6.
#[test]
fn a_report_is_as_urgent_as_what_it_is_about() {
    let mut sample = Sample::new();
    assert_eq!(sample.compose().mail.parameters.priority, None);
    sample.parameters.priority = smtp_proto::Priority::new(7);
    assert_eq!(sample.compose().mail.parameters.priority, smtp_proto::Priority::new(7));
}

fn status_of(sample: &Sample) -> String {
    parts(&sample.compose()).swap_remove(1).1
}
