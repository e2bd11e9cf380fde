//! Reading a segment from a place on, over damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smtp_mail::MessageId;

use super::LogPosition;
use crate::store::sled::record::{BadHead, HEAD_OCTETS, RecordHead};

/// How much is looked through at a time for the next record behind damage.
const SCAN_OCTETS: usize = 64 << 10;

/// A record as it was found.
#[derive(Debug, Clone)]
pub(crate) struct StoredRecord {
    pub(in crate::store::sled) position: LogPosition,
    pub(in crate::store::sled) head: RecordHead,
    pub(in crate::store::sled) meta: Bytes,
    /// Header block and body; empty where the reader was told to pass over content.
    pub(in crate::store::sled) content: Bytes,
    /// Whether the content agrees with its sum.
    pub(in crate::store::sled) sound: bool,
}

/// What lies at a place.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// A record with sound head and meta octets.
    Record(StoredRecord),
    /// Octets that are no record.
    Damage {
        at: LogPosition,
        octets: u64,
        /// The message, where the head at least is sound.
        id: Option<MessageId>,
    },
    /// A record that a later version of the program wrote.
    Newer { version: u8 },
}

/// Goes through one segment, record by record.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: Arc<File>,
    position: LogPosition,
    end: u64,
}

impl SegmentReader {
    /// Reads from `position` to `end`, or to the end of the file where that is nearer.
    pub(in crate::store::sled) fn new(file: Arc<File>, position: LogPosition, end: Option<u32>) -> io::Result<Self> {
        let octets = file.metadata()?.len();
        Ok(Self { file, position, end: end.map_or(octets, |end| octets.min(u64::from(end))) })
    }

    /// Where the next record is looked for.
    pub(in crate::store::sled) fn position(&self) -> LogPosition {
        self.position
    }

    /// The next record or damage; `None` at the end.
    pub(in crate::store::sled) fn next(&mut self) -> io::Result<Option<Found>> {
        let at = self.position;
        let rest = self.end.saturating_sub(u64::from(at.offset));
        if rest == 0 {
            return Ok(None);
        }
        let head = match self.head_at(at)? {
            Ok(head) if head.octets() <= rest => head,
            Ok(head) => return Ok(Some(self.damage(rest, Some(head.id)))),
            Err(BadHead::Newer(version)) => return Ok(Some(Found::Newer { version })),
            Err(BadHead::Damaged) => {
                let octets = self.damaged_octets()?;
                return Ok(Some(self.damage(octets, None)));
            }
        };
        let mut payload = self.read(at.plus(HEAD_OCTETS as u64), head.payload_octets())?;
        let meta = payload.split_to(head.meta_octets as usize).freeze();
        if crc32fast::hash(&meta) != head.meta_crc {
            return Ok(Some(self.damage(head.octets(), Some(head.id))));
        }
        self.position = at.plus(head.octets());
        Ok(Some(Found::Record(StoredRecord {
            position: at,
            head,
            meta,
            sound: crc32fast::hash(&payload) == head.content_crc,
            content: payload.freeze(),
        })))
    }

    fn damage(&mut self, octets: u64, id: Option<MessageId>) -> Found {
        let at = self.position;
        self.position = at.plus(octets);
        Found::Damage { at, octets, id }
    }

    fn head_at(&self, at: LogPosition) -> io::Result<Result<RecordHead, BadHead>> {
        if u64::from(at.offset) + HEAD_OCTETS as u64 > self.end {
            return Ok(Err(BadHead::Damaged));
        }
        let mut head = [0; HEAD_OCTETS];
        self.file.read_exact_at(&mut head, u64::from(at.offset))?;
        Ok(RecordHead::decode(&head, at))
    }

    fn read(&self, at: LogPosition, octets: u64) -> io::Result<BytesMut> {
        let octets = usize::try_from(octets).expect("a record fits the address space");
        let mut buffer = BytesMut::zeroed(octets);
        self.file.read_exact_at(&mut buffer, u64::from(at.offset))?;
        Ok(buffer)
    }

    /// How far it is from here to the next sound head, or to the end.
    fn damaged_octets(&self) -> io::Result<u64> {
        let start = u64::from(self.position.offset);
        let mut from = start + 1;
        while from < self.end {
            let octets = (self.end - from).min(SCAN_OCTETS as u64);
            let window = self.read(self.position.plus(from - start), octets)?;
            let Some(found) = RecordHead::find_magic(&window) else {
                // A magic may lie across the end of the window.
                from += octets.saturating_sub(3).max(1);
                continue;
            };
            from += found as u64;
            let place = self.position.plus(from - start);
            if !matches!(self.head_at(place)?, Err(BadHead::Damaged)) {
                return Ok(from - start);
            }
            from += 1;
        }
        Ok(self.end - start)
    }
}
