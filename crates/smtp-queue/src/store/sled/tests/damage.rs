//! Torn, cut and flipped logs; lost files.

use super::*;
use crate::DeliveryState;

/// Some messages in a log that no index knows of yet.
async fn a_log() -> (Yard, Vec<MessageId>) {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(send(&queue, "bob@example.net", &format!("body of message {number}\r\n")).await);
    }
    let crashed = yard.crashed();
    (crashed, ids)
}

#[tokio::test]
async fn a_cut_log_keeps_what_is_whole() {
    let (yard, ids) = a_log().await;
    let whole = std::fs::read(&yard.segments()[0]).unwrap();
    let mut kept_before = 0;
    for cut in (0..=whole.len()).step_by(400) {
        let copy = yard.crashed();
        std::fs::write(&copy.segments()[0], &whole[..cut]).unwrap();
        let (queue, report) = copy.open();
        let kept = queued(&queue);
        assert!(ids.starts_with(&kept) && kept.len() >= kept_before, "cut at {cut}");
        kept_before = kept.len();
        assert!(report.damage.is_empty(), "cut at {cut}: {report:?}");
        for id in kept {
            assert!(body_of(&queue, id).is_some());
        }
        // It goes on behind the torn end, and the next start finds the same.
        let new = send(&queue, "bob@example.net", "new\r\n").await;
        drop(queue);
        let (queue, report) = copy.rebuild();
        assert_eq!(queued(&queue).last(), Some(&new));
        assert_eq!((report.torn_octets, report.damage.len()), (0, 0), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_flipped_octet_costs_one_message_and_is_named() {
    let (yard, ids) = a_log().await;
    let whole = std::fs::read(&yard.segments()[0]).unwrap();
    // The last message is left alone: what is wrong with it counts as the torn end.
    let length = whole.len() * 5 / 6 - 40;
    for at in (0..length).step_by(211) {
        let copy = yard.crashed();
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        std::fs::write(&copy.segments()[0], &flipped).unwrap();
        let (queue, report) = copy.open();
        let kept = queued(&queue);
        assert!(kept.len() >= ids.len() - 1, "flipped {at}: {kept:?}");
        assert!(kept.iter().all(|id| ids.contains(id)));
        assert_eq!(report.damage.len(), 1, "flipped {at}: {report:?}");
        let unsound = kept.iter().filter(|id| body_of_or_damaged(&queue, **id).is_none()).count();
        let lost = ids.len() - kept.len();
        // In the beginning of the segment no message is.
        assert!(unsound + lost <= 1, "flipped {at}");
        if let Some(message) = report.damage[0].message {
            assert!(ids.contains(&message));
        }
    }
}

fn body_of_or_damaged(queue: &Queue, id: MessageId) -> Option<Vec<u8>> {
    let content = queue.message(id, now()).unwrap().unwrap().content?;
    Some(content.chunk(content.header().len() as u64, 1000).unwrap().to_vec())
}

#[tokio::test]
async fn damaged_content_is_held_and_never_sent() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let good = send(&queue, "bob@example.net", "a good body\r\n").await;
    let bad = send(&queue, "bob@example.net", "a body to be damaged\r\n").await;
    queue.close();
    drop(queue);
    let segment = &yard.segments()[0];
    let mut octets = std::fs::read(segment).unwrap();
    let at = octets.windows(10).position(|window| window == b"to be dama").unwrap();
    octets[at] = b'T';
    std::fs::write(segment, octets).unwrap();
    let (queue, report) = yard.open();
    // Nobody has looked at it yet: it lies before the watermark.
    assert!(report.damage.is_empty());
    let leases = queue.lease(&queue.ready(now())[0].lane, now(), 10);
    assert_eq!(leases.iter().map(crate::Lease::id).collect::<Vec<_>>(), [good]);
    drop(leases);
    // The hold is durable as soon as an act behind it is.
    queue.control(&Selector::default(), Act::DueNow, now()).await.unwrap();
    queue.close();
    drop(queue);
    let (queue, _) = yard.open();
    let views = queue.find(&Selector { held: Some(true), ..Selector::default() }, crate::Page::ALL, now()).unwrap();
    assert_eq!(views.len(), 1);
    assert_eq!(views[0].id.message, bad);
    let DeliveryState::Held(hold) = &views[0].state else { panic!() };
    assert_eq!(hold.cause, crate::HoldCause::Damage);
    assert!(queue.message(bad, now()).unwrap().unwrap().content.is_none());
    // Released, it is looked at and held again.
    queue.control(&Selector::default(), Act::Release, now()).await.unwrap();
    assert_eq!(queue.lease(&queue.ready(now())[0].lane, now(), 10).len(), 1);
    assert_eq!(queue.stats(now()).held, 1);
}

#[tokio::test]
async fn a_lost_body_file_holds_its_message() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let id = send(&queue, "bob@example.net", &"x".repeat(300_000)).await;
    std::fs::remove_file(yard.path().join("bodies").join(id.to_string())).unwrap();
    assert!(queue.lease(&queue.ready(now())[0].lane, now(), 10).is_empty());
    assert_eq!(queue.stats(now()).held, 1);
}

#[tokio::test]
async fn an_index_that_does_not_open_is_set_aside_and_made_anew() {
    let (yard, ids) = a_log().await;
    let (queue, _) = yard.open();
    drop(queue);
    let index = yard.path().join(INDEX);
    for file in ["conf", "db"] {
        std::fs::write(index.join(file), [0xff; 3000]).unwrap();
        let (queue, report) = yard.open();
        assert!(report.rebuilt, "{file}: {report:?}");
        // Of some damage sled makes an empty store.
        assert!(report.index_set_aside.is_none_or(|aside| aside.exists()));
        assert_eq!(queued(&queue), ids);
    }
    // What sled leaves of a kill while it opens, and what it must not have.
    std::fs::write(index.join("snap.0000.generating"), "x").unwrap();
    let (queue, report) = yard.open();
    assert!(!report.rebuilt);
    drop(queue);
    std::fs::create_dir_all(index.join("blobs")).unwrap();
    std::fs::write(index.join("blobs/1"), "x").unwrap();
    let (queue, report) = yard.open();
    assert!(report.rebuilt);
    assert_eq!(queued(&queue), ids);
}

#[tokio::test]
async fn a_group_is_found_whole_or_not_at_all() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let failed = send(&queue, "bob@example.net", "x\r\n").await;
    let lease = queue.lease(&queue.ready(now())[0].lane, now(), 1).remove(0);
    let before = std::fs::metadata(&yard.segments()[0]).unwrap().len();
    let mut settlement = settlement(lease, RecipientChange::Failed);
    for _ in 0..2 {
        let message = message("", &["alice@example.org"], "report\r\n");
        settlement.reports.push(crate::NewReport { message, body: "report\r\n".into(), id: None });
    }
    queue.settle(vec![settlement]).await.unwrap();
    let reports = queued(&queue);
    assert_eq!(reports.len(), 2);
    let whole = std::fs::read(&yard.segments()[0]).unwrap();
    for cut in usize::try_from(before).unwrap()..whole.len() {
        if cut % 50 != 0 {
            continue;
        }
        let copy = yard.crashed();
        std::fs::write(&copy.segments()[0], &whole[..cut]).unwrap();
        let (queue, _) = copy.open();
        assert_eq!(queued(&queue), [failed], "cut at {cut}");
    }
    let (queue, _) = yard.crashed().open();
    assert_eq!(queued(&queue), reports);
}
