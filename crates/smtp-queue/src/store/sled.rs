//! The queue on disk: a log that is the truth, and sled as the index over it.
//!
//! ```text
//! lock            held by the one process that has the queue open; its number is in it
//! log/NNNNNNNN.seg  the log
//! bodies/ID       bodies too long for the log
//! index/          sled
//! quarantine/ID   damaged messages, as they were found when their segment was cleaned away
//! ballast         room that is given up when there is none
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smtp_mail::{Body, Content, DomainPattern, MessageId};

use super::{
    BodyError, CheckError, ContentError, QueueStore, ReadError, StoreCheck, StoreWriter, Usage, Visit, VisitMessage,
};
use crate::body::{BodyFile, body_path};
use crate::disk::Disk;
use crate::pause::Pause;
use crate::row::{DeliveryRow, MessageRow};
use crate::schedule::DeliveryId;
use crate::{OpenError, QueueConfig, StartReport};

mod ballast;
mod check;
mod clean;
mod commit;
mod content;
mod hot;
mod index;
mod layer;
mod ledger;
mod log;
mod open;
mod record;
mod replay;
mod state;
#[cfg(test)]
mod tests;

use hot::HotContent;
use index::Index;
use ledger::Ledger;
use log::Segments;

const LOG: &str = "log";
const BODIES: &str = "bodies";
const INDEX: &str = "index";
const QUARANTINE: &str = "quarantine";
/// There after an error of a sync: the next start makes the index anew.
const REBUILD_MARK: &str = "index.rebuild";

fn segment_name(number: u32) -> String {
    format!("{number:08}.seg")
}

/// The queue on disk, for readers.
#[derive(Debug)]
pub(crate) struct DiskStore {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    index: Arc<Index>,
    ledger: Arc<Ledger>,
    hot: Arc<HotContent>,
    /// Held as long as anybody may read.
    _lock: Arc<open::Lock>,
}

/// What opening gives.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn QueueStore>,
    pub(crate) writer: Box<dyn StoreWriter>,
    pub(crate) report: StartReport,
    pub(crate) last_id: MessageId,
    pub(crate) pauses: Vec<Pause>,
}

impl DiskStore {
    /// Takes the lock, and brings the index up to date with the log. Made anew from the log where `rebuild` says so, or where
    /// it cannot be opened.
    pub(crate) fn open(config: &QueueConfig, disk: Arc<dyn Disk>, rebuild: bool) -> Result<Opened, OpenError> {
        open::open(config, disk, rebuild)
    }

    fn bodies(&self) -> PathBuf {
        self.directory.join(BODIES)
    }
}

impl QueueStore for DiskStore {
    fn message(&self, id: MessageId) -> Result<Option<Arc<MessageRow>>, ReadError> {
        self.index.message(id)
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<Arc<DeliveryRow>>, ReadError> {
        self.index.delivery(id)
    }

    fn each_delivery(
        &self,
        after: Option<DeliveryId>,
        domain: Option<&DomainPattern>,
        visit: Visit<'_>,
    ) -> Result<(), ReadError> {
        self.index.each_delivery(after, domain, visit)
    }

    fn each_message(&self, visit: VisitMessage<'_>) -> Result<(), ReadError> {
        self.index.each_message(visit)
    }

    fn check(&self) -> Result<StoreCheck, CheckError> {
        check::check(&self.segments, &self.index)
    }

    fn content(&self, row: &MessageRow) -> Result<Content, ContentError> {
        if let Some((header, body)) = self.hot.get(row.id) {
            return Ok(Content::new(header, Body::Memory(body)));
        }
        let error = match content::read(&self.segments, &self.bodies(), row) {
            Ok(content) => return Ok(content),
            Err(error) => error,
        };
        // Cleaning may have moved it since the row was read.
        match self.index.message(row.id) {
            Ok(Some(moved)) if moved.place != row.place => content::read(&self.segments, &self.bodies(), &moved),
            _ => Err(error),
        }
    }

    fn create_body(&self, id: MessageId) -> Result<Option<BodyFile>, BodyError> {
        let path = body_path(&self.bodies(), id);
        match BodyFile::create(Arc::clone(&self.disk), path.clone()) {
            Ok(file) => Ok(Some(file)),
            Err(source) => Err(BodyError { path, source }),
        }
    }

    fn free_octets(&self) -> io::Result<u64> {
        self.disk.free_octets(&self.directory)
    }

    fn usage(&self) -> Usage {
        self.ledger.usage()
    }

    fn path(&self) -> PathBuf {
        self.directory.clone()
    }
}

fn at_path(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Path { path, source }
}

/// Reads any octets as the other things of which the log and the index are made; it is enough that nothing panics.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_any(octets: &[u8]) {
    let _ = (state::decode_segment_start(octets), layer::decode_pause_row(octets));
    if let Some(head) = octets.first_chunk() {
        let _ = record::RecordHead::decode(head, log::LogPosition::new(1, 0));
    }
}
