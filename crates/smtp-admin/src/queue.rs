//! The values of the queue as types of the API: one translation for the server and for smtpctl, which reads the queue
//! itself when no server runs.

use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use smtp_mail::{Destination, MessageId, RecipientId, Report, terms};
use smtp_queue::select::{Candidate, SizeBound};
use smtp_queue::{
    DeliveryState, DeliveryView, FindError, Lane, MessageView, Page, Queue, RecipientProgress, RecipientView,
};

use crate::types::{Class, Hold, LastAttempt, QueueCheck, QueueState, QueuedMessage, QueuedRecipient, Selector, Size};

/// A message with all recipients of its deliveries that are not done.
pub fn message(view: &MessageView, now: SystemTime) -> QueuedMessage {
    QueuedMessage {
        id: view.id.to_string(),
        origin: view.origin.clone(),
        reverse_path: bare(&view.mail.reverse_path),
        octets: view.facts.octets,
        eight_bit: view.facts.eight_bit,
        smtputf8: view.mail.parameters.smtputf8,
        terms: terms::asked_for(&view.mail.parameters),
        received_at: timestamp(view.received_at),
        damaged: view.content.is_none(),
        recipients: view.deliveries.iter().flat_map(|delivery| recipients(delivery, now)).collect(),
    }
}

/// All recipients of a delivery, also those that are done.
pub fn recipients(delivery: &DeliveryView, now: SystemTime) -> impl Iterator<Item = QueuedRecipient> + '_ {
    delivery.recipients.iter().map(move |recipient| self::recipient(delivery, recipient, now))
}

/// The recipients of a delivery that are still owed the message and that the selector means. Its limit is not looked at.
pub fn selected<'a>(
    delivery: &'a DeliveryView,
    selector: &'a smtp_queue::Selector,
    now: SystemTime,
) -> impl Iterator<Item = QueuedRecipient> + 'a {
    let is_meant = move |recipient: &&RecipientView| {
        recipient.state == RecipientProgress::Queued && selector.matches(&candidate(delivery, recipient, now), now)
    };
    delivery.recipients.iter().filter(is_meant).map(move |recipient| self::recipient(delivery, recipient, now))
}

fn candidate<'a>(delivery: &'a DeliveryView, recipient: &'a RecipientView, now: SystemTime) -> Candidate<'a> {
    Candidate {
        id: RecipientId { message: delivery.id.message, number: recipient.number },
        reverse_path: &delivery.reverse_path,
        forward_path: &recipient.rcpt.forward_path,
        original: recipient.original.as_ref(),
        lane: &delivery.lane,
        received_at: delivery.received_at,
        octets: delivery.octets,
        error: recipient.report.as_ref().map(Report::text),
        held: matches!(delivery.state, DeliveryState::Held(_)),
        released: delivery.is_released(now),
    }
}

fn recipient(delivery: &DeliveryView, recipient: &RecipientView, now: SystemTime) -> QueuedRecipient {
    let id = RecipientId { message: delivery.id.message, number: recipient.number };
    let last = recipient.report.as_ref().map(|report| LastAttempt {
        at: delivery.last_attempt_at.map(timestamp),
        status: report.status.to_string(),
        text: report.text().to_owned(),
        host: report.host.as_ref().map(ToString::to_string),
    });
    QueuedRecipient {
        id: id.to_string(),
        message: delivery.id.message.to_string(),
        state: state(delivery, recipient, now),
        class: class(&delivery.destination),
        lane: delivery.lane.to_string(),
        reverse_path: bare(&delivery.reverse_path),
        forward_path: bare(&recipient.rcpt.forward_path),
        original: recipient.original.as_ref().map(bare),
        octets: delivery.octets,
        received_at: timestamp(delivery.received_at),
        due_at: timestamp(delivery.due),
        expires_at: timestamp(delivery.expires_at),
        attempts: delivery.attempts,
        last,
        hold: hold(delivery, now),
    }
}

fn state(delivery: &DeliveryView, recipient: &RecipientView, now: SystemTime) -> QueueState {
    match (recipient.state, &delivery.state) {
        (RecipientProgress::Delivered, _) => QueueState::Delivered,
        (RecipientProgress::Failed, _) => QueueState::Failed,
        (RecipientProgress::Queued, DeliveryState::InFlight) => QueueState::InFlight,
        (RecipientProgress::Queued, DeliveryState::Held(_)) => QueueState::Held,
        (RecipientProgress::Queued, DeliveryState::Paused) => QueueState::Paused,
        (RecipientProgress::Queued, DeliveryState::Waiting) if delivery.due <= now => QueueState::Due,
        (RecipientProgress::Queued, DeliveryState::Waiting) => QueueState::Scheduled,
    }
}

fn hold(delivery: &DeliveryView, now: SystemTime) -> Option<Hold> {
    match &delivery.state {
        DeliveryState::Held(hold) => Some(Hold { reason: hold.reason.clone(), until: hold.until.map(timestamp) }),
        DeliveryState::Waiting if !delivery.is_released(now) => {
            let until = Some(timestamp(delivery.released_at));
            Some(Hold { reason: "its sender wants it released then (FUTURERELEASE)".to_owned(), until })
        }
        _ => None,
    }
}

fn class(destination: &Destination) -> Class {
    match destination {
        Destination::Mailbox(_) => Class::Local,
        Destination::Domain(_) => Class::Remote,
    }
}

/// A path without its angle brackets.
fn bare(path: &impl Display) -> String {
    let text = path.to_string();
    text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).map_or_else(|| text.clone(), str::to_owned)
}

/// The moment as the API writes it; one beyond what a timestamp can say becomes the last or the first that it can.
pub fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(if time > SystemTime::UNIX_EPOCH { Timestamp::MAX } else { Timestamp::MIN })
}

/// Deliveries that are read at once.
const PAGE: usize = 500;

/// Reads every message that is in the queue, with its content and its check sum; mail can flow meanwhile. Reads all of the
/// queue from the disk: call it where blocking is allowed.
///
/// # Errors
/// The list of what is in the queue cannot be read.
pub fn check(queue: &Queue, now: SystemTime) -> Result<QueueCheck, FindError> {
    let mut check = QueueCheck::default();
    let (mut page, mut seen) = (Page::first(PAGE), None);
    loop {
        let deliveries = queue.find(&smtp_queue::Selector::default(), page, now)?;
        let Some(last) = deliveries.last() else { return Ok(check) };
        page = page.after(last.id);
        for id in deliveries.iter().map(|delivery| delivery.id.message) {
            if seen.replace(id) != Some(id) {
                check.messages += 1;
                check.problems.extend(problem(queue, id, now));
            }
        }
    }
}

fn problem(queue: &Queue, id: MessageId, now: SystemTime) -> Option<String> {
    match queue.message(id, now) {
        Ok(Some(message)) if message.content.is_none() => Some(format!("{id}: its content is damaged")),
        // One that is not there any more has left since the page was read.
        Ok(_) => None,
        Err(error) => Some(format!("{id}: {error}{}", cause(&error))),
    }
}

fn cause(error: &dyn Error) -> String {
    error.source().map_or_else(String::new, |cause| format!(": {cause}{}", self::cause(cause)))
}

/// A selector that the queue cannot be asked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--{name}: {reason}")]
pub struct SelectorError {
    name: &'static str,
    reason: String,
}

/// The selector as the queue reads it.
pub fn selector(given: &Selector) -> Result<smtp_queue::Selector, SelectorError> {
    let ids = given.ids.as_ref().map(|ids| ids.iter().map(|id| parse("id", id)).collect()).transpose()?;
    Ok(smtp_queue::Selector {
        ids,
        sender: optional("sender", given.sender.as_deref())?,
        rcpt: optional("rcpt", given.rcpt.as_deref())?,
        domain: optional("domain", given.domain.as_deref())?,
        relay: given.relay.as_deref().map(Lane::new),
        older: given.older_seconds.map(Duration::from_secs),
        younger: given.younger_seconds.map(Duration::from_secs),
        size: given.size.map(|size| match size {
            Size::AtLeast(octets) => SizeBound::AtLeast(octets),
            Size::AtMost(octets) => SizeBound::AtMost(octets),
        }),
        error: optional("error", given.error.as_deref())?,
        held: given.held,
        released: None,
        limit: given.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
    })
}

fn optional<T: FromStr<Err: Error>>(name: &'static str, text: Option<&str>) -> Result<Option<T>, SelectorError> {
    text.map(|text| parse(name, text)).transpose()
}

fn parse<T: FromStr<Err: Error>>(name: &'static str, text: &str) -> Result<T, SelectorError> {
    text.parse().map_err(|error: T::Err| {
        // The cause of a bad regular expression says where it is wrong.
        SelectorError { name, reason: format!("`{text}`: {error}{}", cause(&error)) }
    })
}
