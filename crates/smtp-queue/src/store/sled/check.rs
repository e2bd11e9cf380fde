//! Comparing the index with the log that it is made from.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;

use bytes::BytesMut;
use smtp_mail::MessageId;

use super::index::Index;
use super::log::{LogPosition, Segments};
use super::replay::{ReplayError, decode_error, replay};
use super::state::{Rows, apply};
use crate::pause::Pause;
use crate::row::{DeliveryRow, MessageRow};
use crate::schedule::DeliveryId;
use crate::store::{CheckError, ReadError, StoreCheck};

/// How often it is begun again when a segment was cleaned away under it.
const TRIES: u32 = 5;

/// Reads all of the log, and compares the rows that come out of it with those of the index.
pub(super) fn check(segments: &Segments, index: &Index) -> Result<StoreCheck, CheckError> {
    for _ in 1..TRIES {
        match try_check(segments, index) {
            Err(ReplayError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            result => return result.map_err(|error| CheckError(Box::new(error))),
        }
    }
    try_check(segments, index).map_err(|error| CheckError(Box::new(error)))
}

fn try_check(segments: &Segments, index: &Index) -> Result<StoreCheck, ReplayError> {
    let end = index.end();
    let mut expected = Fingerprints::default();
    let replayed = replay(segments, LogPosition::default(), &mut |group, _| {
        group.iter().try_for_each(|record| {
            let known = expected.messages.contains_key(&record.head.id);
            apply(record, known, &mut expected).map_err(decode_error)
        })
    })?;
    let mut found = Fingerprints::default();
    let read = index.each_message(&mut |row| {
        found.put_message(MessageRow::clone(&row));
        ControlFlow::Continue(())
    });
    let read = read.and_then(|()| {
        index.each_delivery(None, None, &mut |row| {
            found.put_delivery(DeliveryRow::clone(&row));
            ControlFlow::Continue(())
        })
    });
    read.map_err(|error: ReadError| ReplayError::Index(Box::new(error)))?;
    // What the index does not have yet because it was just written is no difference.
    let quiet = index.end() == end && replayed.end <= end;
    Ok(StoreCheck {
        records: replayed.records,
        damage: replayed.damage.into_iter().map(|damage| damage.damage).collect(),
        differing: quiet.then(|| expected.differing(&found)),
    })
}

/// Short forms of all rows: enough to see that two are the same.
#[derive(Debug, Default)]
struct Fingerprints {
    messages: HashMap<MessageId, u64>,
    deliveries: HashMap<DeliveryId, u64>,
}

impl Fingerprints {
    fn differing(&self, other: &Self) -> Vec<MessageId> {
        let mut differing = BTreeSet::new();
        for (one, two) in [(self, other), (other, self)] {
            let messages = one.messages.iter().filter(|(id, sum)| two.messages.get(id) != Some(sum));
            differing.extend(messages.map(|(id, _)| *id));
            let deliveries = one.deliveries.iter().filter(|(id, sum)| two.deliveries.get(id) != Some(sum));
            differing.extend(deliveries.map(|(id, _)| id.message));
        }
        differing.into_iter().collect()
    }
}

impl Rows for Fingerprints {
    fn put_message(&mut self, row: MessageRow) {
        self.messages.insert(row.id, fingerprint(|octets| row.encode(octets)));
    }

    fn put_delivery(&mut self, row: DeliveryRow) {
        self.deliveries.insert(row.id, fingerprint(|octets| row.encode(octets)));
    }

    fn remove_message(&mut self, id: MessageId) {
        self.messages.remove(&id);
    }

    fn remove_delivery(&mut self, id: DeliveryId) {
        self.deliveries.remove(&id);
    }

    fn set_pauses(&mut self, _pauses: Vec<Pause>) {}

    fn saw_id(&mut self, _id: MessageId) {}
}

fn fingerprint(encode: impl FnOnce(&mut BytesMut)) -> u64 {
    let mut octets = BytesMut::new();
    encode(&mut octets);
    let mut hasher = DefaultHasher::new();
    octets.hash(&mut hasher);
    hasher.finish()
}
