//! A queue in memory: for tests and simulation, and for trying things out. Nothing outlives it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use smtp_mail::{Body, Content, DomainPattern, MessageId};

use super::{
    BodyError, Change, CheckError, ContentError, Grouped, PreparedBody, PreparedMessage, QueueStore, ReadError,
    StateChange, StoreCheck, StoreWriter, Usage, Visit, VisitMessage, WriteError,
};
use crate::body::BodyFile;
use crate::row::{DeliveryRow, MessageRow};
use crate::schedule::DeliveryId;
use crate::shared::content_octets;

/// Rows and content in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: HashMap<MessageId, (Arc<MessageRow>, Bytes, Bytes)>,
    deliveries: BTreeMap<DeliveryId, Arc<DeliveryRow>>,
    content_octets: u64,
}

impl MemoryStore {
    /// An empty store and its writer.
    pub(crate) fn create() -> (Arc<Self>, Box<dyn StoreWriter>) {
        let store = Arc::new(Self::default());
        let writer = Box::new(Writer(Arc::clone(&store)));
        (store, writer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueStore for MemoryStore {
    fn message(&self, id: MessageId) -> Result<Option<Arc<MessageRow>>, ReadError> {
        Ok(self.state().messages.get(&id).map(|(row, ..)| Arc::clone(row)))
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<Arc<DeliveryRow>>, ReadError> {
        Ok(self.state().deliveries.get(&id).map(Arc::clone))
    }

    fn each_delivery(
        &self,
        after: Option<DeliveryId>,
        _domain: Option<&DomainPattern>,
        visit: Visit<'_>,
    ) -> Result<(), ReadError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows: Vec<_> =
            self.state().deliveries.range((start, Bound::Unbounded)).map(|(_, row)| row.clone()).collect();
        // The visitor may ask for more rows: not under the lock.
        let _ = rows.into_iter().try_for_each(visit);
        Ok(())
    }

    fn each_message(&self, visit: VisitMessage<'_>) -> Result<(), ReadError> {
        let rows: Vec<_> = self.state().messages.values().map(|(row, ..)| Arc::clone(row)).collect();
        let _ = rows.into_iter().try_for_each(visit);
        Ok(())
    }

    fn check(&self) -> Result<StoreCheck, CheckError> {
        Ok(StoreCheck::default())
    }

    fn content(&self, row: &MessageRow) -> Result<Content, ContentError> {
        let state = self.state();
        let Some((_, header, body)) = state.messages.get(&row.id) else {
            let source = io::ErrorKind::NotFound.into();
            return Err(ContentError::Read { path: self.path(), source });
        };
        Ok(Content::new(header.clone(), Body::Memory(body.clone())))
    }

    fn create_body(&self, _id: MessageId) -> Result<Option<BodyFile>, BodyError> {
        Ok(None)
    }

    fn free_octets(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn usage(&self) -> Usage {
        let state = self.state();
        Usage { messages: state.messages.len() as u64, log_octets: 0, content_octets: state.content_octets }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("memory")
    }
}

struct Writer(Arc<MemoryStore>);

impl StoreWriter for Writer {
    fn append(&mut self, changes: &[Grouped<'_>]) -> Result<(), WriteError> {
        let mut state = self.0.state();
        for grouped in changes {
            match &grouped.change {
                Change::Message(message) => state.add(message),
                Change::Deliveries(change) => state.change(change),
                Change::Pauses(_) => {}
            }
        }
        Ok(())
    }

    fn maintain(&mut self) -> Result<bool, WriteError> {
        Ok(false)
    }

    fn probe(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    fn close(&mut self) {}
}

impl State {
    fn add(&mut self, message: &PreparedMessage) {
        let PreparedBody::Memory(body) = &message.body else {
            unreachable!("this store gives no files for bodies");
        };
        let row = Arc::new(message.row.clone());
        self.content_octets += content_octets(&row);
        self.messages.insert(row.id, (row, message.header.clone(), body.clone()));
        for delivery in &message.deliveries {
            self.deliveries.insert(delivery.id, Arc::clone(delivery));
        }
    }

    fn change(&mut self, change: &StateChange) {
        for (id, row) in &change.deliveries {
            match row {
                Some(row) => self.deliveries.insert(*id, Arc::clone(row)),
                None => self.deliveries.remove(id),
            };
        }
        if change.message_finished
            && let Some((row, ..)) = self.messages.remove(&change.message)
        {
            self.content_octets -= content_octets(&row);
        }
    }
}
