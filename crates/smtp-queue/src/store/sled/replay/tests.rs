//! The log alone, cut and flipped at every octet.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::disk::RealDisk;
use crate::store::sled::log::Log;
use crate::store::sled::record::{HEAD_OCTETS, Record};
use crate::store::sled::state::encode_standing;

struct Bench {
    _directory: TempDir,
    segments: Arc<Segments>,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let segments = Arc::new(Segments::new(directory.path().to_owned()));
        Self { _directory: directory, segments }
    }

    fn log(&self, end: LogPosition, next: u32) -> Log {
        Log::new(Arc::new(RealDisk), Arc::clone(&self.segments), 1 << 20, end, next)
    }

    /// The octets of a segment, in place of what it had.
    fn write(&self, number: u32, octets: &[u8]) {
        self.segments.forget(number);
        std::fs::write(self.segments.path(number), octets).unwrap();
    }

    fn read(&self, number: u32) -> Vec<u8> {
        std::fs::read(self.segments.path(number)).unwrap()
    }

    /// The ids of all groups that are found.
    fn replay(&self) -> (Vec<Vec<u64>>, Replayed) {
        let mut groups = Vec::new();
        let replayed = replay(&self.segments, LogPosition::default(), &mut |group, _| {
            let ids: Vec<u64> = group.iter().map(|record| record.head.id.as_raw()).collect();
            if ids != [0] {
                groups.push(ids);
            }
            Ok(())
        });
        (groups, replayed.unwrap())
    }
}

fn record(id: u64, continues: bool) -> Record {
    Record {
        kind: RecordKind::Message,
        id: MessageId::from_raw(id),
        continues,
        meta: Bytes::from(vec![b'm'; 20]),
        header: Bytes::from_static(b"Subject: x\r\n\r\n"),
        body: Bytes::from(format!("body {id}\r\n")),
    }
}

fn standing() -> Bytes {
    encode_standing(MessageId::from_raw(0), &[])
}

/// Messages 1, 2 and the group of 3 and 4, then 5.
fn five(bench: &Bench) -> Vec<LogPosition> {
    let mut log = bench.log(LogPosition::default(), 1);
    let mut positions = log.append(&standing(), &[record(1, false), record(2, false)]).unwrap();
    positions.extend(log.append(&standing(), &[record(3, true), record(4, false), record(5, false)]).unwrap());
    positions.push(log.end());
    positions
}

const ALL: [&[u64]; 4] = [&[1], &[2], &[3, 4], &[5]];

#[test]
fn cut_at_every_octet_the_whole_groups_before_it_are_found() {
    let bench = Bench::new();
    let ends: Vec<usize> = {
        let positions = five(&bench);
        // Group ends: of 1, of 2, of 3 with 4, of 5.
        [1, 2, 4, 5].map(|index| positions[index].offset as usize).to_vec()
    };
    let whole = bench.read(1);
    for cut in 0..=whole.len() {
        bench.write(1, &whole[..cut]);
        let (groups, replayed) = bench.replay();
        let expected = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(groups, ALL[..expected], "cut at {cut}");
        assert!(replayed.damage.is_empty(), "cut at {cut}: {replayed:?}");
        assert_eq!(replayed.end.offset as usize + usize::try_from(replayed.torn_octets).unwrap(), cut);
        assert_eq!(replayed.next_segment, 2);
    }
}

#[test]
fn of_a_tail_that_was_never_written_nothing_is_believed() {
    let bench = Bench::new();
    let ends = five(&bench);
    let mut whole = bench.read(1);
    let end = ends[2].offset as usize;
    whole[end..].fill(0);
    whole.resize(100_000, 0);
    bench.write(1, &whole);
    let (groups, replayed) = bench.replay();
    assert_eq!(groups, ALL[..2]);
    assert_eq!((replayed.end, replayed.damage.len()), (ends[2], 0));
}

#[test]
fn flipped_at_every_octet_only_what_was_hit_is_missed() {
    let bench = Bench::new();
    let positions = five(&bench);
    let starts: Vec<usize> = positions.iter().map(|position| position.offset as usize).collect();
    let whole = bench.read(1);
    for at in 0..starts[4] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        bench.write(1, &flipped);
        let (groups, replayed) = bench.replay();
        let hit = starts.iter().rposition(|start| *start <= at);
        let in_content = hit.is_some_and(|hit| at >= starts[hit] + HEAD_OCTETS + 20);
        let found: Vec<u64> = groups.into_iter().flatten().collect();
        let expected: Vec<u64> = match hit {
            // Its envelope is known, and with it that of its group.
            Some(_) if in_content => vec![1, 2, 3, 4, 5],
            Some(0) => vec![2, 3, 4, 5],
            Some(1) => vec![1, 3, 4, 5],
            Some(2) => vec![1, 2, 4, 5],
            Some(3) => vec![1, 2, 5],
            _ => vec![1, 2, 3, 4, 5],
        };
        assert_eq!(found, expected, "flipped {at}, in record {hit:?}");
        // Of a group with a hole each record is named.
        let named = if hit == Some(3) && !in_content { 2 } else { 1 };
        assert_eq!(replayed.damage.len(), named, "flipped {at}: {replayed:?}");
        assert_eq!(replayed.torn_octets, 0);
    }
}

#[test]
fn octets_behind_the_end_that_the_next_segment_names_are_not_read() {
    let bench = Bench::new();
    let end = *five(&bench).last().unwrap();
    let mut first = bench.read(1);
    // A whole record, but of a batch that was refused.
    let refused = record(6, false);
    first.extend(refused.head(end));
    for part in [&refused.meta, &refused.header, &refused.body] {
        first.extend_from_slice(part);
    }
    bench.write(1, &first);
    assert_eq!(bench.replay().0.last().unwrap(), &[6]);
    let mut log = bench.log(end, 2);
    log.append(&standing(), &[record(7, false)]).unwrap();
    let (groups, replayed) = bench.replay();
    assert_eq!(groups[3..], [vec![5], vec![7]]);
    assert!(replayed.damage.is_empty() && replayed.torn_octets == 0);
    // What is missing before the end that is named is damage, not a torn end.
    bench.write(1, &first[..end.offset as usize - 3]);
    let (groups, replayed) = bench.replay();
    assert_eq!(groups[3..], [vec![7]]);
    assert_eq!(replayed.damage.len(), 1);
}

#[test]
fn a_record_is_none_where_it_was_not_written() {
    let bench = Bench::new();
    let positions = five(&bench);
    let whole = bench.read(1);
    let (first, second) = (positions[0].offset as usize, positions[1].offset as usize);
    // The second record moved over the first: each sum agrees, but not with the place.
    let mut moved = whole.clone();
    let octets = moved[second..2 * second - first].to_vec();
    moved[first..second].copy_from_slice(&octets);
    bench.write(1, &moved);
    let (groups, replayed) = bench.replay();
    assert_eq!(groups, ALL[1..]);
    assert_eq!(replayed.damage.len(), 1);
}

#[test]
fn a_segment_is_not_outgrown() {
    let bench = Bench::new();
    let mut log = Log::new(Arc::new(RealDisk), Arc::clone(&bench.segments), 300, LogPosition::default(), 1);
    for id in 1..=20 {
        log.append(&standing(), &[record(id, false)]).unwrap();
    }
    let numbers = bench.segments.numbers().unwrap();
    assert!(numbers.len() > 5);
    assert!(numbers.iter().all(|number| bench.read(*number).len() <= 300));
    assert_eq!(bench.replay().0.len(), 20);
}
