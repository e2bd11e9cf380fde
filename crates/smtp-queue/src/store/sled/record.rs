//! One record of the log: a head of fixed length, then its meta octets, then content.
//!
//! ```text
//! octet  0  magic (4)    8  message id (8)          28  CRC-32 of the meta octets (4)
//!        4  version     16  length of meta (4)      32  CRC-32 of header block and body (4)
//!        5  kind        20  length of header (4)    36  CRC-32 of octets 0 to 35, begun with the
//!        6  flags       24  length of body (4)          number of the segment and the offset (4)
//!        7  0           40  meta, header block, body
//! ```
//!
//! Integers are big-endian. A record that lies where it was not written (an old block of a recycled file) is told
//! by the last sum. Meta and content have sums of their own, so that damage to a body leaves the envelope readable.

use bytes::Bytes;
use smtp_mail::MessageId;

use super::log::LogPosition;

/// The length of a record's head.
pub(super) const HEAD_OCTETS: usize = 40;
const MAGIC: [u8; 4] = [0x9e, b'S', b'Q', 0xe5];
/// The version of records that this program writes, and the newest that it reads.
pub(super) const RECORD_VERSION: u8 = 1;
/// This record and the one behind it are valid together or not at all.
const FLAG_CONTINUES: u8 = 1;

/// What a record speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// First in each segment: where the segment before ends, the highest id, the pauses in force.
    SegmentStart,
    /// A message as it was accepted.
    Message,
    /// New states of deliveries after an attempt.
    Settle,
    /// New states of deliveries by an operator's act.
    Control,
    /// A message with its present state, carried forward by cleaning.
    Copied,
    /// All pauses in force from here on.
    Pauses,
}

impl RecordKind {
    const fn octet(self) -> u8 {
        match self {
            Self::SegmentStart => 1,
            Self::Message => 2,
            Self::Settle => 3,
            Self::Control => 4,
            Self::Copied => 5,
            Self::Pauses => 6,
        }
    }

    const fn from_octet(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::SegmentStart,
            2 => Self::Message,
            3 => Self::Settle,
            4 => Self::Control,
            5 => Self::Copied,
            6 => Self::Pauses,
            _ => return None,
        })
    }
}

/// A record about to be written.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    /// Zero where the record is not about one message.
    pub(super) id: MessageId,
    /// Whether the next record belongs to this one: both are found again, or neither.
    pub(super) continues: bool,
    pub(super) meta: Bytes,
    pub(super) header: Bytes,
    pub(super) body: Bytes,
}

impl Record {
    /// A record without content.
    pub(super) fn of_state(kind: RecordKind, id: MessageId, meta: Bytes) -> Self {
        Self { kind, id, continues: false, meta, header: Bytes::new(), body: Bytes::new() }
    }

    /// The length of the whole record.
    pub(super) fn octets(&self) -> usize {
        HEAD_OCTETS + self.meta.len() + self.header.len() + self.body.len()
    }

    /// The head for this record at `position`.
    pub(super) fn head(&self, position: LogPosition) -> [u8; HEAD_OCTETS] {
        let mut content = crc32fast::Hasher::new();
        content.update(&self.header);
        content.update(&self.body);
        RecordHead {
            kind: self.kind,
            id: self.id,
            continues: self.continues,
            meta_octets: length(&self.meta),
            header_octets: length(&self.header),
            body_octets: length(&self.body),
            meta_crc: crc32fast::hash(&self.meta),
            content_crc: content.finalize(),
        }
        .encode(position)
    }
}

fn length(octets: &Bytes) -> u32 {
    u32::try_from(octets.len()).expect("what goes into the log is far below 4 GiB")
}

/// The fixed part of a record, as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) kind: RecordKind,
    pub(super) id: MessageId,
    pub(super) continues: bool,
    pub(super) meta_octets: u32,
    pub(super) header_octets: u32,
    pub(super) body_octets: u32,
    pub(super) meta_crc: u32,
    pub(super) content_crc: u32,
}

/// Why octets are no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHead {
    /// Not written here, or not wholly.
    Damaged,
    /// Sound, but of a version or a kind that this program does not know.
    Newer(u8),
}

impl RecordHead {
    /// The octets behind the head.
    pub(super) fn payload_octets(&self) -> u64 {
        u64::from(self.meta_octets) + u64::from(self.header_octets) + u64::from(self.body_octets)
    }

    /// The length of the whole record.
    pub(super) fn octets(&self) -> u64 {
        HEAD_OCTETS as u64 + self.payload_octets()
    }

    fn encode(&self, position: LogPosition) -> [u8; HEAD_OCTETS] {
        let mut head = [0; HEAD_OCTETS];
        head[..4].copy_from_slice(&MAGIC);
        head[4] = RECORD_VERSION;
        head[5] = self.kind.octet();
        head[6] = if self.continues { FLAG_CONTINUES } else { 0 };
        head[8..16].copy_from_slice(&self.id.as_raw().to_be_bytes());
        let words = [self.meta_octets, self.header_octets, self.body_octets, self.meta_crc, self.content_crc];
        for (slot, word) in head[16..36].chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        let sum = place_sum(&head[..36], position);
        head[36..].copy_from_slice(&sum.to_be_bytes());
        head
    }

    /// Reads a head that was written at `position`.
    pub(super) fn decode(head: &[u8; HEAD_OCTETS], position: LogPosition) -> Result<Self, BadHead> {
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if head[..4] != MAGIC || word(36) != place_sum(&head[..36], position) {
            return Err(BadHead::Damaged);
        }
        if head[4] > RECORD_VERSION {
            return Err(BadHead::Newer(head[4]));
        }
        let kind = RecordKind::from_octet(head[5]).ok_or(BadHead::Damaged)?;
        let raw = u64::from(word(8)) << 32 | u64::from(word(12));
        Ok(Self {
            kind,
            id: MessageId::from_raw(raw),
            continues: head[6] & FLAG_CONTINUES != 0,
            meta_octets: word(16),
            header_octets: word(20),
            body_octets: word(24),
            meta_crc: word(28),
            content_crc: word(32),
        })
    }

    /// The first place in `octets` where a head may begin.
    pub(super) fn find_magic(octets: &[u8]) -> Option<usize> {
        octets.windows(MAGIC.len()).position(|window| window == MAGIC)
    }
}

fn place_sum(octets: &[u8], position: LogPosition) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.segment.to_be_bytes());
    hasher.update(&position.offset.to_be_bytes());
    hasher.update(octets);
    hasher.finalize()
}
