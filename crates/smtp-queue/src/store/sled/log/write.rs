//! Appending to the log.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smtp_mail::MessageId;

use super::{LogPosition, Segments};
use crate::disk::Disk;
use crate::store::sled::record::{HEAD_OCTETS, Record, RecordKind};

/// Why records were not appended. After `Write` nothing of them is in the log; after `Sync` nobody knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// A segment could not be opened or written.
    #[error("the log segment {path} could not be written")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The octets are written, but could not be made durable. Must not be tried again.
    #[error("the log segment {path} could not be synced")]
    Sync {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The writing end of the log.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    /// The length that a segment does not grow beyond, unless one batch alone is longer.
    segment_octets: u64,
    /// `None` at the start and after a failed write: nothing is written behind octets of unknown state.
    open: Option<OpenSegment>,
    /// The number of the next segment.
    next: u32,
    /// Where the last segment that was written to ends.
    end: LogPosition,
}

#[derive(Debug)]
struct OpenSegment {
    file: Arc<File>,
    path: PathBuf,
    /// Whether its name is durable.
    named: bool,
}

impl Log {
    /// A log that goes on behind `end` in a new segment.
    pub(in crate::store::sled) fn new(
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        segment_octets: u64,
        end: LogPosition,
        next: u32,
    ) -> Self {
        Self { disk, segments, segment_octets, open: None, next, end }
    }

    /// Where the next record goes, or would go but for a new segment.
    pub(in crate::store::sled) fn end(&self) -> LogPosition {
        self.end
    }

    /// Appends `records`, makes them durable, and says where each is. `standing` is what a new segment begins with.
    pub(in crate::store::sled) fn append(
        &mut self,
        standing: &[u8],
        records: &[Record],
    ) -> Result<Vec<LogPosition>, AppendError> {
        let octets: u64 = records.iter().map(|record| record.octets() as u64).sum();
        if u64::from(self.end.offset) + octets > self.segment_octets {
            self.open = None;
        }
        let positions = self.write(standing, records)?;
        crate::fail_point::pass("append.written");
        self.sync()?;
        crate::fail_point::pass("append.synced");
        Ok(positions)
    }

    fn write(&mut self, standing: &[u8], records: &[Record]) -> Result<Vec<LogPosition>, AppendError> {
        let (segment, start) = if let Some(segment) = self.open.take() {
            (segment, None)
        } else {
            let (segment, start) = self.begin_segment(standing)?;
            (segment, Some(start))
        };
        let from = if start.is_some() { LogPosition::new(self.next - 1, 0) } else { self.end };
        let mut position = from;
        let mut heads = Vec::with_capacity(records.len() + 1);
        let mut positions = Vec::with_capacity(records.len());
        for record in start.iter().chain(records) {
            positions.push(position);
            heads.push(record.head(position));
            position = position.plus(record.octets() as u64);
        }
        let mut slices = slices_of(&heads, start.iter().chain(records));
        crate::fail_point::pass("append.before");
        let written = self.disk.write_at(&segment.file, &mut slices, u64::from(from.offset));
        if let Err(source) = written {
            return Err(self.give_up(segment, from, source));
        }
        self.end = position;
        self.open = Some(segment);
        positions.drain(..usize::from(start.is_some()));
        Ok(positions)
    }

    /// After a failed write: no later record is written behind it, and readers are kept from it.
    fn give_up(&mut self, segment: OpenSegment, from: LogPosition, source: io::Error) -> AppendError {
        // The next segment says where this one ends; cutting it as well makes that true at once. Where even
        // this fails, an unanswered message may be found after a crash, which its sender then sends twice.
        let _ = segment.file.set_len(u64::from(from.offset));
        if from.offset == 0 {
            self.segments.forget(from.segment);
            let _ = self.disk.remove(&segment.path);
        }
        AppendError::Write { path: segment.path, source }
    }

    fn begin_segment(&mut self, standing: &[u8]) -> Result<(OpenSegment, Record), AppendError> {
        let number = self.next;
        let path = self.segments.path(number);
        let file = match self.disk.create(&path) {
            Ok(file) => Arc::new(file),
            Err(source) => return Err(AppendError::Write { path, source }),
        };
        self.next += 1;
        self.segments.insert(number, Arc::clone(&file));
        let mut meta = BytesMut::new();
        self.end.encode(&mut meta);
        meta.extend_from_slice(standing);
        let start = Record::of_state(RecordKind::SegmentStart, MessageId::from_raw(0), meta.freeze());
        let segment = OpenSegment { file, path, named: false };
        Ok((segment, start))
    }

    fn sync(&mut self) -> Result<(), AppendError> {
        let segment = self.open.as_mut().expect("a write has just succeeded");
        let synced = self.disk.sync_file(&segment.file).and_then(|()| {
            if !segment.named {
                self.disk.sync_directory(self.segments.directory())?;
                segment.named = true;
            }
            Ok(())
        });
        synced.map_err(|source| AppendError::Sync { path: segment.path.clone(), source })
    }
}

fn slices_of<'a>(heads: &'a [[u8; HEAD_OCTETS]], records: impl Iterator<Item = &'a Record>) -> Vec<IoSlice<'a>> {
    let mut slices = Vec::with_capacity(heads.len() * 4);
    for (head, record) in heads.iter().zip(records) {
        slices.push(IoSlice::new(head));
        let parts: [&Bytes; 3] = [&record.meta, &record.header, &record.body];
        slices.extend(parts.into_iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)));
    }
    slices
}
