//! What the queue asks of a store: rows and content for every reader, and one writer that makes changes durable in batches.

use std::fmt::Debug;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smtp_mail::{Content, DomainPattern, MessageId};

use crate::body::BodyFile;
use crate::codec::{DecodeError, Encode};
use crate::pause::Pause;
use crate::report::Damage;
use crate::row::{DeliveryRow, MessageRow};
use crate::schedule::DeliveryId;

pub(crate) mod memory;
pub(crate) mod sled;

/// The reading side of a store, for any thread.
pub(crate) trait QueueStore: Debug + Send + Sync {
    /// The row of a message; `None` where all of its deliveries are finished, or it never was.
    fn message(&self, id: MessageId) -> Result<Option<Arc<MessageRow>>, ReadError>;

    /// The row of a delivery that is not finished.
    fn delivery(&self, key: DeliveryId) -> Result<Option<Arc<DeliveryRow>>, ReadError>;

    /// Calls `visit` with each delivery that is not finished, sorted, behind `after`, until it breaks off. One to another domain
    /// than `domain` names may be left out, so that its row need not be read.
    fn each_delivery(
        &self,
        after: Option<DeliveryId>,
        domain: Option<&DomainPattern>,
        visit: Visit<'_>,
    ) -> Result<(), ReadError>;

    /// Calls `visit` with each message that is not finished, in no order.
    fn each_message(&self, visit: VisitMessage<'_>) -> Result<(), ReadError>;

    /// Looks through everything that the rows are made from.
    fn check(&self) -> Result<StoreCheck, CheckError>;

    /// Header block and body of a message, agreeing with their check sum.
    fn content(&self, row: &MessageRow) -> Result<Content, ContentError>;

    /// A new file for the body of a message; `None` where bodies stay in memory.
    fn create_body(&self, id: MessageId) -> Result<Option<BodyFile>, BodyError>;

    /// The octets that can still be written.
    fn free_octets(&self) -> io::Result<u64>;

    /// How much there is.
    fn usage(&self) -> Usage;

    /// Where the store is, for messages to people.
    fn path(&self) -> PathBuf;
}

/// The writing side of a store: one, in the hands of the committer.
pub(crate) trait StoreWriter: Send {
    /// Makes all changes durable, in this order, and then shows them to readers. After an error that is no
    /// [`WriteError::Sync`] nothing of them is.
    fn append(&mut self, changes: &[Grouped<'_>]) -> Result<(), WriteError>;

    /// Does a small step of its own upkeep. Whether there is more to do at once.
    fn maintain(&mut self) -> Result<bool, WriteError>;

    /// Tries whether it can be written again after an error.
    fn probe(&mut self) -> Result<(), WriteError>;

    /// Leaves everything in order, so that the next start is quick.
    fn close(&mut self);
}

/// Takes deliveries one by one, until it has enough.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(Arc<DeliveryRow>) -> ControlFlow<()>;

/// Takes messages one by one, until it has enough.
pub(crate) type VisitMessage<'a> = &'a mut dyn FnMut(Arc<MessageRow>) -> ControlFlow<()>;

/// A change, and whether the next one belongs to it: both are found again, or neither.
#[derive(Debug)]
pub(crate) struct Grouped<'a> {
    pub(crate) change: Change<'a>,
    pub(crate) continues: bool,
}

/// A change of the queue.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// A message comes in.
    Message(&'a PreparedMessage),
    /// Deliveries of one message have new states.
    Deliveries(StateChange),
    /// These are all pauses from here on.
    Pauses(Vec<Pause>),
}

/// New states of deliveries of one message.
#[derive(Debug)]
pub(crate) struct StateChange {
    pub(crate) message: MessageId,
    pub(crate) cause: StateCause,
    /// The new rows; `None`: the delivery is finished.
    pub(crate) deliveries: Vec<(DeliveryId, Option<Arc<DeliveryRow>>)>,
    /// Whether no delivery of the message is left.
    pub(crate) message_finished: bool,
}

/// What changed the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateCause {
    /// An attempt.
    Settlement,
    /// An operator's act.
    Control,
}

/// A message ready to be made durable, its rows and its octets.
#[derive(Debug)]
pub(crate) struct PreparedMessage {
    pub(crate) row: MessageRow,
    pub(crate) deliveries: Vec<Arc<DeliveryRow>>,
    /// What a record holds besides content: see [`encode_meta`].
    pub(crate) meta: Bytes,
    pub(crate) header: Bytes,
    pub(crate) body: PreparedBody,
}

/// The body of a message that is ready.
#[derive(Debug)]
pub(crate) enum PreparedBody {
    Memory(Bytes),
    /// Written and synced, but for its name.
    File(BodyFile),
}

impl PreparedMessage {
    /// The octets that are written for it in a batch.
    pub(crate) fn octets(&self) -> u64 {
        let body = match &self.body {
            PreparedBody::Memory(body) => body.len(),
            PreparedBody::File(_) => 0,
        };
        (self.meta.len() + self.header.len() + body) as u64
    }
}

/// The rows of a message as one record holds them.
pub(crate) fn encode_meta<'a>(row: &MessageRow, deliveries: impl ExactSizeIterator<Item = &'a DeliveryRow>) -> Bytes {
    let mut meta = BytesMut::with_capacity(512);
    row.encode_placeless(&mut meta);
    meta.integer(deliveries.len() as u64);
    for delivery in deliveries {
        meta.integer(u64::from(delivery.id.number));
        meta.framed(|output| delivery.encode(output));
    }
    meta.freeze()
}

/// What a store takes of the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) messages: u64,
    pub(crate) log_octets: u64,
    pub(crate) content_octets: u64,
}

/// What looking through the log came to.
#[derive(Debug, Default)]
pub(crate) struct StoreCheck {
    pub(crate) records: u64,
    pub(crate) damage: Vec<Damage>,
    /// Messages whose rows are not what the log says; `None`: something was written meanwhile, and they were not compared.
    pub(crate) differing: Option<Vec<MessageId>>,
}

/// Why the log could not be looked through.
#[derive(Debug, thiserror::Error)]
#[error("the log could not be looked through")]
pub(crate) struct CheckError(#[source] pub(crate) Box<dyn std::error::Error + Send + Sync>);

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the index could not be read")]
    Index(#[source] ::sled::Error),
    #[error("a row of the index is unreadable")]
    Row(#[source] DecodeError),
    /// After an error it is opened anew.
    #[error("the index is closed")]
    Closed,
}

/// Why content could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    /// It does not agree with its check sum, or is shorter than it must be: it is never to be sent.
    #[error("the content is damaged: {place}")]
    Damaged { place: String },
    #[error("{path} could not be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Why the file of a body could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the body file {path} could not be created")]
pub(crate) struct BodyError {
    pub(crate) path: PathBuf,
    #[source]
    pub(crate) source: io::Error,
}

/// Why changes could not be made durable.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum WriteError {
    /// Nothing is written. It may go well later.
    #[error("{path} could not be written")]
    Write {
        path: PathBuf,
        #[source]
        source: Arc<io::Error>,
    },
    /// Nobody knows what is durable. Must not be tried again.
    #[error("{path} could not be synced")]
    Sync {
        path: PathBuf,
        #[source]
        source: Arc<io::Error>,
    },
}
