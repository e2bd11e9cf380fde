//! The thread that brings the layers into sled, and removes files that nothing needs any more.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::sled::Batch;
use bytes::BytesMut;

use super::{Index, State};
use crate::body::body_path;
use crate::shared::chain;
use crate::store::WriteError;
use crate::store::sled::layer::{
    Layer, Leftover, META, MetaRow, PAUSE, delivery_key, encode_pause_row, message_key, pause_key,
};
use crate::store::sled::{BODIES, INDEX, LOG, QUARANTINE, REBUILD_MARK, segment_name};

/// The pending layer is brought into sled when it is so old,
const FLUSH_AFTER: Duration = Duration::from_millis(100);
/// or holds so many rows. Later than sled could: what is delivered at once then never gets there.
pub(super) const FLUSH_ROWS: usize = 4_096;
/// How often it is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// sled lets nobody read while it takes a batch: so many rows at a time.
const BATCH_ROWS: usize = 250;

impl Index {
    /// Starts the thread. It ends after [`Index::close`].
    pub(in crate::store::sled) fn start_flushing(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let index = Arc::clone(self);
        std::thread::Builder::new().name("queue-index".to_owned()).spawn(move || index.flush_all())
    }

    fn flush_all(&self) {
        if catch_unwind(AssertUnwindSafe(|| while self.flush_next() {})).is_err() {
            // sled panics where others give an error.
            let source = Arc::new(io::Error::other("sled panicked"));
            self.fail(WriteError::Sync { path: self.root().join(INDEX), source });
        }
    }

    /// Brings everything into sled, and then ends the thread.
    pub(in crate::store::sled) fn close(&self) {
        self.state().closing = true;
        self.work.notify_one();
    }

    /// Waits until everything is in sled and durable.
    pub(in crate::store::sled) fn settle_down(&self) -> Result<(), WriteError> {
        self.state().hurried = true;
        self.work.notify_one();
        let busy = |state: &mut State| state.trouble.is_none() && (state.frozen.is_some() || !state.pending.is_empty());
        let waited = self.progress.wait_while(self.state(), busy);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.hurried = false;
        state.trouble.clone().map_or(Ok(()), Err)
    }

    /// Waits for the next layer and writes it. `false` when the thread is to end.
    fn flush_next(&self) -> bool {
        let Some(layer) = self.freeze() else {
            return false;
        };
        while let Err(error) = self.write(&layer) {
            if !self.fail(error) {
                return false;
            }
        }
        crate::fail_point::pass("index.synced");
        self.remove_leftovers(&layer);
        let mut state = self.state();
        state.frozen = None;
        state.trouble = None;
        drop(state);
        self.progress.notify_all();
        true
    }

    fn freeze(&self) -> Option<Arc<Layer>> {
        let mut state = self.state();
        loop {
            let patience = match state.since {
                _ if state.closing || state.hurried => Duration::ZERO,
                Some(_) if state.pending.rows() >= FLUSH_ROWS => Duration::ZERO,
                Some(since) => FLUSH_AFTER.saturating_sub(since.elapsed()),
                None => Duration::MAX,
            };
            if state.pending.is_empty() && state.closing {
                return None;
            }
            if patience.is_zero() && !state.pending.is_empty() {
                break;
            }
            let nothing = state.pending.is_empty();
            let waited = if nothing {
                self.work.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = self.work.wait_timeout(state, patience);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
            state = waited;
        }
        let next = Layer::beginning_at(state.pending.end);
        let layer = Arc::new(std::mem::replace(&mut state.pending, next));
        state.since = None;
        state.frozen = Some(Arc::clone(&layer));
        drop(state);
        self.progress.notify_all();
        Some(layer)
    }

    /// Notes an error and waits. Whether to try again.
    fn fail(&self, error: WriteError) -> bool {
        let fatal = matches!(error, WriteError::Sync { .. });
        if fatal || self.state().trouble.is_none() {
            tracing::error!(error = chain(&error), "the index of the queue cannot be written");
        }
        if fatal {
            // What sled holds on disk is not known any more. The log is.
            let marked = std::fs::write(self.root().join(REBUILD_MARK), b"");
            if let Err(error) = marked {
                tracing::error!(%error, "the index could not be marked to be rebuilt: run `smtpctl rebuild`");
            }
        }
        let mut state = self.state();
        // That sled is closed only follows from the error before, which says what is wrong.
        let follows =
            matches!(&error, WriteError::Write { source, .. } if source.kind() == io::ErrorKind::NotConnected);
        if !follows || state.trouble.is_none() {
            state.trouble = Some(error);
        }
        self.progress.notify_all();
        if fatal {
            return false;
        }
        let until = Instant::now() + RETRY_EVERY;
        while !state.closing {
            let Some(patience) = until.checked_duration_since(Instant::now()) else {
                break;
            };
            let waited = self.work.wait_timeout(state, patience);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let closing = state.closing;
        drop(state);
        // After an error sled refuses all further work: it has to be opened anew.
        !closing && self.reopen()
    }

    /// Always worth another try.
    fn reopen(&self) -> bool {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = database.reopen() {
            tracing::debug!(error = chain(&error), "the index of the queue cannot be opened yet");
        }
        true
    }

    fn write(&self, layer: &Layer) -> Result<(), WriteError> {
        let database = self.database();
        self.disk.before_index_write().map_err(|error| database.write_error(error))?;
        let closed = |error| database.write_error(io::Error::new(io::ErrorKind::NotConnected, error));
        let tree = database.tree().map_err(closed)?;
        let mut rows = Rows { tree, batch: Batch::default(), batched: 0 };
        rows.put(layer, self.state().last_id).map_err(|error| database.write_error(error.into()))?;
        crate::fail_point::pass("index.written");
        database.sync(self.disk.as_ref())
    }

    /// The rows that named these files are gone for good.
    fn remove_leftovers(&self, layer: &Layer) {
        for leftover in &layer.leftovers {
            crate::fail_point::pass("clean.before_remove");
            let (path, removed) = match leftover {
                Leftover::Body(id) => {
                    let path = body_path(&self.root().join(BODIES), *id);
                    let removed = self.disk.remove(&path);
                    (path, removed)
                }
                Leftover::Segment(number) => {
                    let path = self.root().join(LOG).join(segment_name(*number));
                    let removed = self.disk.remove(&path);
                    (path, removed.and_then(|()| self.sync_log_names()))
                }
                Leftover::DamagedSegment(number) => {
                    let path = self.root().join(LOG).join(segment_name(*number));
                    let aside = self.root().join(QUARANTINE).join(segment_name(*number));
                    let moved = std::fs::rename(&path, aside);
                    (path, moved.and_then(|()| self.sync_log_names()))
                }
            };
            crate::fail_point::pass("clean.removed");
            if let Err(error) = removed
                && error.kind() != io::ErrorKind::NotFound
            {
                let path = path.display();
                tracing::warn!(%path, %error, "a file that is not needed any more could not be removed");
            }
        }
    }

    /// Of two segments the older one must be gone for good first, or its messages would come back without what the younger one
    /// says of them.
    fn sync_log_names(&self) -> io::Result<()> {
        self.disk.sync_directory(&self.root().join(LOG))
    }
}

/// Rows on their way into sled.
struct Rows<'a> {
    tree: &'a ::sled::Tree,
    batch: Batch,
    batched: usize,
}

impl Rows<'_> {
    /// All rows of a layer; the last batch says that they are there.
    fn put(&mut self, layer: &Layer, last_id: u64) -> ::sled::Result<()> {
        let mut octets = BytesMut::new();
        for (id, slot) in layer.messages() {
            match slot.row() {
                Some(row) => {
                    octets.clear();
                    row.encode(&mut octets);
                    self.batch.insert(&message_key(id), &octets[..]);
                }
                None => self.batch.remove(&message_key(id)),
            }
            self.count()?;
        }
        for (id, slot) in layer.deliveries() {
            match slot.row() {
                Some(row) => {
                    octets.clear();
                    row.encode(&mut octets);
                    self.batch.insert(&delivery_key(id), &octets[..]);
                }
                None => self.batch.remove(&delivery_key(id)),
            }
            self.count()?;
        }
        if let Some(pauses) = &layer.pauses {
            for key in self.tree.scan_prefix([PAUSE]).keys() {
                self.batch.remove(key?);
            }
            for (index, pause) in pauses.iter().enumerate() {
                self.batch.insert(&pause_key(index), &encode_pause_row(pause)[..]);
            }
        }
        let meta = MetaRow { watermark: layer.end, last_id };
        self.batch.insert(&[META], &meta.encode()[..]);
        self.apply()
    }

    fn count(&mut self) -> ::sled::Result<()> {
        self.batched += 1;
        if self.batched >= BATCH_ROWS { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> ::sled::Result<()> {
        self.batched = 0;
        self.tree.apply_batch(std::mem::take(&mut self.batch))
    }
}
