//! Bodies too long for the log: each in a file of its own, written while the mail data comes in.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smtp_mail::MessageId;

use crate::disk::Disk;

/// Bodies of at most this length are kept in the log.
///
/// Between 100 KB, where a shared log is faster, and 5 MB, where a file each is: there nobody waits for a neighbour's body.
pub(crate) const LOG_BODY_OCTETS_MAX: usize = 256 << 10;
/// How much of a body is gathered before it is written to its file.
pub(crate) const PIECE_OCTETS: usize = 256 << 10;

/// The path of the body of a message.
pub(crate) fn body_path(directory: &Path, id: MessageId) -> PathBuf {
    directory.join(id.to_string())
}

/// A body file that no record names yet. Removed when it is dropped, unless it was kept.
#[derive(Debug)]
pub(crate) struct BodyFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<File>,
    octets: u64,
    kept: bool,
}

impl BodyFile {
    /// Creates the file.
    pub(crate) fn create(disk: Arc<dyn Disk>, path: PathBuf) -> io::Result<Self> {
        let file = Arc::new(disk.create(&path)?);
        Ok(Self { disk, path, file, octets: 0, kept: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn octets(&self) -> u64 {
        self.octets
    }

    /// Appends octets.
    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.disk.write_at(&self.file, &mut [IoSlice::new(octets)], self.octets)?;
        self.octets += octets.len() as u64;
        Ok(())
    }

    /// Makes its octets durable; its name is made durable by the committer, once for all that come together.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disk.sync_file(&self.file)
    }

    /// Whether it stays: from the moment on that a record is written that names it.
    pub(crate) fn keep(&mut self, kept: bool) {
        self.kept = kept;
    }
}

impl Drop for BodyFile {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is removed at the next start, since no record names it.
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// A body on its way in, of which only a piece is in memory.
#[derive(Debug)]
pub(crate) struct BodyWriter {
    file: BodyFile,
    piece: BytesMut,
}

impl BodyWriter {
    /// Goes on behind what was gathered so far.
    pub(crate) fn new(file: BodyFile, gathered: BytesMut) -> Self {
        Self { file, piece: gathered }
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Takes octets; whether a piece is full and [`Self::flush`] is due.
    pub(crate) fn push(&mut self, octets: &Bytes) -> bool {
        self.piece.extend_from_slice(octets);
        self.piece.len() >= PIECE_OCTETS
    }

    /// Writes what was gathered. Blocks.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.write(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    /// Writes the rest and makes it durable. Blocks.
    pub(crate) fn finish(mut self) -> io::Result<BodyFile> {
        self.flush()?;
        self.file.sync()?;
        Ok(self.file)
    }
}
