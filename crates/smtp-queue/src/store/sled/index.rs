//! The index: rows found by id. sled keeps them; what it does not have yet is in two layers above it.
//!
//! The committer puts rows into the upper layer. A thread of its own freezes that layer, has sled write and sync it, and drops
//! it; what the log holds beyond is replayed at the next start. Readers look into the layers first, from the newest down.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use smtp_mail::{DomainPattern, MessageId};

use super::layer::{
    DELIVERY, Layer, MESSAGE, META, MetaRow, PAUSE, Slot, decode_pause_row, delivery_key, message_key,
    parse_delivery_key, parse_message_key,
};
use super::log::LogPosition;
use crate::disk::Disk;
use crate::pause::Pause;
use crate::row::{DeliveryRow, MessageRow};
use crate::schedule::DeliveryId;
use crate::store::{ReadError, Visit, VisitMessage, WriteError};

mod database;
mod flush;

pub(super) use database::{Database, DatabaseError};

/// How many rows may wait for sled before the committer does.
const WAITING_ROWS_MAX: usize = 8_192;
/// How many rows are read from sled at a time while the layers above are looked at.
const SCAN_ROWS: usize = 2_048;

/// The index.
#[derive(Debug)]
pub(super) struct Index {
    disk: Arc<dyn Disk>,
    /// Above sled's directory: the queue's.
    root: PathBuf,
    database: RwLock<Database>,
    state: Mutex<State>,
    /// There is something for the flusher.
    work: Condvar,
    /// The flusher has come further.
    progress: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: Layer,
    /// When the first change came into the pending layer.
    since: Option<Instant>,
    frozen: Option<Arc<Layer>>,
    last_id: u64,
    closing: bool,
    /// Somebody waits for everything to be durable.
    hurried: bool,
    trouble: Option<WriteError>,
}

/// Some rows of sled.
struct Scanned {
    rows: BTreeMap<DeliveryId, Arc<DeliveryRow>>,
    /// The last that was looked at, where there may be more behind it.
    last: Option<DeliveryId>,
}

impl Index {
    pub(super) fn new(disk: Arc<dyn Disk>, root: PathBuf, database: Database, meta: MetaRow) -> Self {
        let pending = Layer::beginning_at(meta.watermark);
        let state = State { pending, last_id: meta.last_id, ..State::default() };
        Self {
            disk,
            root,
            database: RwLock::new(database),
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> RwLockReadGuard<'_, Database> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn root(&self) -> &Path {
        &self.root
    }

    /// Up to where in the log everything is in the index.
    pub(super) fn end(&self) -> LogPosition {
        self.state().pending.end
    }

    /// The highest message id that ever was.
    pub(super) fn last_id(&self) -> MessageId {
        MessageId::from_raw(self.state().last_id)
    }

    /// Makes changes of rows visible, all at once. They must be in the log, up to `end`.
    pub(super) fn apply(&self, end: LogPosition, records: usize, change: impl FnOnce(&mut Layer)) {
        let mut state = self.state();
        let state = &mut *state;
        change(&mut state.pending);
        state.pending.end = end;
        state.pending.records += records;
        state.last_id = state.last_id.max(state.pending.last_id.map_or(0, MessageId::as_raw));
        let first = state.since.is_none() && !state.pending.is_empty();
        if first {
            state.since = Some(Instant::now());
        }
        if first || state.pending.rows() >= flush::FLUSH_ROWS {
            self.work.notify_one();
        }
    }

    /// Waits until sled is not too far behind. An error where it cannot get on.
    pub(super) fn wait_for_room(&self) -> Result<(), WriteError> {
        let behind = |state: &mut State| state.trouble.is_none() && state.pending.rows() >= WAITING_ROWS_MAX;
        let waited = self.progress.wait_while(self.state(), behind);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        state.trouble.clone().map_or(Ok(()), Err)
    }

    pub(super) fn message(&self, id: MessageId) -> Result<Option<Arc<MessageRow>>, ReadError> {
        if let Some(slot) = self.in_layers(|layer| layer.message(id).cloned()) {
            return Ok(slot.row().cloned());
        }
        let octets = self.database().tree()?.get(message_key(id)).map_err(ReadError::Index)?;
        let row = octets.map(|octets| MessageRow::decode(id, &octets).map(Arc::new));
        row.transpose().map_err(ReadError::Row)
    }

    pub(super) fn delivery(&self, id: DeliveryId) -> Result<Option<Arc<DeliveryRow>>, ReadError> {
        if let Some(slot) = self.in_layers(|layer| layer.delivery(id).cloned()) {
            return Ok(slot.row().cloned());
        }
        let octets = self.database().tree()?.get(delivery_key(id)).map_err(ReadError::Index)?;
        let row = octets.map(|octets| DeliveryRow::decode(id, &octets).map(Arc::new));
        row.transpose().map_err(ReadError::Row)
    }

    fn in_layers<T>(&self, find: impl Fn(&Layer) -> Option<T>) -> Option<T> {
        let state = self.state();
        find(&state.pending).or_else(|| state.frozen.as_deref().and_then(&find))
    }

    pub(super) fn each_delivery(
        &self,
        after: Option<DeliveryId>,
        domain: Option<&DomainPattern>,
        visit: Visit<'_>,
    ) -> Result<(), ReadError> {
        let mut after = after.unwrap_or(DeliveryId { message: MessageId::from_raw(0), number: 0 });
        loop {
            // Layers first: a row that sinks into sled meanwhile is then seen twice, and not missed.
            let mut upper = self.upper_deliveries(after);
            let Scanned { mut rows, last } = self.lower_deliveries(after, domain)?;
            if let Some(last) = last {
                upper.retain(|(id, _)| *id <= last);
            }
            for (id, slot) in upper {
                match slot.row() {
                    Some(row) => rows.insert(id, Arc::clone(row)),
                    None => rows.remove(&id),
                };
            }
            if rows.into_values().try_for_each(&mut *visit).is_break() {
                return Ok(());
            }
            match last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

    fn upper_deliveries(&self, after: DeliveryId) -> Vec<(DeliveryId, Slot<DeliveryRow>)> {
        let state = self.state();
        let layers = state.frozen.as_deref().into_iter().chain([&state.pending]);
        // The pending layer comes last and so has the last word.
        layers.flat_map(|layer| layer.deliveries_after(after)).map(|(id, slot)| (id, slot.clone())).collect()
    }

    /// The next rows of sled.
    fn lower_deliveries(&self, after: DeliveryId, domain: Option<&DomainPattern>) -> Result<Scanned, ReadError> {
        let from = Bound::Excluded(delivery_key(after).to_vec());
        let to = Bound::Excluded(vec![DELIVERY + 1]);
        let database = self.database();
        let mut rows = BTreeMap::new();
        let (mut looked_at, mut last) = (0, after);
        for entry in database.tree()?.range::<Vec<u8>, _>((from, to)).take(SCAN_ROWS) {
            let (key, octets) = entry.map_err(ReadError::Index)?;
            looked_at += 1;
            last = parse_delivery_key(&key).map_err(ReadError::Row)?;
            if domain.is_none_or(|domain| DeliveryRow::may_go_to(domain, &octets)) {
                rows.insert(last, Arc::new(DeliveryRow::decode(last, &octets).map_err(ReadError::Row)?));
            }
        }
        Ok(Scanned { rows, last: (looked_at == SCAN_ROWS).then_some(last) })
    }

    /// Visits every message, in no order.
    pub(super) fn each_message(&self, visit: VisitMessage<'_>) -> Result<(), ReadError> {
        let upper: HashMap<MessageId, Slot<MessageRow>> = {
            let state = self.state();
            let layers = state.frozen.as_deref().into_iter().chain([&state.pending]);
            layers.flat_map(Layer::messages).map(|(id, slot)| (id, slot.clone())).collect()
        };
        for row in upper.values().filter_map(Slot::row) {
            if visit(Arc::clone(row)).is_break() {
                return Ok(());
            }
        }
        let tree = self.database().tree()?.clone();
        for entry in tree.scan_prefix([MESSAGE]) {
            let (key, octets) = entry.map_err(ReadError::Index)?;
            let id = parse_message_key(&key).map_err(ReadError::Row)?;
            if upper.contains_key(&id) {
                continue;
            }
            let row = MessageRow::decode(id, &octets).map_err(ReadError::Row)?;
            if visit(Arc::new(row)).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The pauses, as they are in sled and the layers.
    pub(super) fn pauses(&self) -> Result<Vec<Pause>, ReadError> {
        if let Some(pauses) = self.in_layers(|layer| layer.pauses.clone()) {
            return Ok(pauses);
        }
        let tree = self.database().tree()?.clone();
        let rows = tree.scan_prefix([PAUSE]).values();
        rows.map(|row| decode_pause_row(&row.map_err(ReadError::Index)?).map_err(ReadError::Row)).collect()
    }
}
