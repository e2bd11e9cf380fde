#![allow(clippy::unwrap_used)]

use smtp_admin::{Class, Hold, LastAttempt, QueueCounts};

use super::*;

const NOW: &str = "2026-11-25T12:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn recipient(id: &str, state: QueueState) -> QueuedRecipient {
    QueuedRecipient {
        id: id.to_owned(),
        message: id.split('.').next().unwrap().to_owned(),
        state,
        class: Class::Remote,
        lane: "away.test".to_owned(),
        reverse_path: "alice@demo.test".to_owned(),
        forward_path: "later@away.test".to_owned(),
        original: None,
        octets: 4231,
        received_at: time("2026-11-25T11:56:00Z"),
        due_at: time("2026-11-25T12:05:30Z"),
        expires_at: time("2026-11-30T11:56:00Z"),
        attempts: 1,
        last: Some(LastAttempt {
            at: Some(time("2026-11-25T11:56:01Z")),
            status: "4.2.1".to_owned(),
            text: "451 4.2.1 try later".to_owned(),
            host: Some("away.test[127.0.0.1:2525]".to_owned()),
        }),
        hold: None,
    }
}

fn message(recipients: Vec<QueuedRecipient>) -> QueuedMessage {
    QueuedMessage {
        id: "0D8K2M4Q7X1AB".to_owned(),
        origin: "127.0.0.1:40000".to_owned(),
        reverse_path: "alice@demo.test".to_owned(),
        octets: 4231,
        eight_bit: false,
        smtputf8: true,
        terms: None,
        received_at: time("2026-11-25T11:56:00Z"),
        damaged: false,
        recipients,
    }
}

fn table(recipients: &[QueuedRecipient]) -> String {
    let mut output = Vec::new();
    let mut table = QueueTable::new(&mut output, time(NOW));
    for recipient in recipients {
        table.push(recipient).unwrap();
    }
    assert_eq!(table.finish().unwrap(), recipients.len() as u64);
    String::from_utf8(output).unwrap()
}

#[test]
fn the_queue_is_a_table_that_a_stranger_reads() {
    let held = QueuedRecipient {
        hold: Some(Hold { reason: "maintenance".to_owned(), until: Some(time("2026-11-25T14:00:00Z")) }),
        last: None,
        attempts: 0,
        reverse_path: String::new(),
        octets: 12,
        received_at: time("2026-11-22T11:56:00Z"),
        ..recipient("0D8K2M4Q7X1AC.1", QueueState::Held)
    };
    let first = QueuedRecipient { last: None, attempts: 0, ..recipient("0D8K2M4Q7X1AB.2", QueueState::InFlight) };
    assert_eq!(
        table(&[recipient("0D8K2M4Q7X1AB.1", QueueState::Scheduled), first, held]),
        "\
ID               AGE  SIZE     FROM             TO               TRIES  STATE        LAST REPLY
0D8K2M4Q7X1AB.1  4m   4.1 KiB  alice@demo.test  later@away.test  1      retry in 5m  away.test[127.0.0.1:2525]: 451 4.2.1 try later
0D8K2M4Q7X1AB.2  4m   4.1 KiB  alice@demo.test  later@away.test  0      sending
0D8K2M4Q7X1AC.1  3d   12 B     <>               later@away.test  0      held for 2h
-- 3 envelopes of 2 messages, 4.1 KiB
"
    );
    assert_eq!(table(&[]), "");
}

#[test]
fn a_long_list_streams_with_the_widths_of_its_beginning() {
    let recipients: Vec<_> = (1..=500).map(|n| recipient(&format!("0D8K2M4Q7X1AB.{n}"), QueueState::Due)).collect();
    let text = table(&recipients);
    assert_eq!(text.lines().count(), 502);
    assert!(text.ends_with("-- 500 envelopes of 1 message, 4.1 KiB\n"), "{text}");
}

/// What a peer wrote can neither steer the terminal nor forge a row.
#[test]
fn text_of_a_peer_is_made_visible() {
    let mut evil = recipient("0D8K2M4Q7X1AB.1", QueueState::Due);
    evil.forward_path = "\u{1b}[2Jx\n0D8K2M4Q7X1AC.1  4m@away.test".to_owned();
    evil.last.as_mut().unwrap().text = "550 \u{202e}gnp.exe\r\nforged".to_owned();
    let text = table(std::slice::from_ref(&evil));
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text}");
    let mut output = Vec::new();
    envelope(&mut output, &message(vec![evil]), None).unwrap();
    let text = String::from_utf8(output).unwrap();
    assert!(text.lines().all(|line| line.contains(": ")), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text}");
}

#[test]
fn an_envelope_is_key_and_value() {
    let mut held = recipient("0D8K2M4Q7X1AB.2", QueueState::Held);
    held.hold = Some(Hold { reason: "maintenance".to_owned(), until: None });
    held.original = Some("crowd@demo.test".to_owned());
    let message = message(vec![recipient("0D8K2M4Q7X1AB.1", QueueState::Scheduled), held]);
    let mut output = Vec::new();
    envelope(&mut output, &message, Some("0D8K2M4Q7X1AB.2")).unwrap();
    assert_eq!(
        String::from_utf8(output).unwrap(),
        "\
id: 0D8K2M4Q7X1AB.2
message: 0D8K2M4Q7X1AB
origin: 127.0.0.1:40000
from: alice@demo.test
to: later@away.test
original-to: crowd@demo.test
lane: away.test
state: held
held-because: maintenance
octets: 4231
eight-bit: no
smtputf8: yes
received: 2026-11-25T11:56:00Z
due: 2026-11-25T12:05:30Z
expires: 2026-11-30T11:56:00Z
attempts: 1
last-attempt: 2026-11-25T11:56:01Z
last-host: away.test[127.0.0.1:2525]
last-status: 4.2.1
last-reply: 451 4.2.1 try later
"
    );
    let mut output = Vec::new();
    envelope(&mut output, &message, None).unwrap();
    assert_eq!(String::from_utf8(output).unwrap().matches("\n\n").count(), 1, "a block for each recipient");
}

#[test]
fn what_its_sender_holds_says_until_when() {
    let until = time("2026-11-25T14:00:00Z");
    let held = QueuedRecipient {
        hold: Some(Hold { reason: "its sender wants it released then".to_owned(), until: Some(until) }),
        last: None,
        attempts: 0,
        due_at: until,
        ..recipient("0D8K2M4Q7X1AB.1", QueueState::Scheduled)
    };
    assert!(table(std::slice::from_ref(&held)).contains(" held for 2h"), "{}", held.id);
    let message = QueuedMessage { terms: Some("HOLDFOR=7440".to_owned()), ..message(vec![held]) };
    let mut output = Vec::new();
    envelope(&mut output, &message, None).unwrap();
    let text = String::from_utf8(output).unwrap();
    for line in ["state: scheduled\n", "held-until: 2026-11-25T14:00:00Z\n", "terms: HOLDFOR=7440\n"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn the_status_begins_with_the_three_lines_of_opensmtpd() {
    let pause = Pause { until: Some(time("2026-11-25T12:05:00Z")), reason: Some("new disk".to_owned()) };
    let mut shown = Status {
        mda: Running::default(),
        mta: Running { pause: Some(pause.clone()) },
        smtp: Running::default(),
        paused_domains: [("example.net".to_owned(), Pause::default())].into(),
        ready: false,
        problems: vec!["the disk of the queue is full".to_owned()],
        version: "0.1.0".to_owned(),
        pid: 4711,
        hostname: "mx.example.com".to_owned(),
        started_at: time("2026-11-25T09:00:00Z"),
        sessions: 3,
        attempts: 1,
        queue: QueueCounts {
            messages: 2,
            deliveries: 4,
            due: 1,
            waiting: 2,
            in_flight: 1,
            held: 0,
            content_octets: 123_456,
            oldest_age_seconds: 4000,
            free_octets: Some(5 << 30),
        },
    };
    let text = |shown: &Status| {
        let mut output = Vec::new();
        status(&mut output, shown, time(NOW)).unwrap();
        String::from_utf8(output).unwrap()
    };
    assert_eq!(
        text(&shown),
        "\
MDA running
MTA paused for 5m (new disk)
SMTP running
MTA to example.net paused

NOT ready: mail is not accepted
  the disk of the queue is full
server    0.1.0 on mx.example.com, pid 4711, up 3h
queue     2 messages, 120 KiB, 4 deliveries
          1 due, 1 in flight, 2 waiting
          the oldest message is 1h old
disk      5.0 GiB free
now       3 sessions, 1 attempt
"
    );
    shown = Status { ready: true, problems: Vec::new(), queue: QueueCounts::default(), ..shown };
    assert!(text(&shown).contains("\nready: mail is accepted\n"));
    assert!(text(&shown).contains("queue     0 messages, 0 B, 0 deliveries\nnow "));
}

#[test]
fn stats_are_keys_and_values() {
    let shown = Stats { uptime_seconds: 7200, counters: [("mta.session".to_owned(), 3)].into() };
    let mut output = Vec::new();
    stats(&mut output, &shown).unwrap();
    assert_eq!(String::from_utf8(output).unwrap(), "uptime=7200\nuptime.human=2h\nmta.session=3\n");
}

#[test]
fn sizes_and_spans_are_short() {
    for (number, text) in
        [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (10 << 20, "10 MiB"), (u64::MAX, "16777215 TiB")]
    {
        assert_eq!(octets(number), text);
    }
    for (number, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (172_800, "2d")] {
        assert_eq!(super::text::seconds(number), text);
    }
}

#[test]
fn a_message_cannot_steer_the_terminal() {
    let mut output = Vec::new();
    let mut filter = TerminalFilter::new(&mut output);
    for piece in [&b"Subject: \x1b[2J\r\n\tn\xc3\xa9"[..], b"\xc2", b"\x9b31m\x7f"] {
        filter.write_all(piece).unwrap();
    }
    assert_eq!(output, b"Subject: ^[[2J\r\n\tn\xc3\xa9\xc2?31m^?");
}
