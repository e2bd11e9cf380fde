//! Why a message was not taken: causes shared by the operations of a draft.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::{self, ContentError, ReadError};

/// Why a draft could not be begun or written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The disk has no room: 452 4.3.1.
    #[error("the disk of {path} has no room for {octets} more octets")]
    Full {
        /// The queue's directory.
        path: PathBuf,
        /// What was asked for.
        octets: u64,
    },
    /// The log cannot be written at present: 451 4.3.0. It is tried again every second.
    #[error("the queue cannot be written: {reason}")]
    Unavailable {
        /// What is wrong.
        reason: String,
    },
    /// The file of a body could not be written: 451 4.3.0.
    #[error("the body file {path} could not be written")]
    Body {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
}

/// Why a message could not be made durable.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The disk has no room: 452 4.3.1.
    #[error("the disk has no room for {path}")]
    Full {
        /// The file that could not be written.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file could not be opened or written: 451 4.3.0.
    #[error("{path} could not be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// What was written could not be made durable: 451 4.3.0, and the process must end; see
    /// [`Queue::fatal`](crate::Queue::fatal).
    #[error("{path} could not be synced")]
    Sync {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// The destination of a delivery, its reverse-path and one recipient together are too long to be kept: 451 4.3.0.
    #[error("a delivery of the message takes {octets} octets, more than are kept of one")]
    DeliveryTooLong {
        /// Its length.
        octets: usize,
    },
    /// The message names no recipient.
    #[error("the message has no recipient")]
    NoRecipient,
    /// The queue was closed first: 451 4.3.0.
    #[error("the queue is closed")]
    Closed,
}

impl DraftError {
    /// Whether room is what is missing: 452 4.3.1 rather than 451 4.3.0.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Body { source, .. } => is_full(source),
            Self::Unavailable { .. } => false,
        }
    }
}

impl CommitError {
    /// Whether room is what is missing: 452 4.3.1 rather than 451 4.3.0.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(crate) fn of_write(path: PathBuf, source: Arc<io::Error>) -> Self {
        if is_full(&source) { Self::Full { path, source } } else { Self::Write { path, source } }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// An error of the disk after which nothing that is written can be trusted: the process must end, with exit code 74
/// (`EX_IOERR`), and be started anew.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{path} could not be synced")]
pub struct FatalError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: Arc<io::Error>,
}

/// Why the queue could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the queue {directory} is in use by another process{}", holder(*.pid))]
    Locked {
        /// The queue's directory.
        directory: PathBuf,
        /// The other process, where it said who it is.
        pid: Option<u32>,
    },
    /// A later version of the program wrote it.
    #[error("the queue {directory} has format {found}, but this program knows formats up to {known}")]
    NewerFormat {
        /// The queue's directory.
        directory: PathBuf,
        /// The format found.
        found: u8,
        /// The newest that is known.
        known: u8,
    },
    /// A file or directory could not be made or read.
    #[error("{path} could not be opened")]
    Path {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The index could not be read or written. `smtpctl rebuild` makes it anew from the log.
    #[error("the index of the queue failed")]
    Index {
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread of the committer could not be started.
    #[error("the thread of the queue could not be started")]
    Thread {
        /// The cause.
        #[source]
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" ({pid})"))
}

/// Why the queue could not be looked into.
#[derive(Debug, thiserror::Error)]
#[error("the queue cannot be read")]
pub struct FindError {
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl From<ReadError> for FindError {
    fn from(error: ReadError) -> Self {
        Self { source: Box::new(error) }
    }
}

impl From<ContentError> for FindError {
    fn from(error: ContentError) -> Self {
        Self { source: Box::new(error) }
    }
}

/// Why the queue could not be looked through.
#[derive(Debug, thiserror::Error)]
#[error("the queue cannot be read")]
pub struct CheckError {
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl From<ReadError> for CheckError {
    fn from(error: ReadError) -> Self {
        Self { source: Box::new(error) }
    }
}

impl From<store::CheckError> for CheckError {
    fn from(error: store::CheckError) -> Self {
        Self { source: Box::new(error) }
    }
}
