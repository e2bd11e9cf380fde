//! Formats: what was written by this version is read for ever, what a later one writes is refused.

use super::super::log::LogPosition;
use super::super::record::RECORD_VERSION;
use super::*;

#[tokio::test]
async fn a_log_of_a_newer_format_is_refused() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    send(&queue, "bob@example.net", "x\r\n").await;
    let copy = yard.crashed();
    let segment = &copy.segments()[0];
    let mut octets = std::fs::read(segment).unwrap();
    octets[4] = RECORD_VERSION + 1;
    let mut sum = crc32fast::Hasher::new();
    let position = LogPosition::new(1, 0);
    sum.update(&position.segment.to_be_bytes());
    sum.update(&position.offset.to_be_bytes());
    sum.update(&octets[..36]);
    octets[36..40].copy_from_slice(&sum.finalize().to_be_bytes());
    std::fs::write(segment, octets).unwrap();
    let refused = Queue::open(&copy.config).unwrap_err();
    assert!(matches!(refused, OpenError::NewerFormat { found, known, .. } if found == known + 1), "{refused}");
}

#[tokio::test]
async fn an_index_of_a_newer_format_is_refused() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    send(&queue, "bob@example.net", "x\r\n").await;
    queue.close();
    drop(queue);
    {
        let (database, _) = Database::open(&yard.path().join(INDEX)).unwrap();
        database.tree().unwrap().insert([META], &[crate::row::ROW_VERSION + 1][..]).unwrap();
    }
    let refused = Queue::open(&yard.config).unwrap_err();
    assert!(matches!(refused, OpenError::NewerFormat { .. }), "{refused}");
}
