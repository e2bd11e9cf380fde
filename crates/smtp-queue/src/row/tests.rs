#![allow(clippy::unwrap_used)]
use std::time::Duration;

use proptest::prelude::*;
use smtp_mail::Stage;
use smtp_proto::{EnhancedStatus, RemoteReply};

use super::*;
use crate::NewDelivery;
use crate::NewRecipient;
use crate::prepare::prepare;
use crate::store::{PreparedBody, PreparedMessage};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// An address of so many octets before and behind its `@`.
fn mailbox(local_octets: usize, domain_octets: usize) -> smtp_proto::Mailbox {
    let mut domain = "d".repeat(domain_octets);
    for point in (60..domain_octets.saturating_sub(1)).step_by(60) {
        domain.replace_range(point..=point, ".");
    }
    format!("{}@{domain}", "l".repeat(local_octets)).parse().unwrap()
}

fn prepared(recipients: Vec<NewRecipient>, reverse_path: Option<ReversePath>) -> PreparedMessage {
    let destination = Destination::Domain(mailbox(1, 250).domain().clone());
    let message = crate::NewMessage {
        mail: Mail::new(ReversePath::Mailbox(mailbox(64, 180))),
        header: "\r\n".into(),
        facts: ContentFacts::default(),
        received_at: at(1),
        expires_at: at(u64::from(u32::MAX)),
        delay_notice_at: Some(at(u64::from(u32::MAX))),
        deliveries: vec![NewDelivery { destination, recipients, reverse_path }],
        origin: "o".repeat(1000),
        hold: None,
    };
    prepare(MessageId::from_raw(1), message, PreparedBody::Memory("x".into())).unwrap()
}

/// What has no priority is written as it was before there were any, and read so; the priority stands behind all else.
#[test]
fn a_row_with_a_priority_is_of_a_version_of_its_own() {
    let recipient = NewRecipient { rcpt: Rcpt::new(ForwardPath::Mailbox(mailbox(1, 20))), original: None };
    let plain = DeliveryRow::clone(&prepared(vec![recipient], None).deliveries[0]);
    let encoded = |row: &DeliveryRow| {
        let mut octets = BytesMut::new();
        row.encode(&mut octets);
        octets.to_vec()
    };
    let former = encoded(&plain);
    assert_eq!((former[0], DeliveryRow::decode(plain.id, &former).unwrap()), (1, plain.clone()));
    for value in [-9, -1, 9] {
        let urgent = DeliveryRow { priority: smtp_proto::Priority::new(value).unwrap(), ..plain.clone() };
        let octets = encoded(&urgent);
        assert_eq!((octets[0], octets.len()), (2, former.len() + 1));
        assert_eq!(DeliveryRow::decode(plain.id, &octets).unwrap(), urgent);
        assert!(DeliveryRow::may_go_to(&plain.destination.domain().unwrap().to_string().parse().unwrap(), &octets));
        assert!(DeliveryRow::decode(plain.id, &[&octets[..octets.len() - 1], &[10]].concat()).is_err());
    }
}

/// So a server that knows of no such holds says that the row is of a later version, and not that it is damaged.
#[test]
fn a_row_that_policy_holds_is_of_a_version_of_its_own() {
    let recipient = NewRecipient { rcpt: Rcpt::new(ForwardPath::Mailbox(mailbox(1, 20))), original: None };
    let plain = DeliveryRow::clone(&prepared(vec![recipient], None).deliveries[0]);
    for (cause, version) in [(HoldCause::Operator, 1), (HoldCause::Damage, 1), (HoldCause::Policy, 2)] {
        for priority in [0, 4] {
            let priority = smtp_proto::Priority::new(priority).unwrap();
            let hold = Hold { cause, reason: "look".to_owned(), until: None };
            let row = DeliveryRow { hold: Some(hold), priority, ..plain.clone() };
            let mut octets = BytesMut::new();
            row.encode(&mut octets);
            assert_eq!(octets[0], if priority.value() == 0 { version } else { 2 });
            assert_eq!(DeliveryRow::decode(row.id, &octets).unwrap(), row);
        }
    }
}

#[test]
fn a_row_is_passed_over_only_where_it_goes_to_another_domain() {
    let recipient = NewRecipient { rcpt: Rcpt::new(ForwardPath::Mailbox(mailbox(1, 20))), original: None };
    let row = DeliveryRow::clone(&prepared(vec![recipient], None).deliveries[0]);
    let may_go_to = |row: &DeliveryRow, pattern: &str| {
        let mut octets = BytesMut::new();
        row.encode(&mut octets);
        DeliveryRow::may_go_to(&pattern.parse().unwrap(), &octets)
    };
    let domain = row.destination.domain().unwrap().to_string();
    assert!(may_go_to(&row, &domain) && may_go_to(&row, &domain.to_uppercase()));
    assert!(!may_go_to(&row, "example.com"));
    let local = DeliveryRow { destination: Destination::Mailbox(LocalUser::new("alice")), ..row };
    assert!(may_go_to(&local, "example.com"));
    // Nothing is lost from sight that way.
    assert!(DeliveryRow::may_go_to(&"example.com".parse().unwrap(), b"\xff"));
}

fn long_report(number: u32) -> Report {
    let reply = format!("450-{}\r\n450 {number}\r\n", "r".repeat(5000));
    let mut report = Report::of_reply(RemoteReply::parse(reply.as_bytes()).unwrap());
    report = report.with_host("h".repeat(255), Some("[2001:db8::1]:25".parse().unwrap()));
    report.with_tls(Some("t".repeat(300))).at_stage(Stage::MailData)
}

#[test]
fn no_row_is_longer_than_its_limit() {
    for (local, domain) in [(1, 3), (20, 30), (64, 180)] {
        let recipient = NewRecipient {
            rcpt: Rcpt::new(ForwardPath::Mailbox(mailbox(local, domain))),
            original: Some(ForwardPath::Mailbox(mailbox(local, domain))),
        };
        let message = prepared(vec![recipient; 300], Some(ReversePath::Mailbox(mailbox(64, 180))));
        let mut numbers = Vec::new();
        for delivery in message.deliveries {
            let mut row = DeliveryRow::clone(&delivery);
            numbers.extend(row.recipients.iter().map(|recipient| recipient.number));
            row.set_reports(|number| Some(long_report(number)));
            row.attempts = u32::MAX;
            row.last_attempt_at = Some(at(u64::from(u32::MAX)));
            row.hold = Some(Hold {
                cause: HoldCause::Operator,
                reason: cut_text(&"é".repeat(1000), TEXT_OCTETS_MAX).to_owned(),
                until: Some(at(u64::from(u32::MAX))),
            });
            let mut octets = BytesMut::new();
            row.encode(&mut octets);
            assert!(octets.len() <= ROW_OCTETS_MAX);
            assert_eq!(DeliveryRow::decode(row.id, &octets).unwrap(), row);
        }
        assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
        let mut octets = BytesMut::new();
        message.row.encode(&mut octets);
        assert_eq!(MessageRow::decode(message.row.id, &octets).unwrap(), message.row);
    }
}

#[test]
fn a_delivery_too_long_to_keep_is_refused() {
    let recipient = NewRecipient { rcpt: Rcpt::new(ForwardPath::Postmaster), original: None };
    let deliveries = vec![NewDelivery {
        destination: Destination::Mailbox(LocalUser::new(&"u".repeat(5000))),
        recipients: vec![recipient],
        reverse_path: None,
    }];
    let message = crate::NewMessage {
        mail: Mail::new(ReversePath::Null),
        header: "\r\n".into(),
        facts: ContentFacts::default(),
        received_at: at(1),
        expires_at: at(2),
        delay_notice_at: None,
        deliveries,
        origin: String::new(),
        hold: None,
    };
    let refused = prepare(MessageId::from_raw(1), message, PreparedBody::Memory("x".into()));
    assert!(matches!(refused, Err(crate::CommitError::DeliveryTooLong { .. })));
}

#[test]
fn the_same_report_is_kept_once_and_each_recipient_has_its_own() {
    let recipient = NewRecipient { rcpt: Rcpt::new(ForwardPath::Postmaster), original: None };
    let mut row = DeliveryRow::clone(&prepared(vec![recipient; 5], None).deliveries[0]);
    let report = |text: &str| Report::new(EnhancedStatus::new(4, 0, 0), text);
    row.set_reports(|number| Some(report(if number % 2 == 0 { "even" } else { "odd" })));
    assert_eq!(row.reports.len(), 2);
    // Only one recipient hears something new.
    row.set_reports(|number| (number == 4).then(|| report("four")));
    let texts: Vec<_> = row.recipients.iter().map(|recipient| row.report_of(recipient).unwrap().text()).collect();
    assert_eq!(texts, ["odd", "even", "odd", "four", "odd"]);
    // Where not all have room, the first one speaks for the rest.
    row.set_reports(|number| Some(long_report(number)));
    assert!(row.recipients.iter().all(|recipient| row.report_of(recipient).is_some()));
}

#[test]
fn a_report_comes_back_with_all_that_was_kept() {
    let reply = RemoteReply::parse(b"550-5.1.1 no\r\n550 5.1.1 such user\r\n").unwrap();
    let report = Report::of_reply(reply)
        .with_host("mx.example.net", Some("192.0.2.1:25".parse().unwrap()))
        .with_tls(Some("TLSv1.3".to_owned()))
        .at_stage(Stage::Rcpt);
    let recipient = NewRecipient { rcpt: Rcpt::new(ForwardPath::Postmaster), original: None };
    let mut row = DeliveryRow::clone(&prepared(vec![recipient], None).deliveries[0]);
    row.set_reports(|_| Some(report.clone()));
    let mut octets = BytesMut::new();
    row.encode(&mut octets);
    assert_eq!(DeliveryRow::decode(row.id, &octets).unwrap().reports, [report]);
}

proptest! {
    #[test]
    fn no_octets_panic(octets: Vec<u8>) {
        let id = MessageId::from_raw(1);
        let _ = MessageRow::decode(id, &octets);
        let mut versioned = vec![ROW_VERSION];
        versioned.extend(octets);
        let _ = DeliveryRow::decode(DeliveryId { message: id, number: 1 }, &versioned);
    }
}
