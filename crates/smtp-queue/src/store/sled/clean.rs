//! Cleaning: the oldest segment goes, after what is alive in it was copied to the end of the log.
//!
//! Only the oldest: so no record outlives what it speaks of, and a rebuild from the log is exact. In small steps between
//! batches, so that no commit waits for it.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smtp_mail::MessageId;

use super::index::Index;
use super::layer::{Layer, Leftover};
use super::ledger::Ledger;
use super::log::{Found, LogPosition, SegmentReader, Segments, StoredRecord};
use super::record::{Record, RecordKind};
use crate::row::{BodyPlace, DeliveryRow, Hold, HoldCause, MessageRow, Place};
use crate::schedule::DeliveryId;
use crate::shared::chain;
use crate::store::{ReadError, encode_meta};

/// What one step copies at most, or a little more.
const STEP_COPIED_OCTETS: u64 = 512 << 10;
/// What one step reads at most, or a little more.
const STEP_READ_OCTETS: u64 = 4 << 20;

/// How long nothing is cleaned after an error.
const REST_AFTER_ERROR: Duration = Duration::from_mins(1);

/// Why a step could not be made.
#[derive(Debug, thiserror::Error)]
enum CleanError {
    #[error("a segment could not be read")]
    Segment(#[from] io::Error),
    #[error("the index could not be read")]
    Index(#[from] ReadError),
}

/// The cleaner and the segment that it is at.
#[derive(Debug)]
pub(super) struct Cleaner {
    slack_octets: u64,
    job: Option<Job>,
    /// After an error it rests until then.
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Job {
    segment: u32,
    /// `None`: all of it has been looked at.
    reader: Option<SegmentReader>,
    /// Something in it was unreadable: it is kept, out of the way.
    damaged: bool,
}

/// Messages that one step copies.
#[derive(Debug, Default)]
pub(super) struct Copies(Vec<Copied>);

#[derive(Debug)]
struct Copied {
    from: Arc<MessageRow>,
    to: MessageRow,
    record: Record,
    /// Held from now on, since it is damaged.
    held: Vec<DeliveryRow>,
}

impl Copies {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.0.iter().map(|copied| &copied.record)
    }

    /// The copies are durable: from now on they are what is read.
    pub(super) fn show(self, positions: &[LogPosition], ledger: &Ledger, layer: &mut Layer) {
        for (copied, position) in self.0.into_iter().zip(positions) {
            let place = place_of(&copied.record, *position);
            let to = MessageRow { place, ..copied.to };
            ledger.relocate(&copied.from, &to);
            layer.put_message(Arc::new(to));
            for row in copied.held {
                layer.put_delivery(Arc::new(row));
            }
        }
    }
}

/// Where a message is whose record was written there.
pub(super) fn place_of(record: &Record, position: LogPosition) -> Place {
    let meta_octets = u32::try_from(record.meta.len()).expect("meta octets are far below 4 GiB");
    Place { segment: position.segment, offset: position.offset, meta_octets }
}

impl Cleaner {
    /// A cleaner that lets the log be so much longer than it need be.
    pub(super) fn new(slack_octets: u64) -> Self {
        Self { slack_octets, job: None, rests_until: None }
    }

    /// Whether there is more to do at once.
    pub(super) fn is_at_work(&self) -> bool {
        self.job.is_some()
    }

    /// The last copies were not written: what they were made from is looked at again.
    pub(super) fn start_over(&mut self) {
        self.job = None;
    }

    /// Looks at a piece of the oldest segment, if that is worth it. `log_end` is where the log ends, `tight` whether room on the
    /// disk is short.
    pub(super) fn step(
        &mut self,
        index: &Index,
        segments: &Segments,
        ledger: &Ledger,
        log_end: LogPosition,
        tight: impl FnOnce() -> bool,
    ) -> Copies {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Copies::default();
        }
        self.rests_until = None;
        self.try_step(index, segments, ledger, log_end, tight).unwrap_or_else(|error| {
            tracing::error!(error = chain(&error), "the log of the queue cannot be cleaned");
            self.start_over();
            self.rests_until = Some(Instant::now() + REST_AFTER_ERROR);
            Copies::default()
        })
    }

    fn try_step(
        &mut self,
        index: &Index,
        segments: &Segments,
        ledger: &Ledger,
        log_end: LogPosition,
        tight: impl FnOnce() -> bool,
    ) -> Result<Copies, CleanError> {
        if self.job.is_none() {
            self.job = self.begin(segments, ledger, log_end, tight)?;
        }
        let Some(job) = &mut self.job else {
            return Ok(Copies::default());
        };
        let mut copies = Vec::new();
        let Some(reader) = &mut job.reader else {
            return Ok(Copies(job.stragglers(index, ledger)?));
        };
        let (start, mut copied_octets) = (reader.position().offset, 0);
        while copied_octets < STEP_COPIED_OCTETS && u64::from(reader.position().offset - start) < STEP_READ_OCTETS {
            match reader.next()? {
                None => {
                    job.reader = None;
                    break;
                }
                Some(Found::Record(record)) => {
                    if let Some(copied) = copy_if_alive(index, record)? {
                        job.damaged |= copied.to.body == BodyPlace::Quarantine;
                        copied_octets += copied.record.octets() as u64;
                        copies.push(copied);
                    }
                }
                Some(Found::Damage { .. } | Found::Newer { .. }) => job.damaged = true,
            }
        }
        Ok(Copies(copies))
    }

    fn begin(
        &self,
        segments: &Segments,
        ledger: &Ledger,
        log_end: LogPosition,
        tight: impl FnOnce() -> bool,
    ) -> Result<Option<Job>, CleanError> {
        let Some((segment, alive)) = ledger.oldest().filter(|(segment, _)| *segment < log_end.segment) else {
            return Ok(None);
        };
        if alive == 0 {
            return Ok(Some(Job { segment, reader: None, damaged: ledger.is_damaged(segment) }));
        }
        let bloated = |tight| ledger.is_bloated(self.slack_octets, tight);
        let pays = bloated(false) || (bloated(true) && tight());
        if !pays {
            return Ok(None);
        }
        let reader = SegmentReader::new(segments.file(segment)?, LogPosition::new(segment, 0), None)?;
        Ok(Some(Job { segment, reader: Some(reader), damaged: ledger.is_damaged(segment) }))
    }

    /// Leaves the segment behind once nothing in it is alive.
    pub(super) fn leave_behind(&mut self, layer: &mut Layer, ledger: &Ledger, segments: &Segments) {
        let Some(job) = self.job.take_if(|job| job.reader.is_none() && ledger.alive_in(job.segment) == 0) else {
            return;
        };
        ledger.remove_segment(job.segment);
        segments.forget(job.segment);
        layer.leftovers.push(if job.damaged {
            tracing::warn!(segment = job.segment, "a damaged segment of the log is kept in quarantine");
            Leftover::DamagedSegment(job.segment)
        } else {
            Leftover::Segment(job.segment)
        });
    }
}

impl Job {
    /// Messages whose records were not found, since what leads to them is damaged.
    fn stragglers(&mut self, index: &Index, ledger: &Ledger) -> Result<Vec<Copied>, CleanError> {
        if ledger.alive_in(self.segment) == 0 {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        index.each_message(&mut |row| {
            if row.place.segment == self.segment {
                rows.push(row);
            }
            ControlFlow::Continue(())
        })?;
        if rows.is_empty() {
            // Counted for too long, since a row could not be read when its message was finished.
            ledger.set_dead(self.segment);
            return Ok(Vec::new());
        }
        self.damaged = true;
        let quarantined = rows.into_iter().map(|row| copy(index, row, None));
        Ok(quarantined.collect::<Result<_, _>>()?)
    }
}

fn copy_if_alive(index: &Index, record: StoredRecord) -> Result<Option<Copied>, ReadError> {
    if !matches!(record.head.kind, RecordKind::Message | RecordKind::Copied) {
        return Ok(None);
    }
    let Some(row) = index.message(record.head.id)? else {
        return Ok(None);
    };
    if LogPosition::new(row.place.segment, row.place.offset) != record.position {
        return Ok(None);
    }
    copy(index, row, record.sound.then_some(record)).map(Some)
}

/// A copy of the message with its present state; without sound content it goes into quarantine.
fn copy(index: &Index, row: Arc<MessageRow>, record: Option<StoredRecord>) -> Result<Copied, ReadError> {
    let mut deliveries = deliveries_of(index, &row)?;
    let mut to = MessageRow::clone(&row);
    let (mut header, mut body) = (Bytes::new(), Bytes::new());
    let mut held = Vec::new();
    if let Some(record) = record {
        let mut content = record.content;
        header = content.split_to(record.head.header_octets as usize);
        body = content;
    } else {
        tracing::error!(message = %row.id, "a queued message is damaged and held");
        to.body = BodyPlace::Quarantine;
        let reason = format!("its content in segment {} of the log is damaged", row.place.segment);
        for delivery in &mut deliveries {
            delivery.hold = Some(Hold { cause: HoldCause::Damage, reason: reason.clone(), until: None });
        }
        held.clone_from(&deliveries);
    }
    let meta = encode_meta(&to, deliveries.iter());
    let record = Record { kind: RecordKind::Copied, id: row.id, continues: false, meta, header, body };
    Ok(Copied { from: row, to, record, held })
}

fn deliveries_of(index: &Index, row: &MessageRow) -> Result<Vec<DeliveryRow>, ReadError> {
    let id = |number| DeliveryId { message: MessageId::clone(&row.id), number };
    let rows = (1..=row.deliveries).map(|number| index.delivery(id(number)));
    rows.filter_map(Result::transpose).map(|row| row.map(Arc::unwrap_or_clone)).collect()
}
