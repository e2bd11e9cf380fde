//! The meta octets of records, and what they mean for rows.

use bytes::{BufMut, Bytes, BytesMut};
use smtp_mail::MessageId;

use super::log::{LogPosition, StoredRecord};
use super::record::RecordKind;
use crate::codec::{DecodeError, Decoder, Encode};
use crate::pause::{Pause, decode_pauses, encode_pauses};
use crate::row::{DeliveryRow, MessageRow, Place, ROW_VERSION};
use crate::schedule::DeliveryId;
use crate::store::StateChange;

/// What a segment begins with, behind the place where the one before ends: what no later record needs to repeat.
pub(super) fn encode_standing(last_id: MessageId, pauses: &[Pause]) -> Bytes {
    let mut output = BytesMut::new();
    output.integer(last_id.as_raw());
    encode_pauses(pauses, &mut output);
    output.freeze()
}

/// The beginning of a segment.
#[derive(Debug)]
pub(super) struct SegmentStart {
    /// Where the last segment ends that was written to before this one.
    pub(super) previous_end: LogPosition,
    pub(super) last_id: MessageId,
    pub(super) pauses: Vec<Pause>,
}

pub(super) fn decode_segment_start(meta: &[u8]) -> Result<SegmentStart, DecodeError> {
    let mut input = Decoder::new(meta);
    let start = SegmentStart {
        previous_end: LogPosition::decode(&mut input)?,
        last_id: MessageId::from_raw(input.integer()?),
        pauses: decode_pauses(&mut input)?,
    };
    input.finish()?;
    Ok(start)
}

pub(super) fn encode_change(change: &StateChange) -> Bytes {
    let mut output = BytesMut::with_capacity(32);
    output.put_u8(ROW_VERSION);
    output.flag(change.message_finished);
    output.integer(change.deliveries.len() as u64);
    for (id, row) in &change.deliveries {
        output.integer(u64::from(id.number));
        output.optional(row.as_ref(), |output, row| output.framed(|output| row.encode(output)));
    }
    output.freeze()
}

pub(super) fn encode_pauses_record(pauses: &[Pause]) -> Bytes {
    let mut output = BytesMut::new();
    encode_pauses(pauses, &mut output);
    output.freeze()
}

/// The rows of a message as a record holds them.
pub(super) fn decode_message(record: &StoredRecord) -> Result<(MessageRow, Vec<DeliveryRow>), DecodeError> {
    let mut input = Decoder::new(&record.meta);
    let id = record.head.id;
    let place = Place {
        segment: record.position.segment,
        offset: record.position.offset,
        meta_octets: record.head.meta_octets,
    };
    let row = MessageRow { place, ..MessageRow::decode_placeless(id, &mut input)? };
    let deliveries = (0..input.number()?)
        .map(|_| {
            let number = input.number()?;
            DeliveryRow::decode(DeliveryId { message: id, number }, input.framed()?)
        })
        .collect::<Result<_, _>>()?;
    input.finish()?;
    Ok((row, deliveries))
}

/// Where rows are put that are read back from the log.
pub(super) trait Rows {
    fn put_message(&mut self, row: MessageRow);
    fn put_delivery(&mut self, row: DeliveryRow);
    fn remove_message(&mut self, id: MessageId);
    fn remove_delivery(&mut self, id: DeliveryId);
    fn set_pauses(&mut self, pauses: Vec<Pause>);
    /// An id that was given out once.
    fn saw_id(&mut self, id: MessageId);
}

/// Does to the rows what a record says. `known` tells whether its message has a row: what is said of others is over.
pub(super) fn apply(record: &StoredRecord, known: bool, rows: &mut impl Rows) -> Result<(), DecodeError> {
    match record.head.kind {
        RecordKind::SegmentStart => {
            let start = decode_segment_start(&record.meta)?;
            rows.saw_id(start.last_id);
            rows.set_pauses(start.pauses);
        }
        RecordKind::Message | RecordKind::Copied => {
            let (row, deliveries) = decode_message(record)?;
            rows.put_message(row);
            for delivery in deliveries {
                rows.put_delivery(delivery);
            }
        }
        RecordKind::Settle | RecordKind::Control => apply_change(record, known, rows)?,
        RecordKind::Pauses => {
            let mut input = Decoder::new(&record.meta);
            rows.set_pauses(decode_pauses(&mut input)?);
            input.finish()?;
        }
    }
    Ok(())
}

fn apply_change(record: &StoredRecord, known: bool, rows: &mut impl Rows) -> Result<(), DecodeError> {
    let message = record.head.id;
    let mut input = Decoder::new(&record.meta);
    input.version(ROW_VERSION)?;
    let finished = input.flag()?;
    for _ in 0..input.number()? {
        let id = DeliveryId { message, number: input.number()? };
        match input.optional(|input| DeliveryRow::decode(id, input.framed()?))? {
            Some(row) if known => rows.put_delivery(row),
            Some(_) => {}
            None => rows.remove_delivery(id),
        }
    }
    if finished {
        rows.remove_message(message);
    }
    input.finish()
}
