//! Rows that sled does not have yet: what was committed since its last batch.
//!
//! Most messages are delivered within moments. Those come and go in a layer and never reach sled.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::BytesMut;
use smtp_mail::MessageId;

use super::log::LogPosition;
use super::state::Rows;
use crate::codec::{DecodeError, Decoder, Encode};
use crate::pause::{Pause, decode_pause, encode_pause};
use crate::row::{DeliveryRow, MessageRow, ROW_VERSION};
use crate::schedule::DeliveryId;

/// A row on its way to sled.
#[derive(Debug, Clone)]
pub(super) enum Slot<T> {
    /// It is not in sled, nor in an older layer.
    Fresh(Arc<T>),
    /// An older one may be there.
    Changed(Arc<T>),
    /// What is there is to go.
    Gone,
}

impl<T> Slot<T> {
    pub(super) fn row(&self) -> Option<&Arc<T>> {
        match self {
            Self::Fresh(row) | Self::Changed(row) => Some(row),
            Self::Gone => None,
        }
    }
}

/// Files that nothing needs once the rows of the layer are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftover {
    Body(MessageId),
    Segment(u32),
    /// It goes out of the way, and is kept for whoever wants to look into it.
    DamagedSegment(u32),
}

/// Changes of rows in the order of the log, the last of each row.
#[derive(Debug, Default)]
pub(super) struct Layer {
    messages: HashMap<MessageId, Slot<MessageRow>>,
    deliveries: BTreeMap<DeliveryId, Slot<DeliveryRow>>,
    pub(super) pauses: Option<Vec<Pause>>,
    pub(super) last_id: Option<MessageId>,
    pub(super) leftovers: Vec<Leftover>,
    /// Everything up to here is in this layer, older layers or sled.
    pub(super) end: LogPosition,
    /// How many records are in it.
    pub(super) records: usize,
}

impl Layer {
    /// An empty layer: everything up to `end` is below it.
    pub(super) fn beginning_at(end: LogPosition) -> Self {
        Self { end, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records == 0 && self.leftovers.is_empty()
    }

    /// How many rows it holds.
    pub(super) fn rows(&self) -> usize {
        self.messages.len() + self.deliveries.len()
    }

    pub(super) fn message(&self, id: MessageId) -> Option<&Slot<MessageRow>> {
        self.messages.get(&id)
    }

    pub(super) fn delivery(&self, id: DeliveryId) -> Option<&Slot<DeliveryRow>> {
        self.deliveries.get(&id)
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = (MessageId, &Slot<MessageRow>)> {
        self.messages.iter().map(|(id, slot)| (*id, slot))
    }

    pub(super) fn deliveries(&self) -> impl Iterator<Item = (DeliveryId, &Slot<DeliveryRow>)> {
        self.deliveries.iter().map(|(id, slot)| (*id, slot))
    }

    pub(super) fn deliveries_after(&self, after: DeliveryId) -> impl Iterator<Item = (DeliveryId, &Slot<DeliveryRow>)> {
        let range = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        self.deliveries.range(range).map(|(id, slot)| (*id, slot))
    }

    /// A message that was just accepted.
    pub(super) fn put_fresh(&mut self, message: Arc<MessageRow>, deliveries: &[Arc<DeliveryRow>]) {
        self.last_id = self.last_id.max(Some(message.id));
        self.messages.insert(message.id, Slot::Fresh(message));
        for delivery in deliveries {
            self.deliveries.insert(delivery.id, Slot::Fresh(Arc::clone(delivery)));
        }
    }

    pub(super) fn put_message(&mut self, message: Arc<MessageRow>) {
        self.last_id = self.last_id.max(Some(message.id));
        let id = message.id;
        let slot = match self.messages.get(&id) {
            Some(Slot::Fresh(_)) => Slot::Fresh(message),
            _ => Slot::Changed(message),
        };
        self.messages.insert(id, slot);
    }

    pub(super) fn put_delivery(&mut self, delivery: Arc<DeliveryRow>) {
        let id = delivery.id;
        let slot = match self.deliveries.get(&id) {
            Some(Slot::Fresh(_)) => Slot::Fresh(delivery),
            _ => Slot::Changed(delivery),
        };
        self.deliveries.insert(id, slot);
    }

    pub(super) fn remove_message(&mut self, id: MessageId) {
        if let Some(Slot::Fresh(_)) = self.messages.get(&id) {
            self.messages.remove(&id);
        } else {
            self.messages.insert(id, Slot::Gone);
        }
    }

    pub(super) fn remove_delivery(&mut self, id: DeliveryId) {
        if let Some(Slot::Fresh(_)) = self.deliveries.get(&id) {
            self.deliveries.remove(&id);
        } else {
            self.deliveries.insert(id, Slot::Gone);
        }
    }
}

impl Rows for Layer {
    fn put_message(&mut self, row: MessageRow) {
        self.put_message(Arc::new(row));
    }

    fn put_delivery(&mut self, row: DeliveryRow) {
        self.put_delivery(Arc::new(row));
    }

    fn remove_message(&mut self, id: MessageId) {
        self.remove_message(id);
    }

    fn remove_delivery(&mut self, id: DeliveryId) {
        self.remove_delivery(id);
    }

    fn set_pauses(&mut self, pauses: Vec<Pause>) {
        self.pauses = Some(pauses);
    }

    fn saw_id(&mut self, id: MessageId) {
        self.last_id = self.last_id.max(Some(id));
    }
}

/// The kinds of rows: the first octet of their keys.
pub(super) const MESSAGE: u8 = b'm';
pub(super) const DELIVERY: u8 = b'd';
pub(super) const PAUSE: u8 = b'p';
pub(super) const META: u8 = b'x';

pub(super) fn message_key(id: MessageId) -> [u8; 9] {
    let mut key = [MESSAGE; 9];
    key[1..].copy_from_slice(&id.as_raw().to_be_bytes());
    key
}

pub(super) fn delivery_key(id: DeliveryId) -> [u8; 13] {
    let mut key = [DELIVERY; 13];
    key[1..9].copy_from_slice(&id.message.as_raw().to_be_bytes());
    key[9..].copy_from_slice(&id.number.to_be_bytes());
    key
}

pub(super) fn pause_key(index: usize) -> [u8; 5] {
    let mut key = [PAUSE; 5];
    let index = u32::try_from(index).expect("there are few pauses");
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

pub(super) fn parse_message_key(key: &[u8]) -> Result<MessageId, DecodeError> {
    let raw = key.get(1..).and_then(|raw| raw.try_into().ok()).ok_or(DecodeError::Malformed)?;
    Ok(MessageId::from_raw(u64::from_be_bytes(raw)))
}

pub(super) fn parse_delivery_key(key: &[u8]) -> Result<DeliveryId, DecodeError> {
    let (message, number) = key.split_at_checked(9).ok_or(DecodeError::Malformed)?;
    let number = number.try_into().map_err(|_| DecodeError::Malformed)?;
    Ok(DeliveryId { message: parse_message_key(message)?, number: u32::from_be_bytes(number) })
}

/// The one row about the index itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MetaRow {
    /// Everything in the log before this is in the index.
    pub(super) watermark: LogPosition,
    /// The highest id of a message that ever was.
    pub(super) last_id: u64,
}

impl MetaRow {
    pub(super) fn encode(self) -> BytesMut {
        let mut output = BytesMut::from(&[ROW_VERSION][..]);
        self.watermark.encode(&mut output);
        output.integer(self.last_id);
        output
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(octets);
        input.version(ROW_VERSION)?;
        Ok(Self { watermark: LogPosition::decode(&mut input)?, last_id: input.integer()? })
    }
}

pub(super) fn encode_pause_row(pause: &Pause) -> BytesMut {
    let mut output = BytesMut::from(&[ROW_VERSION][..]);
    encode_pause(pause, &mut output);
    output
}

pub(super) fn decode_pause_row(octets: &[u8]) -> Result<Pause, DecodeError> {
    let mut input = Decoder::new(octets);
    input.version(ROW_VERSION)?;
    decode_pause(&mut input)
}
