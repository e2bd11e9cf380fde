//! A message on its way in: its body is written as it arrives, and then all of it is made durable at once.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smtp_mail::MessageId;
use tokio::sync::oneshot;

use crate::body::{BodyWriter, LOG_BODY_OCTETS_MAX};
use crate::error::{CommitError, DraftError};
use crate::message::NewMessage;
use crate::prepare::prepare;
use crate::request::Request;
use crate::shared::Shared;
use crate::space::{MemoryShare, Reservation};
use crate::store::{BodyError, PreparedBody};

/// A message on its way in. Dropped before it is committed, it leaves nothing behind.
///
/// A short body is gathered in memory and goes into the log. A longer one, one whose size was announced as such, and any when
/// all bodies together have reached their limit of memory, goes into a file of its own as it arrives.
#[derive(Debug)]
pub struct Draft {
    shared: Arc<Shared>,
    id: MessageId,
    room: Reservation,
    memory: MemoryShare,
    octets: u64,
    octets_hint: u64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Memory(BytesMut),
    File(BodyWriter),
    /// An error, or a call that was cancelled, has taken the file away.
    Lost(PathBuf),
}

impl Draft {
    pub(crate) fn new(shared: Arc<Shared>, id: MessageId, room: Reservation, octets_hint: u64) -> Self {
        let memory = MemoryShare::new(Arc::clone(&shared.body_memory));
        Self { shared, id, room, memory, octets: 0, octets_hint, body: Body::Memory(BytesMut::new()) }
    }

    /// The id that the message will have.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The octets of body so far.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Appends octets of the body; the header block comes with [`Draft::commit`]. Waits while they are written to disk.
    ///
    /// # Errors
    /// After an error the draft cannot be committed: drop it. The same holds after a call that was cancelled.
    pub async fn write(&mut self, octets: Bytes) -> Result<(), DraftError> {
        self.octets += octets.len() as u64;
        if !self.room.cover(self.octets, self.octets_hint) {
            return Err(self.shared.full(self.octets.max(self.octets_hint)));
        }
        match std::mem::replace(&mut self.body, Body::Lost(PathBuf::new())) {
            Body::Memory(gathered) => self.gather(gathered, &octets).await,
            Body::File(writer) => self.pass_on(writer, &octets).await,
            Body::Lost(path) => {
                let source = Arc::new(io::ErrorKind::BrokenPipe.into());
                Err(DraftError::Body { path, source })
            }
        }
    }

    async fn gather(&mut self, mut gathered: BytesMut, octets: &Bytes) -> Result<(), DraftError> {
        if gathered.is_empty() {
            let expected = usize::try_from(self.octets_hint).unwrap_or(usize::MAX).min(LOG_BODY_OCTETS_MAX);
            gathered.reserve(octets.len().max(expected));
        }
        let within_budget = self.memory.add(octets.len() as u64);
        let expected = self.octets.max(self.octets_hint);
        if within_budget && expected <= LOG_BODY_OCTETS_MAX as u64 {
            gathered.extend_from_slice(octets);
            self.body = Body::Memory(gathered);
            return Ok(());
        }
        if let Some(file) = self.open_file().await? {
            self.memory.clear();
            return self.pass_on(BodyWriter::new(file, gathered), octets).await;
        }
        gathered.extend_from_slice(octets);
        self.body = Body::Memory(gathered);
        Ok(())
    }

    async fn open_file(&self) -> Result<Option<crate::body::BodyFile>, DraftError> {
        let (store, id) = (Arc::clone(&self.shared.store), self.id);
        let file = blocking(move || store.create_body(id)).await;
        file.map_err(|BodyError { path, source }| DraftError::Body { path, source: Arc::new(source) })
    }

    async fn pass_on(&mut self, mut writer: BodyWriter, octets: &Bytes) -> Result<(), DraftError> {
        if writer.push(octets) {
            let path = writer.path().to_owned();
            let flushed = blocking(move || writer.flush().map(|()| writer)).await;
            writer = flushed.map_err(|source| DraftError::Body { path, source: Arc::new(source) })?;
        }
        self.body = Body::File(writer);
        Ok(())
    }

    /// Makes the message durable; when this returns it survives a loss of power. Once it waits for the log it is no longer
    /// cancelled: dropped then, the message is committed all the same.
    pub async fn commit(self, message: NewMessage) -> Result<MessageId, CommitError> {
        let body = match self.body {
            Body::Memory(octets) => PreparedBody::Memory(octets.freeze()),
            Body::File(writer) => {
                let path = writer.path().to_owned();
                let finished = blocking(move || writer.finish()).await;
                PreparedBody::File(finished.map_err(|source| CommitError::of_write(path, Arc::new(source)))?)
            }
            Body::Lost(path) => {
                let source = Arc::new(io::ErrorKind::BrokenPipe.into());
                return Err(CommitError::Write { path, source });
            }
        };
        let message = Box::new(prepare(self.id, message, body)?);
        let (answer, answered) = oneshot::channel();
        self.shared.requests.push(Request::Commit { message, answer });
        answered.await.unwrap_or(Err(CommitError::Closed))?;
        Ok(self.id)
    }
}

/// Runs what may wait for a disk where that keeps nobody else from working.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
