//! Reading the log from a place on, segment by segment: what was answered for, and where the end is torn.

use std::io;
use std::path::PathBuf;

use smtp_mail::MessageId;

use super::log::{Found, LogPosition, SegmentReader, Segments, StoredRecord};
use super::record::{RECORD_VERSION, RecordKind};
use super::state::decode_segment_start;
use crate::codec::DecodeError;
use crate::report::Damage;

/// What reading the log came to.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// Behind the last record of the last segment.
    pub(super) end: LogPosition,
    /// The number of the next segment.
    pub(super) next_segment: u32,
    pub(super) records: u64,
    pub(super) torn_octets: u64,
    pub(super) damage: Vec<DamagedPlace>,
    /// The octets of all segments.
    pub(super) octets: u64,
}

/// Damage, and the number of its segment.
#[derive(Debug)]
pub(super) struct DamagedPlace {
    pub(super) segment_number: u32,
    pub(super) damage: Damage,
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error("{path} could not be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the log is of a newer format")]
    Newer { found: u8, known: u8 },
    #[error("what was read could not be put into the index")]
    Index(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Takes the records of one group; they are valid together.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[StoredRecord], LogPosition) -> Result<(), ReplayError>;

/// Gives `sink` everything from `from` on that was or may have been answered for.
///
/// Damage is passed over. Where only unreadable octets follow in the last segment they are its torn end: written, or not wholly,
/// in the moment of a crash, and never answered for.
pub(super) fn replay(segments: &Segments, from: LogPosition, sink: Sink<'_>) -> Result<Replayed, ReplayError> {
    let numbers = segments.numbers().map_err(|source| read_error(segments.directory().to_owned(), source))?;
    let mut replayed = Replayed { end: from, next_segment: from.segment.max(1), ..Replayed::default() };
    for (index, number) in numbers.iter().copied().enumerate() {
        replayed.next_segment = number + 1;
        let path = segments.path(number);
        let file = segments.file(number).map_err(|source| read_error(path.clone(), source))?;
        replayed.octets += file.metadata().map_err(|source| read_error(path.clone(), source))?.len();
        if number < from.segment {
            continue;
        }
        let start = LogPosition::new(number, if number == from.segment { from.offset } else { 0 });
        let end = known_end(segments, number, &numbers[index + 1..])?;
        let mut segment =
            Segment { path, last: end.is_none(), replayed: &mut replayed, group: Vec::new(), doubtful: Vec::new() };
        let mut reader =
            SegmentReader::new(file, start, end).map_err(|source| read_error(segment.path.clone(), source))?;
        segment.read(&mut reader, sink)?;
    }
    Ok(replayed)
}

/// Where a segment ends, as the next one that was written says; `None` where there is none.
fn known_end(segments: &Segments, number: u32, later: &[u32]) -> Result<Option<u32>, ReplayError> {
    for next in later {
        let path = segments.path(*next);
        let file = segments.file(*next).map_err(|source| read_error(path.clone(), source))?;
        let mut reader = SegmentReader::new(file, LogPosition::new(*next, 0), None)
            .map_err(|source| read_error(path.clone(), source))?;
        let found = reader.next().map_err(|source| read_error(path, source))?;
        if let Some(Found::Record(record)) = found
            && record.head.kind == RecordKind::SegmentStart
            && let Ok(start) = decode_segment_start(&record.meta)
        {
            let end = start.previous_end;
            return Ok(Some(if end.segment == number { end.offset } else { 0 }));
        }
    }
    Ok(None)
}

/// One segment as it is read.
struct Segment<'a> {
    path: PathBuf,
    last: bool,
    replayed: &'a mut Replayed,
    /// Records of which the last belongs to the one that comes next.
    group: Vec<StoredRecord>,
    /// Damage behind which nothing sound has come yet.
    doubtful: Vec<Doubt>,
}

enum Doubt {
    Damage {
        at: LogPosition,
        octets: u64,
        id: Option<MessageId>,
    },
    /// A group in which the content of a message is not what was written, but its envelope is.
    Content(Vec<StoredRecord>),
}

impl Doubt {
    fn lost(record: &StoredRecord) -> Self {
        Self::Damage { at: record.position, octets: record.head.octets(), id: Some(record.head.id) }
    }

    fn octets(&self) -> u64 {
        match self {
            Self::Damage { octets, .. } => *octets,
            Self::Content(group) => group.iter().map(|record| record.head.octets()).sum(),
        }
    }
}

impl Segment<'_> {
    fn read(&mut self, reader: &mut SegmentReader, sink: Sink<'_>) -> Result<(), ReplayError> {
        loop {
            let found = reader.next().map_err(|source| read_error(self.path.clone(), source))?;
            match found {
                None => break,
                Some(Found::Newer { version }) => {
                    return Err(ReplayError::Newer { found: version, known: RECORD_VERSION });
                }
                Some(Found::Damage { at, octets, id }) => {
                    self.break_group();
                    self.doubtful.push(Doubt::Damage { at, octets, id });
                }
                Some(Found::Record(record)) => self.take(record, reader.position(), sink)?,
            }
        }
        self.break_group();
        if self.last {
            self.replayed.torn_octets += self.doubtful.iter().map(Doubt::octets).sum::<u64>();
            return Ok(());
        }
        self.believe(sink)
    }

    /// A group with a hole is none.
    fn break_group(&mut self) {
        self.doubtful.extend(self.group.drain(..).map(|record| Doubt::lost(&record)));
    }

    fn take(&mut self, record: StoredRecord, end: LogPosition, sink: Sink<'_>) -> Result<(), ReplayError> {
        let continues = record.head.continues;
        self.group.push(record);
        if continues {
            return Ok(());
        }
        let group = std::mem::take(&mut self.group);
        if group.iter().any(|record| !record.sound) {
            self.doubtful.push(Doubt::Content(group));
            return Ok(());
        }
        self.believe(sink)?;
        self.give(&group, end, sink)
    }

    fn give(&mut self, group: &[StoredRecord], end: LogPosition, sink: Sink<'_>) -> Result<(), ReplayError> {
        self.replayed.records += group.len() as u64;
        self.replayed.end = end;
        sink(group, end)
    }

    /// Something sound follows: what was doubtful is damage, and not the torn end.
    fn believe(&mut self, sink: Sink<'_>) -> Result<(), ReplayError> {
        for doubt in std::mem::take(&mut self.doubtful) {
            match doubt {
                Doubt::Damage { at, octets, id } => self.report(at, octets, id),
                Doubt::Content(group) => {
                    for record in group.iter().filter(|record| !record.sound) {
                        self.report(record.position, record.head.octets(), Some(record.head.id));
                    }
                    let last = group.last().expect("a group has a record");
                    // The envelope is known: it stays in the queue, and is held when it comes to be sent.
                    self.give(&group, last.position.plus(last.head.octets()), sink)?;
                }
            }
        }
        Ok(())
    }

    fn report(&mut self, at: LogPosition, octets: u64, id: Option<MessageId>) {
        let message = id.filter(|id| id.as_raw() != 0);
        let damage = Damage { segment: self.path.clone(), offset: u64::from(at.offset), octets, message };
        self.replayed.damage.push(DamagedPlace { segment_number: at.segment, damage });
    }
}

fn read_error(path: PathBuf, source: io::Error) -> ReplayError {
    ReplayError::Read { path, source }
}

/// An error of the decoder for a record whose sums agree: it was written so, by a later version or by mistake.
pub(super) fn decode_error(error: DecodeError) -> ReplayError {
    match error {
        DecodeError::Newer { found, known } => ReplayError::Newer { found, known },
        DecodeError::Malformed => ReplayError::Index(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
