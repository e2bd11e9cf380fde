use bytes::BytesMut;

use super::*;
use crate::Priority;

/// All that there is.
pub(super) fn all() -> Extensions {
    Extensions {
        size: Some(1000),
        pipelining: true,
        eight_bit_mime: true,
        smtputf8: true,
        enhanced_status_codes: true,
        starttls: true,
        chunking: true,
        binary_mime: true,
        dsn: true,
        require_tls: true,
        auth: vec![Mechanism::PLAIN, Mechanism::SCRAM_SHA_256],
        limits: ReceiverLimits { mail_max: Some(100), rcpt_max: Some(50), rcpt_domain_max: Some(1) },
        future_release: Some(FutureRelease {
            interval_max: HoldInterval::from_seconds(86_400).unwrap(),
            until_max: "2026-12-24T18:00:00Z".parse().unwrap(),
        }),
        deliver_by: Some(DeliverByOffer { seconds_min: Some(60) }),
        mt_priority: true,
        help: true,
        vrfy: true,
        expn: true,
        etrn: true,
        xclient: XClientAttributes::ALL,
    }
}

fn read(reply: &str) -> Extensions {
    Extensions::from_reply(&RemoteReply::parse(reply.as_bytes()).unwrap())
}

fn read_line(line: &str) -> Extensions {
    read(&format!("250-x\r\n250 {line}\r\n"))
}

fn written(extensions: &Extensions) -> String {
    let mut output = BytesMut::new();
    extensions.reply("mx.example.com at your service").unwrap().encode(&mut output);
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(
        written(&all()),
        "250-mx.example.com at your service\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-STARTTLS\r\n\
         250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n\
         250-REQUIRETLS\r\n250-MT-PRIORITY\r\n250-HELP\r\n250-VRFY\r\n250-EXPN\r\n250-ETRN\r\n250-AUTH PLAIN SCRAM-SHA-256\r\n\
         250-LIMITS MAILMAX=100 RCPTMAX=50 RCPTDOMAINMAX=1\r\n250-FUTURERELEASE 86400 2026-12-24T18:00:00Z\r\n\
         250-DELIVERBY 60\r\n\
         250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
    );
    assert_eq!(written(&Extensions::default()), "250 mx.example.com at your service\r\n");
    let some = [
        all(),
        Extensions::default(),
        Extensions { size: Some(0), ..Extensions::default() },
        Extensions { deliver_by: Some(DeliverByOffer::default()), ..Extensions::default() },
        Extensions { limits: ReceiverLimits { rcpt_max: Some(7), ..ReceiverLimits::default() }, ..all() },
    ];
    for extensions in some {
        assert_eq!(read(&written(&extensions)), extensions);
    }
}

/// Each keyword sets its own field and no other.
#[test]
fn each_keyword_is_read_alone() {
    let whole = written(&all());
    for line in whole.lines().skip(1) {
        let alone = read_line(&line[4..]);
        assert_ne!(alone, Extensions::default(), "{line}");
        assert_eq!(written(&alone).lines().nth(1).map(|line| &line[4..]), Some(&line[4..]));
        assert_eq!(read_line(&line[4..].to_lowercase().replace("t18", "T18").replace("00z", "00Z")), alone, "{line}");
    }
}

#[test]
fn a_greeting_of_two_lines_would_offer_what_it_says() {
    assert_eq!(all().reply("mx.example.com\nSTARTTLS"), Err(ReplyError { offset: 14 }));
    assert_eq!(all().reply("mx\r"), Err(ReplyError { offset: 2 }));
}

#[test]
fn keywords_are_read_in_any_case_and_unknown_ones_say_nothing() {
    let extensions = read(
        "250-STARTTLS is my name\r\n250-size 35882577 more\r\n250-X-UNKNOWN a b\r\n250-AUTH\r\n250-AUTH:LOGIN\r\n\
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

/// RFC 4954 §3; and as servers from before it write the line.
#[test]
fn mechanisms_are_read_in_both_forms_and_once_each() {
    let plain_login = vec![Mechanism::PLAIN, Mechanism::LOGIN];
    for line in
        ["AUTH PLAIN LOGIN", "auth plain login PLAIN", "AUTH=PLAIN LOGIN", "AUTH= PLAIN LOGIN", "AUTH PLAIN B@D LOGIN"]
    {
        assert_eq!(read_line(line).auth, plain_login, "{line}");
    }
    assert_eq!(read("250-x\r\n250-AUTH=LOGIN\r\n250 AUTH PLAIN LOGIN\r\n").auth, [Mechanism::LOGIN, Mechanism::PLAIN]);
    for line in ["AUTH", "AUTH=", "AUTHX PLAIN", "X-AUTH=PLAIN"] {
        assert_eq!(read_line(line), Extensions::default(), "{line}");
    }
    let many: Vec<String> = (0..100).map(|number| format!("X{number}")).collect();
    assert_eq!(read_line(&format!("AUTH {}", many.join(" "))).auth.len(), crate::limits::MECHANISMS);
}

/// Those that are not known say nothing, and one without any offers nothing.
#[test]
fn attributes_of_xclient_are_read_in_any_case_and_once_each() {
    use crate::XClientAttribute as A;
    let both = XClientAttributes::from_iter([A::Name, A::Address]);
    for line in
        ["XCLIENT NAME ADDR", "xclient addr name", "XCLIENT ADDR REVERSE_NAME NAME NAME", "XCLIENT  NAME  ADDR "]
    {
        assert_eq!(read_line(line), Extensions { xclient: both, ..Extensions::default() }, "{line}");
    }
    for line in ["XCLIENT", "XCLIENT TTL", "XCLIENTS NAME"] {
        assert_eq!(read_line(line), Extensions::default(), "{line}");
    }
}

/// RFC 9422 §3.7: what is malformed in one limit does not count, what is malformed in the line makes it void.
#[test]
fn limits_are_read_one_by_one() {
    let limits = |line: &str| {
        let ReceiverLimits { mail_max, rcpt_max, rcpt_domain_max } = read_line(line).limits;
        (mail_max, rcpt_max, rcpt_domain_max)
    };
    assert_eq!(limits("LIMITS MAILMAX=1 RCPTMAX=999999 RCPTDOMAINMAX=3"), (Some(1), Some(999_999), Some(3)));
    assert_eq!(limits("limits rcptmax=20 XMAX=7 YMAX"), (None, Some(20), None));
    assert_eq!(limits("LIMITS MAILMAX=0 RCPTMAX=x RCPTDOMAINMAX=1000000"), (None, None, None));
    assert_eq!(limits("LIMITS MAILMAX=5 RCPTMAX=07 RCPTDOMAINMAX"), (Some(5), None, None));
    for line in [
        "LIMITS",
        "LIMITS MAILMAX=5 =7",
        "LIMITS MAILMAX=5 RCPTMAX=",
        "LIMITS MAILMAX=5;RCPTMAX=6",
        "LIMITS MAILMAX=5 a.b=1",
    ] {
        assert_eq!(limits(line), (None, None, None), "{line}");
    }
}

#[test]
fn limits_out_of_range_are_not_written() {
    let limits = ReceiverLimits { mail_max: Some(0), rcpt_max: Some(u32::MAX), rcpt_domain_max: None };
    assert!(written(&Extensions { limits, ..Extensions::default() }).ends_with("250 LIMITS RCPTMAX=999999\r\n"));
    let limits = ReceiverLimits { mail_max: Some(0), ..ReceiverLimits::default() };
    assert_eq!(written(&Extensions { limits, ..Extensions::default() }).lines().count(), 1);
}

/// RFC 4865 §4.2: both parameters are told, or it is not offered.
#[test]
fn future_release_needs_both_its_limits() {
    assert!(read_line("FUTURERELEASE 86400 2026-12-24T18:00:00Z").future_release.is_some());
    for line in [
        "FUTURERELEASE",
        "FUTURERELEASE 86400",
        "FUTURERELEASE 0 2026-12-24T18:00:00Z",
        "FUTURERELEASE 1000000000 2026-12-24T18:00:00Z",
        "FUTURERELEASE 86400 2026-12-24",
        "FUTURERELEASE 86400 2026-12-24T18:00:00+01:00",
    ] {
        assert_eq!(read_line(line).future_release, None, "{line}");
    }
}

/// RFC 2852 §2: options behind the minimum are for later extensions.
#[test]
fn deliver_by_may_tell_a_minimum() {
    for (line, seconds_min) in [
        ("DELIVERBY", None),
        ("DELIVERBY 240", Some(240)),
        ("DELIVERBY 240,other", Some(240)),
        ("DELIVERBY ,other", None),
        ("DELIVERBY 1234567890", None),
        ("DELIVERBY x", None),
    ] {
        assert_eq!(read_line(line).deliver_by, Some(DeliverByOffer { seconds_min }), "{line}");
    }
}

/// RFC 6710 §7: a policy may be named.
#[test]
fn mt_priority_may_name_a_policy() {
    assert!(read_line("MT-PRIORITY MIXER").mt_priority);
}

fn mail(parameters: &str) -> MailParameters {
    crate::Mail::parse(format!("MAIL FROM:<a@b> {parameters}").as_bytes()).unwrap().parameters
}

/// RFC 5321 §4.1.1.11: a parameter is permitted by its extension, and by no other.
#[test]
fn parameters_are_permitted_by_their_own_extension() {
    type Offer = fn(&mut Extensions);
    let table: [(&str, Offer); 12] = [
        ("SIZE=1", |e| e.size = None),
        ("BODY=7BIT", |e| e.eight_bit_mime = false),
        ("BODY=8BITMIME", |e| e.eight_bit_mime = false),
        ("BODY=BINARYMIME", |e| e.binary_mime = false),
        ("SMTPUTF8", |e| e.smtputf8 = false),
        ("REQUIRETLS", |e| e.require_tls = false),
        ("RET=FULL", |e| e.dsn = false),
        ("ENVID=x", |e| e.dsn = false),
        ("AUTH=<>", |e| e.auth.clear()),
        ("HOLDFOR=1", |e| e.future_release = None),
        ("BY=1;R", |e| e.deliver_by = None),
        ("MT-PRIORITY=1", |e| e.mt_priority = false),
    ];
    for (parameter, take_away) in table {
        let parameters = mail(parameter);
        assert!(all().permits_mail(&parameters), "{parameter}");
        assert!(!Extensions::default().permits_mail(&parameters), "{parameter}");
        let mut others = all();
        take_away(&mut others);
        assert!(!others.permits_mail(&parameters), "{parameter}");
    }
    assert!(Extensions::default().permits_mail(&MailParameters::default()));
    assert!(!Extensions { chunking: false, ..all() }.permits_mail(&mail("BODY=BINARYMIME")));
    let urgent = MailParameters { priority: Priority::new(9), ..MailParameters::default() };
    assert!(!Extensions::default().permits_mail(&urgent));
}

#[test]
fn notify_and_orcpt_are_permitted_by_dsn() {
    let offered = Extensions { dsn: true, ..Extensions::default() };
    for parameter in ["NOTIFY=NEVER", "ORCPT=rfc822;a@b"] {
        let rcpt = crate::Rcpt::parse(format!("RCPT TO:<a@b> {parameter}").as_bytes()).unwrap();
        assert!(
            offered.permits_rcpt(&rcpt.parameters)
                && !Extensions { dsn: false, ..all() }.permits_rcpt(&rcpt.parameters)
        );
    }
    assert!(Extensions::default().permits_rcpt(&RcptParameters::default()));
}

/// RFC 6531 §3.1: who reads the keyword takes no note of them, and who writes it writes none.
#[test]
fn parameters_of_smtputf8_are_ignored() {
    let utf8 = Extensions { smtputf8: true, ..Extensions::default() };
    assert_eq!(read("250-mx.example.com\r\n250 SMTPUTF8 one=2 \u{fc}\r\n"), utf8);
    assert!(written(&utf8).ends_with("\r\n250 SMTPUTF8\r\n"));
}

/// RFC 4865 §4.2: 501 is for what is over them.
#[test]
fn holds_are_within_both_limits() {
    let offer = all().future_release.unwrap();
    for (parameter, within) in [
        ("HOLDFOR=86400", true),
        ("HOLDFOR=86401", false),
        ("HOLDUNTIL=2026-12-24T18:00:00Z", true),
        ("HOLDUNTIL=2026-12-24T18:00:00.1Z", false),
        ("HOLDUNTIL=1999-12-31T23:59:59Z", true),
    ] {
        assert_eq!(offer.permits(&mail(parameter).hold.unwrap()), within, "{parameter}");
    }
}
