//! The log: numbered segments that are only ever appended to, by one thread.

mod read;
mod write;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;

pub(super) use read::{Found, SegmentReader, StoredRecord};
pub(super) use write::{AppendError, Log};

use crate::codec::{DecodeError, Decoder, Encode};

/// A place in the log. Places are ordered as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct LogPosition {
    /// The number of the segment, from 1.
    pub(crate) segment: u32,
    /// Octets from its beginning.
    pub(crate) offset: u32,
}

impl LogPosition {
    pub(crate) fn new(segment: u32, offset: u32) -> Self {
        Self { segment, offset }
    }

    /// The place `octets` further on in the same segment.
    pub(super) fn plus(self, octets: u64) -> Self {
        let offset = u64::from(self.offset) + octets;
        Self { segment: self.segment, offset: u32::try_from(offset).expect("a segment is far below 4 GiB") }
    }

    pub(super) fn encode(self, output: &mut BytesMut) {
        output.integer(u64::from(self.segment));
        output.integer(u64::from(self.offset));
    }

    pub(super) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self::new(input.number()?, input.number()?))
    }
}

/// The open files of the segments, for readers. A file that is held stays readable when its name is gone.
#[derive(Debug)]
pub(super) struct Segments {
    directory: PathBuf,
    open: Mutex<HashMap<u32, Arc<File>>>,
}

impl Segments {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, open: Mutex::default() }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn path(&self, number: u32) -> PathBuf {
        self.directory.join(super::segment_name(number))
    }

    /// The file of a segment, opened at the first use.
    pub(super) fn file(&self, number: u32) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&number) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.path(number))?);
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }

    fn insert(&self, number: u32, file: Arc<File>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(number, file);
    }

    /// Forgets a segment that is about to be removed.
    pub(super) fn forget(&self, number: u32) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&number);
    }

    /// The numbers of all segments in the directory, in order.
    pub(super) fn numbers(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".seg"));
            if let Some(number) = number.and_then(|digits| digits.parse().ok()) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}
