//! The writing side: changes become records of the log, and then rows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use smtp_mail::MessageId;

use super::BODIES;
use super::ballast::Ballast;
use super::clean::{Cleaner, Copies, place_of};
use super::hot::HotContent;
use super::index::Index;
use super::layer::{Layer, Leftover};
use super::ledger::Ledger;
use super::log::{AppendError, Log, LogPosition, Segments};
use super::open::Lock;
use super::record::{Record, RecordKind};
use super::state::{encode_change, encode_pauses_record, encode_standing};
use crate::disk::Disk;
use crate::pause::Pause;
use crate::row::{BodyPlace, MessageRow, Place};
use crate::store::{Change, Grouped, PreparedBody, PreparedMessage, StateCause, StateChange, StoreWriter, WriteError};

/// What the committer writes with.
pub(super) struct Writer {
    pub(super) directory: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) log: Log,
    pub(super) segments: Arc<Segments>,
    pub(super) index: Arc<Index>,
    pub(super) flusher: Option<JoinHandle<()>>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) hot: Arc<HotContent>,
    pub(super) pauses: Vec<Pause>,
    pub(super) cleaner: Cleaner,
    pub(super) ballast: Ballast,
    pub(super) free_octets_min: u64,
    pub(super) lock: Arc<Lock>,
}

impl StoreWriter for Writer {
    fn append(&mut self, changes: &[Grouped<'_>]) -> Result<(), WriteError> {
        self.index.wait_for_room()?;
        let copies = self.copies();
        self.write(copies, changes)
    }

    fn maintain(&mut self) -> Result<bool, WriteError> {
        self.index.wait_for_room()?;
        self.restore_ballast();
        let copies = self.copies();
        if !copies.is_empty() {
            self.write(copies, &[])?;
        } else if self.cleaner.is_at_work() {
            // A segment may be left behind.
            self.show(&[], &[], &[]);
        }
        Ok(self.cleaner.is_at_work())
    }

    fn probe(&mut self) -> Result<(), WriteError> {
        self.index.wait_for_room()?;
        self.write(Copies::default(), &[Grouped { change: Change::Pauses(self.pauses.clone()), continues: false }])
    }

    fn close(&mut self) {
        self.index.close();
        if let Some(flusher) = self.flusher.take() {
            // Its panic has been told by its hook; the next start replays what it has left.
            let _ = flusher.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
        // The lock goes last.
        let _ = &self.lock;
    }
}

impl Writer {
    fn copies(&mut self) -> Copies {
        let (disk, directory, min) = (&self.disk, &self.directory, self.free_octets_min);
        let tight = || free_octets(disk.as_ref(), directory) < min;
        self.cleaner.step(&self.index, &self.segments, &self.ledger, self.log.end(), tight)
    }

    /// Takes the ballast, where messages would leave room for it.
    pub(super) fn restore_ballast(&mut self) {
        if self.ballast.is_missing() && free_octets(self.disk.as_ref(), &self.directory) > self.free_octets_min {
            self.ballast.restore();
        }
    }

    fn write(&mut self, copies: Copies, changes: &[Grouped<'_>]) -> Result<(), WriteError> {
        self.sync_bodies(changes)?;
        let first_change = copies.records().count();
        let records: Vec<Record> = copies.records().cloned().chain(changes.iter().map(record_of)).collect();
        let standing = encode_standing(self.index.last_id(), &self.pauses);
        let positions = self.log_append(&standing, &records).inspect_err(|_| self.cleaner.start_over())?;
        crate::fail_point::pass(if first_change > 0 { "clean.copied" } else { "commit.logged" });
        let end = self.log.end();
        self.ledger.set_segment(end.segment, u64::from(end.offset));
        let (of_copies, of_changes) = positions.split_at(first_change);
        if first_change > 0 {
            let ledger = &self.ledger;
            let end = of_changes.first().copied().unwrap_or(end);
            self.index.apply(end, first_change, |layer| copies.show(of_copies, ledger, layer));
        }
        self.show(changes, &records[first_change..], of_changes);
        Ok(())
    }

    /// Appends, and gives up the ballast where that makes it possible.
    fn log_append(&mut self, standing: &[u8], records: &[Record]) -> Result<Vec<LogPosition>, WriteError> {
        match self.log.append(standing, records) {
            Err(AppendError::Write { source, .. }) if is_full(&source) && self.ballast.release() => {}
            result => return result.map_err(Into::into),
        }
        tracing::warn!("the disk is full: the ballast of the queue is given up");
        self.log.append(standing, records).map_err(Into::into)
    }

    /// The names of new body files, durable before a record names them.
    fn sync_bodies(&self, changes: &[Grouped<'_>]) -> Result<(), WriteError> {
        let file = |grouped: &Grouped<'_>| {
            matches!(&grouped.change, Change::Message(PreparedMessage { body: PreparedBody::File(_), .. }))
        };
        if !changes.iter().any(file) {
            return Ok(());
        }
        let path = self.directory.join(BODIES);
        self.disk.sync_directory(&path).map_err(|source| WriteError::Sync { path, source: Arc::new(source) })
    }

    /// What is durable becomes visible, all at once.
    fn show(&mut self, changes: &[Grouped<'_>], records: &[Record], positions: &[LogPosition]) {
        let finished = self.finished_messages(changes);
        let (ledger, hot, segments) = (&self.ledger, &self.hot, &self.segments);
        let (pauses, cleaner) = (&mut self.pauses, &mut self.cleaner);
        self.index.apply(self.log.end(), positions.len(), |layer| {
            for ((grouped, record), position) in changes.iter().zip(records).zip(positions) {
                match &grouped.change {
                    Change::Message(message) => {
                        let place = place_of(record, *position);
                        show_message(message, place, ledger, hot, layer);
                    }
                    Change::Deliveries(change) => show_state(change, layer),
                    Change::Pauses(new) => {
                        layer.pauses = Some(new.clone());
                        pauses.clone_from(new);
                    }
                }
            }
            for row in &finished {
                ledger.remove(row);
                hot.remove(row.id);
                if row.body == BodyPlace::File {
                    layer.leftovers.push(Leftover::Body(row.id));
                }
            }
            cleaner.leave_behind(layer, ledger, segments);
        });
    }

    /// The rows of the messages that the changes finish, as they are before.
    fn finished_messages(&self, changes: &[Grouped<'_>]) -> Vec<Arc<MessageRow>> {
        let finished = changes.iter().filter_map(|grouped| match &grouped.change {
            Change::Deliveries(change) if change.message_finished => Some(change.message),
            _ => None,
        });
        // A row that cannot be read is counted for too long, until the next start.
        finished.filter_map(|id| self.index.message(id).ok().flatten()).collect()
    }
}

/// Only a guide: a disk that cannot be asked is not taken for a full one.
fn free_octets(disk: &dyn Disk, directory: &Path) -> u64 {
    disk.free_octets(directory).unwrap_or(u64::MAX)
}

fn show_message(message: &PreparedMessage, place: Place, ledger: &Ledger, hot: &HotContent, layer: &mut Layer) {
    let row = Arc::new(MessageRow { place, ..message.row.clone() });
    ledger.add(&row);
    if let PreparedBody::Memory(body) = &message.body {
        hot.put(row.id, &message.header, body);
    }
    layer.put_fresh(row, &message.deliveries);
}

fn show_state(change: &StateChange, layer: &mut Layer) {
    for (id, row) in &change.deliveries {
        match row {
            Some(row) => layer.put_delivery(Arc::clone(row)),
            None => layer.remove_delivery(*id),
        }
    }
    if change.message_finished {
        layer.remove_message(change.message);
    }
}

fn record_of(grouped: &Grouped<'_>) -> Record {
    let record = match &grouped.change {
        Change::Message(message) => Record {
            kind: RecordKind::Message,
            id: message.row.id,
            continues: false,
            meta: message.meta.clone(),
            header: message.header.clone(),
            body: match &message.body {
                PreparedBody::Memory(body) => body.clone(),
                PreparedBody::File(_) => Bytes::new(),
            },
        },
        Change::Deliveries(change) => {
            let kind = match change.cause {
                StateCause::Settlement => RecordKind::Settle,
                StateCause::Control => RecordKind::Control,
            };
            Record::of_state(kind, change.message, encode_change(change))
        }
        Change::Pauses(pauses) => {
            Record::of_state(RecordKind::Pauses, MessageId::from_raw(0), encode_pauses_record(pauses))
        }
    };
    Record { continues: grouped.continues, ..record }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<AppendError> for WriteError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Write { path, source } => Self::Write { path, source: Arc::new(source) },
            AppendError::Sync { path, source } => Self::Sync { path, source: Arc::new(source) },
        }
    }
}
