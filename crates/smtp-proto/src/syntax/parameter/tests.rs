//! The parameters of extensions, good and bad.

use bytes::BytesMut;

use crate::SyntaxReason as R;
use crate::{
    AuthIdentity, BodyType, DeliverBy, DeliverByMode, EnvelopeId, Hold, HoldInterval, Mail, MailParameters, Notify,
    OriginalRecipient, Priority, Rcpt, RcptParameters, ReplyCode, Ret, Timestamp,
};

/// The parameters of MAIL, and that they are written so that they are read as the same.
fn mail(parameters: &str) -> MailParameters {
    let line = format!("MAIL FROM:<a@example.net> {parameters}");
    let mail = Mail::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
    let mut written = BytesMut::new();
    mail.encode(&mut written);
    assert_eq!(Mail::parse(&written).as_ref(), Ok(&mail), "{line}");
    mail.parameters
}

fn rcpt(parameters: &str) -> RcptParameters {
    let line = format!("RCPT TO:<a@example.net> {parameters}");
    let rcpt = Rcpt::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
    let mut written = BytesMut::new();
    rcpt.encode(&mut written);
    assert_eq!(Rcpt::parse(&written).as_ref(), Ok(&rcpt), "{line}");
    rcpt.parameters
}

fn mail_refused(parameters: &str) -> (u16, R) {
    let line = format!("MAIL FROM:<a@example.net> {parameters}");
    let error = Mail::parse(line.as_bytes()).map(|_| line).unwrap_err();
    (error.code().number(), error.reason)
}

fn rcpt_refused(parameters: &str) -> (u16, R) {
    let line = format!("RCPT TO:<a@example.net> {parameters}");
    let error = Rcpt::parse(line.as_bytes()).map(|_| line).unwrap_err();
    (error.code().number(), error.reason)
}

fn malformed_in_mail(bad: &[&str]) {
    for parameter in bad {
        assert_eq!(mail_refused(parameter), (501, R::ParameterValue), "{parameter}");
    }
}

fn malformed_in_rcpt(bad: &[&str]) {
    for parameter in bad {
        assert_eq!(rcpt_refused(parameter), (501, R::ParameterValue), "{parameter}");
    }
}

#[test]
fn all_parameters_stand_together() {
    let parameters = mail(
        "SIZE=10 BODY=BINARYMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=QQ314159 AUTH=<> HOLDFOR=60 BY=120;R MT-PRIORITY=-3",
    );
    assert_eq!(
        parameters,
        MailParameters {
            size: Some(10),
            body: Some(BodyType::BinaryMime),
            smtputf8: true,
            require_tls: true,
            ret: Some(Ret::Headers),
            envelope_id: Some("QQ314159".parse().unwrap()),
            auth: Some(AuthIdentity::Unknown),
            hold: HoldInterval::from_seconds(60).map(Hold::For),
            deliver_by: DeliverBy::new(120, DeliverByMode::Return, false).ok(),
            priority: Priority::new(-3),
        }
    );
    assert_eq!(
        parameters.to_string(),
        " SIZE=10 BODY=BINARYMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=QQ314159 AUTH=<> HOLDFOR=60 BY=120;R MT-PRIORITY=-3"
    );
    let parameters = rcpt("ORCPT=rfc822;b@example.net NOTIFY=FAILURE,DELAY");
    assert_eq!(parameters.to_string(), " NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@example.net");
}

/// RFC 5321 §4.1.2: keywords in any case; each once; a value where one must be, and only there.
#[test]
fn each_parameter_stands_once_with_its_value() {
    for (parameter, other) in [
        ("REQUIRETLS", "requiretls"),
        ("RET=FULL", "ret=hdrs"),
        ("ENVID=a", "EnvId=b"),
        ("AUTH=<>", "auth=a@b"),
        ("HOLDFOR=1", "holdfor=2"),
        ("HOLDUNTIL=2026-12-24T18:00:00Z", "HOLDFOR=1"),
        ("BY=1;R", "by=1;n"),
        ("MT-PRIORITY=1", "mt-priority=2"),
    ] {
        assert_eq!(mail_refused(&format!("{parameter} {other}")), (501, R::ParameterRepeated), "{parameter}");
        assert_eq!(mail_refused(&format!("{other} SIZE=1 {parameter}")), (501, R::ParameterRepeated), "{parameter}");
    }
    assert_eq!(rcpt_refused("NOTIFY=DELAY NOTIFY=DELAY"), (501, R::ParameterRepeated));
    assert_eq!(rcpt_refused("ORCPT=rfc822;a ORCPT=rfc822;a"), (501, R::ParameterRepeated));

    for keyword in ["RET", "ENVID", "AUTH", "HOLDFOR", "HOLDUNTIL", "BY", "MT-PRIORITY"] {
        malformed_in_mail(&[keyword, &format!("{keyword}=")]);
    }
    malformed_in_mail(&["REQUIRETLS=yes", "REQUIRETLS="]);
    malformed_in_rcpt(&["NOTIFY", "NOTIFY=", "ORCPT", "ORCPT="]);
}

/// RFC 5321 §4.1.1.11: what belongs to the other command is not known in this one.
#[test]
fn parameters_belong_to_their_own_command() {
    for parameter in ["NOTIFY=NEVER", "ORCPT=rfc822;a", "HOLD=1", "MT-PRIORITYX=1", "REQUIRETLSREQUIRETLS"] {
        assert_eq!(mail_refused(parameter), (555, R::ParameterUnknown), "{parameter}");
    }
    for parameter in ["RET=FULL", "ENVID=a", "BODY=7BIT", "AUTH=<>", "SMTPUTF8", "REQUIRETLS", "X=\u{e9}"] {
        assert_eq!(rcpt_refused(parameter), (555, R::ParameterUnknown), "{parameter}");
    }
}

/// RFC 3030 §3.
#[test]
fn body_is_one_of_three() {
    assert_eq!(mail("BODY=binarymime").body, Some(BodyType::BinaryMime));
    for parameter in ["BODY=BINARY", "BODY=8BIT", "BODY=8BITMIME,BINARYMIME"] {
        assert_eq!(mail_refused(parameter), (504, R::ParameterValueNotImplemented), "{parameter}");
    }
}

/// RFC 3461 §4.3.
#[test]
fn ret_is_full_or_hdrs() {
    assert_eq!(mail("RET=Full").ret, Some(Ret::Full));
    assert_eq!(mail("ret=hdrs").ret, Some(Ret::Headers));
    malformed_in_mail(&["RET=HEADERS", "RET=FULL,HDRS", "RET=NONE"]);
}

/// RFC 3461 §4.4: xtext of at most 100 octets.
#[test]
fn envid_is_xtext_and_stays_encoded() {
    let id = mail("ENVID=a+2Bb+3Dc+20d").envelope_id.unwrap();
    assert_eq!(id.encoded(), "a+2Bb+3Dc+20d");
    assert_eq!(id.decoded().as_deref(), Some("a+b=c d"));
    assert_eq!(EnvelopeId::from_decoded("a+b=c d"), Ok(id));
    assert_eq!(mail(&format!("ENVID={}", "x".repeat(100))).envelope_id.unwrap().encoded().len(), 100);
    malformed_in_mail(&[
        &format!("ENVID={}", "x".repeat(101)),
        "ENVID=a+2b",
        "ENVID=a+",
        "ENVID=a+G0",
        "ENVID=caf\u{e9}",
    ]);
    assert_eq!(mail_refused("ENVID=a=b").1, R::EndExpected);
    for text in ["", "a\r\nb", "caf\u{e9}", &"+".repeat(34)] {
        assert!(EnvelopeId::from_decoded(text).is_err(), "{text:?}");
    }
}

/// RFC 3461 §4.1: a list, or NEVER by itself.
#[test]
fn notify_is_a_list_or_never() {
    let notify = |parameter: &str| {
        let Notify { success, failure, delay } = rcpt(parameter).notify.unwrap();
        (success, failure, delay)
    };
    assert_eq!(notify("NOTIFY=NEVER"), (false, false, false));
    assert_eq!(notify("NOTIFY=never"), (false, false, false));
    assert_eq!(notify("NOTIFY=SUCCESS"), (true, false, false));
    assert_eq!(notify("NOTIFY=Delay,failure"), (false, true, true));
    assert_eq!(notify("NOTIFY=SUCCESS,FAILURE,DELAY"), (true, true, true));
    assert_eq!(notify("NOTIFY=DELAY,DELAY"), (false, false, true));
    assert!(Notify::NEVER.is_never());
    assert_eq!(Notify::NEVER.to_string(), "NEVER");
    malformed_in_rcpt(&[
        "NOTIFY=SUCCESS,NEVER",
        "NOTIFY=NEVER,NEVER",
        "NOTIFY=,SUCCESS",
        "NOTIFY=SUCCESS,",
        "NOTIFY=SUCCESS,,DELAY",
        "NOTIFY=ALWAYS",
        "NOTIFY=SUCCESS;DELAY",
    ]);
}

#[test]
fn trap_notify_never_with_others() {
    assert_eq!(rcpt_refused("NOTIFY=NEVER,SUCCESS"), (501, R::ParameterValue));
}

/// RFC 3461 §4.2: passed on letter for letter (§5.2.1 d).
#[test]
fn orcpt_is_a_type_and_xtext_and_stays_encoded() {
    let original = rcpt("ORCPT=RFC822;Bob+2Bx+3Dy@Example.NET").original_recipient.unwrap();
    assert_eq!(original.address_type(), "RFC822");
    assert_eq!(original.encoded(), "Bob+2Bx+3Dy@Example.NET");
    assert_eq!(original.decoded().as_deref(), Some("Bob+x=y@Example.NET"));
    assert_eq!(original.to_string(), "RFC822;Bob+2Bx+3Dy@Example.NET");
    assert_eq!(rcpt("ORCPT=x400;/C+3Dde/").original_recipient.unwrap().decoded().as_deref(), Some("/C=de/"));
    assert_eq!(rcpt("ORCPT=rfc822;").original_recipient.unwrap().encoded(), "");
    assert_eq!(OriginalRecipient::rfc822("a b+c@d").unwrap().to_string(), "rfc822;a+20b+2Bc@d");
    assert!(OriginalRecipient::rfc822("a\nb@c").is_err());

    let longest = format!("ORCPT=rfc822;{}", "x".repeat(493));
    assert_eq!(rcpt(&longest).original_recipient.unwrap().to_string().len(), 500);
    malformed_in_rcpt(&[
        &format!("{longest}x"),
        "ORCPT=a@b",
        "ORCPT=;a@b",
        "ORCPT=rfc(822);a@b",
        "ORCPT=rfc822;a+2bb",
        "ORCPT=rfc822;a+b@c",
        "ORCPT=rfc822;caf\u{e9}@b",
        "ORCPT=utf-\u{e9};a@b",
    ]);
}

/// RFC 3461 §4.2 and CVE-2020-28026: a line end in disguise is kept in it, and never comes out of it.
#[test]
fn trap_line_end_in_an_original_recipient() {
    let original = rcpt("ORCPT=rfc822;a+0Ab").original_recipient.unwrap();
    assert_eq!(original.encoded(), "a+0Ab");
    assert_eq!(original.decoded(), None);
    for octet in ["+00", "+0D+0A", "+1F", "+7F", "+80", "+FF"] {
        assert_eq!(rcpt(&format!("ORCPT=rfc822;a{octet}")).original_recipient.unwrap().decoded(), None, "{octet}");
        assert_eq!(mail(&format!("ENVID=a{octet}")).envelope_id.unwrap().decoded(), None, "{octet}");
    }
    assert_eq!(rcpt("ORCPT=utf-8;a\\x{0A}b").original_recipient.unwrap().decoded(), None);
    assert_eq!(rcpt("ORCPT=utf-8;a\\x{85}b").original_recipient.unwrap().decoded(), None);
}

/// RFC 6533 §3: three forms of one address.
#[test]
fn orcpt_of_the_type_utf_8_may_be_in_utf_8() {
    let raw = rcpt("ORCPT=utf-8;m\u{fc}ller@example.net").original_recipient.unwrap();
    assert!(!raw.is_ascii());
    let ascii = raw.to_ascii().unwrap();
    assert_eq!(ascii.to_string(), "utf-8;m\\x{FC}ller@example.net");
    assert!(ascii.is_ascii());
    assert_eq!(ascii.decoded(), raw.decoded());
    assert_eq!(raw.decoded().as_deref(), Some("m\u{fc}ller@example.net"));
    assert_eq!(rcpt("ORCPT=UTF-8;a\\x{2B}b@c").original_recipient.unwrap().decoded().as_deref(), Some("a+b@c"));
    assert_eq!(ascii.to_ascii(), Some(ascii));
    let long = rcpt(&format!("ORCPT=utf-8;{}", "\u{fc}".repeat(240))).original_recipient.unwrap();
    assert_eq!(long.to_ascii(), None);
    assert!(!rcpt("ORCPT=utf-8;\u{fc}").is_ascii() && rcpt("NOTIFY=NEVER").is_ascii());
}

/// RFC 4954 §5: a mailbox as xtext, or `<>`.
#[test]
fn auth_is_a_mailbox_in_xtext() {
    let mailbox = |parameter: &str| match mail(parameter).auth {
        Some(AuthIdentity::Mailbox(mailbox)) => mailbox.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(mail("AUTH=<>").auth, Some(AuthIdentity::Unknown));
    assert_eq!(mailbox("AUTH=e+3Dmc2@example.com"), "e=mc2@example.com");
    assert_eq!(mailbox("AUTH=+22a+20b+22@[192.0.2.1]"), "\"a b\"@[192.0.2.1]");
    assert_eq!(mail("AUTH=e+3Dmc2@example.com").auth.unwrap().to_string(), "e+3Dmc2@example.com");
    assert_eq!(mailbox("AUTH=m+C3+BCller@example.com"), "m\u{fc}ller@example.com");
    malformed_in_mail(&[
        "AUTH=<a@b>",
        "AUTH=<",
        "AUTH=alice",
        "AUTH=a+b@c",
        "AUTH=a+0A@b",
        "AUTH=a@b+0D+0A",
        "AUTH=a+FF@b",
        "AUTH=caf\u{e9}@b",
    ]);
}

/// RFC 8689 §2.
#[test]
fn requiretls_is_a_flag() {
    assert!(mail("REQUIRETLS").require_tls && mail("RequireTLS SIZE=1").require_tls);
    assert!(!mail("SIZE=1").require_tls);
}

/// RFC 4865 §3.
#[test]
fn holdfor_is_one_to_nine_digits_without_a_leading_zero() {
    let seconds = |parameter: &str| match mail(parameter).hold {
        Some(Hold::For(interval)) => interval.seconds(),
        other => panic!("{other:?}"),
    };
    assert_eq!(seconds("HOLDFOR=1"), 1);
    assert_eq!(seconds("HOLDFOR=999999999"), 999_999_999);
    malformed_in_mail(&["HOLDFOR=0", "HOLDFOR=01", "HOLDFOR=1000000000", "HOLDFOR=-1", "HOLDFOR=+1", "HOLDFOR=1h"]);
    assert_eq!((HoldInterval::from_seconds(0), HoldInterval::from_seconds(1_000_000_000)), (None, None));
}

/// RFC 4865 §3, RFC 3339 §5.6: in UTC, and a day that there is.
#[test]
fn holduntil_is_a_date_and_time_in_utc() {
    for (text, unix_seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", -1),
        ("2000-02-29T12:30:45Z", 951_827_445),
        ("2026-11-25T09:30:00Z", 1_795_599_000),
        ("2026-11-25t09:30:00z", 1_795_599_000),
        ("2026-11-25T09:30:00.000Z", 1_795_599_000),
        ("2026-11-25T09:30:00.25Z", 1_795_599_001),
        ("2016-12-31T23:59:60Z", 1_483_228_800),
        ("0000-01-01T00:00:00Z", -62_167_219_200),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ] {
        let Some(Hold::Until(until)) = mail(&format!("HOLDUNTIL={text}")).hold else { panic!("{text}") };
        assert_eq!((until.as_str(), until.unix_seconds()), (text, unix_seconds));
        assert_eq!(text.parse::<Timestamp>(), Ok(until));
    }
    for text in [
        "2026-11-25",
        "2026-11-25T09:30Z",
        "2026-11-25T09:30:00",
        "2026-11-25T09:30:00+00:00",
        "2026-11-25T09:30:00-05:00",
        "2026-11-25T09:30:00.Z",
        "2026-11-25T09:30:00.1234567890Z",
        "2026-11-25T09:30:00ZZ",
        "2026-13-25T09:30:00Z",
        "2026-00-25T09:30:00Z",
        "2026-11-31T09:30:00Z",
        "2026-11-00T09:30:00Z",
        "2026-02-29T09:30:00Z",
        "1900-02-29T09:30:00Z",
        "2026-11-25T24:00:00Z",
        "2026-11-25T09:60:00Z",
        "2026-11-25T09:30:60Z",
        "26-11-25T09:30:00Z",
    ] {
        malformed_in_mail(&[&format!("HOLDUNTIL={text}")]);
    }
}

/// RFC 2852 §4: with mode R only positive times.
#[test]
fn by_has_a_time_and_a_mode() {
    for (parameter, seconds, mode, trace) in [
        ("BY=120;R", 120, DeliverByMode::Return, false),
        ("BY=+120;rt", 120, DeliverByMode::Return, true),
        ("BY=0;N", 0, DeliverByMode::Notify, false),
        ("BY=-999999999;NT", -999_999_999, DeliverByMode::Notify, true),
        ("by=000000001;n", 1, DeliverByMode::Notify, false),
    ] {
        let by = mail(parameter).deliver_by.unwrap();
        assert_eq!((by.seconds(), by.mode(), by.trace()), (seconds, mode, trace), "{parameter}");
    }
    malformed_in_mail(&[
        "BY=0;R",
        "BY=-1;R",
        "BY=120",
        "BY=120;",
        "BY=;R",
        "BY=+;R",
        "BY=120;T",
        "BY=120;TR",
        "BY=120;RN",
        "BY=120;R;T",
        "BY=1000000000;R",
        "BY=1.5;R",
        "BY=--1;N",
    ]);
    assert!(DeliverBy::new(1_000_000_000, DeliverByMode::Return, false).is_err());
    assert!(DeliverBy::new(i64::MIN, DeliverByMode::Notify, false).is_err());
}

/// RFC 6710 §7.
#[test]
fn mt_priority_is_one_digit_and_a_sign() {
    for value in -9..=9 {
        assert_eq!(mail(&format!("MT-PRIORITY={value}")).priority.unwrap().value(), value);
    }
    malformed_in_mail(&[
        "MT-PRIORITY=10",
        "MT-PRIORITY=-10",
        "MT-PRIORITY=+1",
        "MT-PRIORITY=-0",
        "MT-PRIORITY=01",
        "MT-PRIORITY=x",
    ]);
    assert_eq!((Priority::new(10), Priority::new(-10)), (None, None));
    assert!(Priority::new(3) > Some(Priority::default()));
}

/// The longest command that RFC 5321 and the extensions permit fits the line that is read by default.
#[test]
fn the_longest_mail_command_fits_a_line() {
    let local_part = "\u{fc}".repeat(32);
    let domain = format!("{0}.{0}.{1}", "x".repeat(63), "y".repeat(61));
    let identity = format!("{local_part}@{domain}");
    let mut mail = Mail::new(format!("<{identity}>").parse().unwrap());
    mail.parameters = MailParameters {
        size: Some(u64::MAX),
        body: Some(BodyType::BinaryMime),
        smtputf8: true,
        require_tls: true,
        ret: Some(Ret::Full),
        envelope_id: Some("x".repeat(100).parse().unwrap()),
        auth: Some(AuthIdentity::Mailbox(Box::new(identity.parse().unwrap()))),
        hold: Some(Hold::Until("2026-11-25T09:30:00.123456789Z".parse().unwrap())),
        deliver_by: DeliverBy::new(-999_999_999, DeliverByMode::Notify, true).ok(),
        priority: Priority::new(-9),
    };
    let mut line = BytesMut::new();
    mail.encode(&mut line);
    assert!(line.len() + 2 <= crate::Limits::default().command_line_octets, "{}", line.len());
}

/// What one MAIL takes in memory: a plain one has its path and nothing else.
#[test]
fn a_plain_mail_is_small() {
    assert!(size_of::<Mail>() <= 160, "{}", size_of::<Mail>());
    assert!(size_of::<Rcpt>() <= 72, "{}", size_of::<Rcpt>());
}

#[test]
fn the_reply_to_a_bad_value_is_501_at_its_parameter() {
    let error = Mail::parse(b"MAIL FROM:<a@b> RET=NO").unwrap_err();
    assert_eq!((error.code(), error.offset), (ReplyCode::PARAMETER_SYNTAX, 16));
    assert_eq!(error.reply().to_string(), "501 5.5.4 Malformed parameter value");
}
