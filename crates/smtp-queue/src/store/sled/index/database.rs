//! sled, with guards against what is known to go wrong in it.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{META, MetaRow};
use crate::codec::DecodeError;
use crate::disk::Disk;
use crate::store::{ReadError, WriteError};

/// What sled may keep in memory; it takes several times as much (its issues 1309, 1388).
const CACHE_OCTETS: u64 = 16 << 20;

/// How long the lock of a sled that was just closed is waited for, and how often it is tried.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(5);

/// An open sled.
#[derive(Debug)]
pub(in crate::store::sled) struct Database {
    directory: PathBuf,
    /// `None` after an error: sled refuses all further work then, until it is opened anew.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    db: ::sled::Db,
    /// Its one data file: sled's own flush does not reach the disk, so it is synced by this second descriptor.
    file: File,
}

/// Why sled could not be opened.
#[derive(Debug, thiserror::Error)]
pub(in crate::store::sled) enum DatabaseError {
    /// Its files are damaged: it is to be made anew from the log.
    #[error("sled cannot open {path}: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("{path} could not be opened")]
    Path {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Written by a later version.
    #[error("the index is of a newer format")]
    Newer { found: u8, known: u8 },
}

impl Database {
    /// Opens sled in `directory`, or makes it; its row about itself is there if it was used before.
    pub(in crate::store::sled) fn open(directory: &Path) -> Result<(Self, Option<MetaRow>), DatabaseError> {
        let at_path = |path: &Path| {
            let path = path.to_owned();
            move |source| DatabaseError::Path { path, source }
        };
        let damaged = |reason: String| DatabaseError::Damaged { path: directory.to_owned(), reason };
        remove_unfinished_snapshots(directory).map_err(at_path(directory))?;
        if has_entries(&directory.join("blobs")).map_err(at_path(directory))? {
            // Rows are far too short for them; and sled does not sync them.
            return Err(damaged("it holds blob files".to_owned()));
        }
        let config = ::sled::Config::new().path(directory).cache_capacity(CACHE_OCTETS).flush_every_ms(None);
        let db = open_sled(&config).map_err(|error| match error {
            Some(::sled::Error::Io(source)) => DatabaseError::Path { path: directory.to_owned(), source },
            Some(error) => damaged(error.to_string()),
            None => damaged("it panicked".to_owned()),
        })?;
        let meta = catch_unwind(AssertUnwindSafe(|| db.get([META])))
            .map_err(|_| damaged("it panicked".to_owned()))?
            .map_err(|error| damaged(error.to_string()))?;
        let meta = meta.map(|octets| MetaRow::decode(&octets)).transpose().map_err(|error| match error {
            DecodeError::Newer { found, known } => DatabaseError::Newer { found, known },
            DecodeError::Malformed => damaged("its row about itself is unreadable".to_owned()),
        })?;
        if meta.is_none() {
            // So that the next start can tell a new index from one that has lost its rows.
            let begun = db.insert([META], &MetaRow::default().encode()[..]).and_then(|_| db.flush());
            begun.map_err(|error| damaged(error.to_string()))?;
            // sled writes some of its files without syncing them; half of one is never read again.
            sync_all(directory).map_err(at_path(directory))?;
        }
        let path = directory.join("db");
        let file = File::open(&path).map_err(at_path(&path))?;
        Ok((Self { directory: directory.to_owned(), open: Some(Open { db, file }) }, meta))
    }

    /// Opens it anew. Where that fails it stays closed.
    pub(super) fn reopen(&mut self) -> Result<(), DatabaseError> {
        // Closed first: sled locks its file.
        self.open = None;
        self.open = Self::open(&self.directory)?.0.open;
        Ok(())
    }

    pub(in crate::store::sled) fn tree(&self) -> Result<&::sled::Tree, ReadError> {
        self.open.as_ref().map(|open| &*open.db).ok_or(ReadError::Closed)
    }

    /// Makes durable what sled was given.
    pub(super) fn sync(&self, disk: &dyn Disk) -> Result<(), WriteError> {
        let Some(open) = &self.open else {
            return Err(self.write_error(io::ErrorKind::NotConnected.into()));
        };
        open.db.flush().map_err(|error| self.write_error(error.into()))?;
        disk.sync_file(&open.file)
            .map_err(|source| WriteError::Sync { path: self.directory.join("db"), source: Arc::new(source) })
    }

    pub(super) fn write_error(&self, source: io::Error) -> WriteError {
        WriteError::Write { path: self.directory.clone(), source: Arc::new(source) }
    }
}

/// Opens sled; `None` for an error: it panicked, as it does on some kinds of damage (its issue 1387).
fn open_sled(config: &::sled::Config) -> Result<::sled::Db, Option<::sled::Error>> {
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            // Its threads let go of its lock a moment after it was closed. Ours is held, so it is nobody else.
            Ok(Err(::sled::Error::Io(error))) if is_locked(&error) && Instant::now() < give_up => {
                std::thread::park_timeout(LOCK_LOOK_EVERY);
            }
            Ok(result) => return result.map_err(Some),
            Err(_) => return Err(None),
        }
    }
}

fn is_locked(error: &io::Error) -> bool {
    // It wraps the error of the system into a text.
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// A kill while sled opens leaves `snap.*.generating`, which it then takes for its newest snapshot, and never opens again
/// (its issues 1527, 1533).
fn remove_unfinished_snapshots(directory: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn has_entries(directory: &Path) -> io::Result<bool> {
    match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        entries => Ok(entries?.next().is_some()),
    }
}

/// Makes every file and directory below durable, and the name of the directory itself.
fn sync_all(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(directory)?.sync_all()?;
    directory.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
