#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use smtp_mail::{MessageId, RecipientId, Report};
use smtp_proto::{EnhancedStatus, HelloName, Reply, ReplyCode, ReversePath, TlsFacts, XClient};
use smtp_sasl::Login;
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::listener::Peer;
use crate::metrics::{AttemptResult, AuthMechanism, DeliveryClass, ProxyRefusal, Service, Stage, TlsFailure};

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that `events` writes.
fn lines(format: Format, events: impl FnOnce()) -> Vec<String> {
    let output = Output::default();
    let subscriber = tracing_subscriber::registry().with(LogLayer::new(format, output.clone()));
    tracing::subscriber::with_default(subscriber, events);
    let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
    text.split_terminator('\n').map(str::to_owned).collect()
}

fn session() -> Session {
    Session::new(Service::Mx, Peer::Address("192.0.2.1:4321".parse().unwrap()))
}

/// A refusal in which the peer chose the EHLO name, and the reason quotes what it wrote.
fn refuse(session: &Session, hello: &str, reason: &str) {
    let status = EnhancedStatus::new(5, 7, 1);
    refused(
        session,
        Refused {
            stage: Stage::Rcpt,
            reply: &Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, status, "No"),
            reason: &reason,
            hello: HelloName::parse(hello.as_bytes()).ok().as_ref(),
            reverse_path: None,
            forward_path: Some(&"<x@y.example>".parse().unwrap()),
        },
    );
}

#[test]
fn an_event_has_its_name_first_and_what_the_peer_wrote_last() {
    let session = session();
    let line = lines(Format::Human, || refuse(&session, "client.example", "relaying denied")).pop().unwrap();
    let (_time, line) = line.split_once(' ').unwrap();
    assert_eq!(
        line,
        format!(
            "info  refused session={} service=mx peer=192.0.2.1:4321 stage=rcpt code=550 status=5.7.1 \
             reason=\"relaying denied\" hello=client.example forward_path=<x@y.example>",
            session.id
        )
    );
    let line = lines(Format::Json, || refuse(&session, "client.example", "relaying denied")).pop().unwrap();
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["event"], "refused");
    assert_eq!(json["code"], 550, "numbers stay numbers");
    assert_eq!(json["forward_path"], "<x@y.example>");
    assert_eq!(json.get("reverse_path"), None, "what is not known is not there");
}

/// Who filters the log by the proxy, or by the session, misses none of its lines.
#[test]
fn every_line_of_a_session_says_whose_it_is() {
    let session = Session { proxy: Some("192.0.2.7".parse().unwrap()), ..session() };
    let login = Login::prepare(b"alice").unwrap();
    let lines = lines(Format::Json, || {
        tls_established(&session, &TlsFacts::default());
        tls_failed(&session, TlsFailure::NotTls, &"x");
        proxy_refused(&session, ProxyRefusal::Malformed, &"x");
        xclient(&session, &XClient::default());
        authenticated(&session, AuthMechanism::Plain, &login);
        authentication_failed(&session, AuthMechanism::Plain, Some(&login), &"x");
        refuse(&session, "client.example", "x");
        let received_message = Received {
            message: MessageId::from_raw(1),
            octets: 1,
            recipients: 1,
            tls: None,
            hello: None,
            reverse_path: &ReversePath::Null,
            terms: None,
            message_id_field: None,
        };
        received(&session, received_message);
        held(&session, MessageId::from_raw(1), "x");
        closed(&session, Closed { reason: &"quit", messages: 1, refused: 1, duration: Duration::ZERO });
    });
    assert_eq!(lines.len(), 10);
    for line in lines {
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["session"], session.id.to_string(), "{line}");
        assert_eq!(json["service"], "mx", "{line}");
        assert_eq!(json["peer"], "192.0.2.1:4321", "{line}");
        assert_eq!(json["proxy"], "192.0.2.7", "{line}");
    }
}

/// A peer cannot end a line, forge a field, move a terminal's cursor, or turn the text around.
#[test]
fn text_from_a_peer_stays_inside_its_field() {
    let session = session();
    for attack in [
        "x\r\n2026-01-01T00:00:00.000Z info  refused session=1",
        "x peer=198.51.100.1:25",
        "x\" peer=\"198.51.100.1:25",
        "x\\\" peer=198.51.100.1:25",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}31m",
        "\u{202e}moc.elpmaxe",
        "\u{2028}line",
        "\0",
        "a\u{feff}\u{200b}b",
        "\u{e0041}",
    ] {
        let human = lines(Format::Human, || refuse(&session, attack, attack));
        let json = lines(Format::Json, || refuse(&session, attack, attack));
        assert_eq!((human.len(), json.len()), (1, 1), "{attack:?}");
        for line in [&human[0], &json[0]] {
            assert!(
                line.chars().all(|c| !c.is_control() && !"\u{202e}\u{2028}\u{feff}\u{200b}\u{e0041}".contains(c)),
                "{line}"
            );
        }
        assert_eq!(fields(&human[0]).iter().filter(|name| *name == "peer").count(), 1, "{}", human[0]);
        let parsed: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
        assert_eq!(parsed["reason"], attack, "JSON gives back what was sent");
        assert_eq!(parsed["peer"], "192.0.2.1:4321");
    }
}

/// The names of the fields of a line for people, read as its grammar says.
fn fields(line: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => name.clear(),
            '=' if !quoted => names.push(std::mem::take(&mut name)),
            c => name.push(c),
        }
    }
    names
}

#[test]
fn long_text_is_cut_between_characters() {
    let session = session();
    let long = "é".repeat(4000);
    for format in [Format::Human, Format::Json] {
        let line = lines(format, || refuse(&session, "x", &long)).pop().unwrap();
        assert!(line.len() < 2000, "{}", line.len());
    }
}

#[test]
fn a_plain_message_is_its_own_event() {
    let line = lines(Format::Human, || tracing::warn!(path = "/x y", "the file\nis gone")).pop().unwrap();
    assert!(line.ends_with("warn  the file\\nis gone path=\"/x y\""), "{line}");
    let line = lines(Format::Json, || tracing::warn!(left = -1_i64, part = 0.5, "gone")).pop().unwrap();
    assert!(line.ends_with("\"level\":\"warn\",\"event\":\"gone\",\"left\":-1,\"part\":0.500}"), "{line}");
}

#[test]
fn an_attempt_is_named_after_its_result() {
    let reply = Report::new(EnhancedStatus::new(4, 2, 1), "451 4.2.1 later");
    let report = reply.with_host("mx.example.net", Some("192.0.2.9:25".parse().unwrap()));
    for &result in AttemptResult::ALL {
        let line = lines(Format::Json, || {
            attempt(Attempt {
                recipient: RecipientId { message: MessageId::from_raw(1), number: 1 },
                result,
                class: DeliveryClass::Remote,
                lane: &"example.net",
                attempts: 2,
                age: Duration::from_millis(1500),
                due: Some(UNIX_EPOCH + Duration::from_mins(1)),
                reverse_path: &ReversePath::Null,
                forward_path: &"<a@example.net>".parse().unwrap(),
                original: None,
                report: &report,
            });
        })
        .pop()
        .unwrap();
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["event"], result.as_str());
        assert_eq!(json["recipient"], "0000000000001.1");
        assert_eq!(json["status"], "4.2.1");
        assert_eq!(json["host"], "mx.example.net[192.0.2.9:25]");
        assert_eq!(json["text"], "451 4.2.1 later");
        assert_eq!(json["age_seconds"], 1.5);
        assert_eq!(json["due"], "1970-01-01T00:01:00.000Z");
    }
}

#[test]
fn the_time_is_rfc_3339() {
    let record = Record { time: UNIX_EPOCH, level: Level::INFO, event: "x".to_owned(), fields: Vec::new() };
    assert_eq!(record.render(Format::Human), "1970-01-01T00:00:00.000Z info  x\n");
    assert_eq!(
        record.render(Format::Json),
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"event\":\"x\"}\n"
    );
}

/// C16: a log that cannot be written stops nothing.
#[test]
fn a_full_disk_is_survived() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _octets: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let subscriber = tracing_subscriber::registry().with(LogLayer::new(Format::Json, Full));
    tracing::subscriber::with_default(subscriber, || tracing::error!("lost"));
}

#[test]
fn session_ids_differ_and_count_up() {
    let ids: Vec<_> = (0..100).map(|_| SessionId::next().to_string()).collect();
    assert!(ids.is_sorted());
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn a_bad_filter_is_named() {
    assert!(matches!(install(Format::Json, "smtp_server=loud"), Err(LogError::Filter(_))));
}

/// It is one line like all others, whatever its text: nothing is written beside the log.
#[test]
fn a_panic_is_a_line_of_the_log() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(panic));
    let lines = lines(Format::Json, || {
        let panicked = std::panic::catch_unwind(|| panic!("two\nlines"));
        assert!(panicked.is_err());
    });
    std::panic::set_hook(before);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((line["event"].as_str(), line["level"].as_str()), (Some("panic"), Some("error")));
    assert_eq!(line["text"], "two\nlines");
    assert!(line["place"].as_str().unwrap().starts_with("crates/smtp-server/src/log/tests.rs:"), "{line}");
    assert!(line["thread"].as_str().unwrap().ends_with("a_panic_is_a_line_of_the_log"), "{line}");
}
