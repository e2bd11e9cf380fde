//! Both engines against each other, on a simulated clock.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;
use smtp_proto::client::CloseReason as ClientClose;
use smtp_proto::server::CloseReason as ServerClose;
use smtp_proto::{Envelope, Extensions, Limits, Mail, Rcpt, Timer};
use smtp_testkit::pair::{Conditions, Lost, Message, Report, is_refused, talk};

fn message(recipients: &[&str], content: &[u8]) -> Message {
    let mail = Mail::parse(b"MAIL FROM:<a@example.net>").unwrap();
    let rcpt = |address: &&str| Rcpt::parse(format!("RCPT TO:<{address}>").as_bytes()).unwrap();
    let recipients = recipients.iter().map(rcpt).collect();
    Message { envelope: Envelope { mail, recipients }, content: content.to_vec() }
}

/// What the server has after a talk in which nothing is lost: each message, for the recipients that it accepts.
fn accepted(messages: &[Message]) -> Vec<(Vec<Rcpt>, &[u8])> {
    let accepted = |message: &Message| -> Vec<Rcpt> {
        message.envelope.recipients.iter().filter(|rcpt| !is_refused(rcpt)).cloned().collect()
    };
    let all = messages.iter().map(|message| (accepted(message), &message.content[..]));
    all.filter(|(recipients, _)| !recipients.is_empty()).collect()
}

fn received(report: &Report) -> Vec<(Vec<Rcpt>, &[u8])> {
    report.received.iter().map(|message| (message.envelope.recipients.clone(), &message.content[..])).collect()
}

/// Messages as they are received, by what the client was told.
fn told_delivered(report: &Report, messages: &[Message]) -> Vec<(Rcpt, Vec<u8>)> {
    let delivered = report.told.iter().filter(|(_, _, delivered)| *delivered);
    delivered
        .map(|&(message, index, _)| {
            let message = &messages[message];
            (message.envelope.recipients[index].clone(), message.content.clone())
        })
        .collect()
}

fn assert_all_arrived(messages: &[Message], report: &Report) {
    assert_eq!(received(report), accepted(messages));
    assert_eq!(report.client_closed, ClientClose::Quit);
    assert_eq!(report.server_closed, ServerClose::Quit);
    let told: usize = messages.iter().map(|message| message.envelope.recipients.len()).sum();
    assert_eq!(report.told.len(), told, "each recipient is told once");
    let delivered: usize = accepted(messages).iter().map(|(recipients, _)| recipients.len()).sum();
    assert_eq!(report.told.iter().filter(|(_, _, delivered)| *delivered).count(), delivered);
}

#[test]
fn many_messages_cross_on_one_connection() {
    let messages = [
        message(&["b@example.com"], b"one\r\n"),
        message(&["nobody@example.com"], b"nobody has this\r\n"),
        message(&["c@example.com", "none@example.com", "d@example.com"], b".\r\n..\r\n.x\r\n\r\n"),
        message(&["b@example.com"], b""),
    ];
    for switches in 0..8 {
        let [pipelining, starttls, chunking] = [1, 2, 4].map(|switch| switches & switch != 0);
        let offered = Extensions { pipelining, starttls, chunking, ..Conditions::default().offered };
        let report = talk(&messages, &Conditions { offered, ..Conditions::default() });
        assert_all_arrived(&messages, &report);
    }
}

#[test]
fn a_thousand_recipients_in_one_group_do_not_lock_a_narrow_link() {
    let addresses: Vec<String> = (0..1000).map(|number| format!("recipient-{number}@example.com")).collect();
    let recipients: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let messages = [message(&recipients, b"to all\r\n")];
    let conditions = Conditions {
        window_octets: 512,
        piece_octets_max: 300,
        limits: Limits { output_octets: 256, ..Limits::default() },
        ..Conditions::default()
    };
    assert_all_arrived(&messages, &talk(&messages, &conditions));
}

#[test]
fn a_slow_link_is_no_dead_one() {
    let content = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(15_000);
    let messages = [message(&["b@example.com"], &content)];
    let conditions = Conditions {
        delay_max: Duration::from_secs(14),
        window_octets: 8192,
        chunk_octets: 8192,
        ..Conditions::default()
    };
    let report = talk(&messages, &conditions);
    assert_all_arrived(&messages, &report);
    assert!(
        report.elapsed > Duration::from_mins(10),
        "longer than every wait for octets or replies: {:?}",
        report.elapsed
    );
}

#[test]
fn a_server_that_hears_nothing_more_gives_up_and_so_does_the_client() {
    let messages = [message(&["b@example.com"], b"hello\r\n")];
    let conditions = Conditions { lost: Some(Lost::Silent { after_octets: 0 }), ..Conditions::default() };
    let report = talk(&messages, &conditions);
    assert_eq!(report.client_closed, ClientClose::Timeout(Timer::Greeting));
    assert_eq!(report.server_closed, ServerClose::Timeout(Timer::Command));
}

#[test]
fn a_message_over_the_limit_is_refused_and_the_next_one_passes() {
    let messages = [
        message(&["b@example.com"], &b"NOOP and more of it\r\n".repeat(100)),
        message(&["b@example.com"], b"short\r\n"),
    ];
    for (chunking, chunk_octets) in [(false, 4096), (true, 4096), (true, 600)] {
        let offered = Extensions { size: None, chunking, ..Conditions::default().offered };
        let limits = Limits { message_octets: 1000, ..Limits::default() };
        let report = talk(&messages, &Conditions { offered, limits, chunk_octets, ..Conditions::default() });
        assert_eq!(received(&report), accepted(&messages[1..]), "{chunking} {chunk_octets}");
        assert_eq!(report.client_closed, ClientClose::Quit);
    }
}

/// RFC 3030 §3: octet for octet, and only where it is offered.
#[test]
fn binary_content_crosses_where_it_may() {
    let messages = [message(&["b@example.com"], b"a\nb\rc\0\r"), message(&["b@example.com"], b"lines\r\n")];
    for binary_mime in [true, false] {
        let offered = Extensions { chunking: true, binary_mime, ..Conditions::default().offered };
        let report = talk(&messages, &Conditions { offered, chunk_octets: 2, ..Conditions::default() });
        let arriving = if binary_mime { &messages[..] } else { &messages[1..] };
        assert_eq!(received(&report), accepted(arriving));
        assert_eq!(report.client_closed, ClientClose::Quit);
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let address = prop_oneof![3 => "[b-m]{1,8}@example\\.com", 1 => "no[a-z]{1,8}@example\\.com"];
    let line = prop_oneof![
        "[ -~]{0,40}\r\n",
        Just(".\r\n".to_owned()),
        Just("..\r\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("QUIT\r\n".to_owned()),
        Just("caf\u{e9}\r\n".to_owned()),
    ];
    let addresses = proptest::collection::vec(address, 1..5);
    (addresses, proptest::collection::vec(line, 0..12)).prop_map(|(addresses, lines)| {
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        message(&addresses, lines.concat().as_bytes())
    })
}

fn any_conditions() -> impl Strategy<Value = Conditions> {
    let offered = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let link = (1..200usize, 0..5000u64, 1..400usize, 1..100usize);
    (any::<u64>(), link, offered, 40..2000usize).prop_map(|(seed, link, offered, output_octets)| {
        let (piece_octets_max, delay_max, window_octets, chunk_octets) = link;
        let (pipelining, starttls, chunking, size) = offered;
        let all = Conditions::default();
        Conditions {
            seed,
            piece_octets_max,
            delay_max: Duration::from_millis(delay_max),
            window_octets,
            chunk_octets,
            lost: None,
            offered: Extensions { pipelining, starttls, chunking, size: size.then_some(1_000_000), ..all.offered },
            limits: Limits { output_octets, ..all.limits },
        }
    })
}

proptest! {
    #[test]
    fn every_message_arrives_whatever_the_link_is_like(
        messages in proptest::collection::vec(any_message(), 0..5),
        conditions in any_conditions(),
    ) {
        assert_all_arrived(&messages, &talk(&messages, &conditions));
    }

    #[test]
    fn every_octet_arrives_in_chunks_whatever_it_is(
        contents in proptest::collection::vec("[\0\r\n.a\u{e9}]{0,40}", 1..4),
        conditions in any_conditions(),
    ) {
        let messages: Vec<Message> =
            contents.iter().map(|content| message(&["b@example.com"], content.as_bytes())).collect();
        let offered = Extensions { chunking: true, binary_mime: true, ..conditions.offered };
        assert_all_arrived(&messages, &talk(&messages, &Conditions { offered, ..conditions }));
    }

    /// Whatever is told as delivered has been accepted; of the rest, at most the message under way was accepted too.
    #[test]
    fn a_lost_link_loses_no_message(
        messages in proptest::collection::vec(any_message(), 1..4),
        conditions in any_conditions(),
        after_octets in 0..3000usize,
        silent: bool,
    ) {
        let lost = if silent { Lost::Silent { after_octets } } else { Lost::Reset { after_octets } };
        let report = talk(&messages, &Conditions { lost: Some(lost), ..conditions });
        let received: Vec<(Rcpt, Vec<u8>)> = report
            .received
            .iter()
            .flat_map(|message| message.envelope.recipients.iter().map(|rcpt| (rcpt.clone(), message.content.clone())))
            .collect();
        let told = told_delivered(&report, &messages);
        prop_assert!(received.starts_with(&told), "told {told:?} received {received:?}");
        let of_one_message = report.received.last().map_or(0, |message| message.envelope.recipients.len());
        prop_assert!(received.len() - told.len() <= of_one_message);
    }
}
