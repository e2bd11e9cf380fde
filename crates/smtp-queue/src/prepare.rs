//! From a message as it is given to its rows and its record: done by whoever gives it, so that the committer need not.

use std::time::SystemTime;

use bytes::BytesMut;
use smtp_mail::{MessageId, terms};

use crate::codec::stored_time;
use crate::error::CommitError;
use crate::message::{NewDelivery, NewMessage};
use crate::row::{
    BodyPlace, DeliveryRow, Hold, HoldCause, MessageRow, NEW_ROW_OCTETS_MAX, Place, RECIPIENTS_OCTETS_MAX,
    RecipientRow, RecipientState, TEXT_OCTETS_MAX, cut_text,
};
use crate::schedule::DeliveryId;
use crate::shared::SCHEDULE_TICK;
use crate::store::{PreparedBody, PreparedMessage, encode_meta};

/// Makes a message ready.
pub(crate) fn prepare(id: MessageId, message: NewMessage, body: PreparedBody) -> Result<PreparedMessage, CommitError> {
    let mut deliveries = delivery_rows(id, &message);
    if deliveries.is_empty() {
        return Err(CommitError::NoRecipient);
    }
    let too_long = deliveries.iter().map(DeliveryRow::encoded_octets).find(|octets| *octets > NEW_ROW_OCTETS_MAX);
    if let Some(octets) = too_long {
        return Err(CommitError::DeliveryTooLong { octets });
    }
    // Only now: the limit of new rows has left room for it.
    if let Some(reason) = &message.hold {
        let reason = cut_text(reason, TEXT_OCTETS_MAX);
        let hold = Hold { cause: HoldCause::Policy, reason: reason.to_owned(), until: None };
        for row in &mut deliveries {
            row.hold = Some(hold.clone());
        }
    }
    let (body_place, body_octets) = match &body {
        PreparedBody::Memory(octets) => (BodyPlace::Log, octets.len() as u64),
        PreparedBody::File(file) => (BodyPlace::File, file.octets()),
    };
    let row = MessageRow {
        id,
        origin: cut_text(&message.origin, TEXT_OCTETS_MAX).to_owned(),
        facts: message.facts,
        received_at: stored_time(message.received_at),
        deliveries: u32::try_from(deliveries.len()).expect("recipients are limited far below 2^32"),
        header_octets: u32::try_from(message.header.len()).expect("header blocks are limited far below 4 GiB"),
        body_octets,
        body: body_place,
        mail: message.mail,
        place: Place::default(),
    };
    let meta = encode_meta(&row, deliveries.iter());
    Ok(PreparedMessage {
        row,
        deliveries: deliveries.into_iter().map(Into::into).collect(),
        meta,
        header: message.header,
        body,
    })
}

/// When the first attempt is due: at once, or when the sender wants the message released, and never before (RFC 4865 §4.2), though
/// the schedule takes a tick off a first attempt.
fn due(message: &NewMessage) -> SystemTime {
    let released_at = terms::released_at(&message.mail.parameters, message.received_at);
    if released_at > message.received_at { released_at + SCHEDULE_TICK } else { released_at }
}

fn delivery_rows(id: MessageId, message: &NewMessage) -> Vec<DeliveryRow> {
    let mut rows = Vec::with_capacity(message.deliveries.len());
    let due = stored_time(due(message));
    let mut recipient_number = 0;
    for delivery in &message.deliveries {
        for recipients in chunks(delivery, &mut recipient_number) {
            let number = u32::try_from(rows.len() + 1).expect("recipients are limited far below 2^32");
            rows.push(DeliveryRow {
                id: DeliveryId { message: id, number },
                destination: delivery.destination.clone(),
                due,
                attempts: 0,
                last_attempt_at: None,
                expires_at: stored_time(message.expires_at),
                delay_notice_at: message.delay_notice_at.map(stored_time),
                hold: None,
                priority: message.mail.parameters.priority.unwrap_or_default(),
                reverse_path: delivery.reverse_path.clone(),
                reports: Vec::new(),
                recipients,
            });
        }
    }
    rows
}

/// The recipients of a delivery, cut so that each part fits a row: by octets, since addresses differ in length.
fn chunks(delivery: &NewDelivery, recipient_number: &mut u32) -> Vec<Vec<RecipientRow>> {
    let mut chunks: Vec<Vec<RecipientRow>> = Vec::new();
    let mut octets = 0;
    let mut encoded = BytesMut::new();
    for recipient in &delivery.recipients {
        *recipient_number += 1;
        let row = RecipientRow {
            number: *recipient_number,
            rcpt: recipient.rcpt.clone(),
            original: recipient.original.clone(),
            state: RecipientState::Queued,
            report: None,
        };
        encoded.clear();
        row.encode(&mut encoded);
        octets += encoded.len();
        match chunks.last_mut() {
            Some(chunk) if octets <= RECIPIENTS_OCTETS_MAX => chunk.push(row),
            _ => {
                octets = encoded.len();
                chunks.push(vec![row]);
            }
        }
    }
    chunks
}
