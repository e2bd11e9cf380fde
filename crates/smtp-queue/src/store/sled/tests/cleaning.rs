//! Cleaning: what is alive stays, the rest goes.

use super::*;

#[tokio::test]
async fn segments_in_which_nothing_is_alive_go() {
    let yard = Yard::with_short_segments();
    let (queue, _) = yard.open();
    for _ in 0..100 {
        send(&queue, "bob@example.net", &"x".repeat(2_000)).await;
        attempt_all(&queue, now(), RecipientChange::Delivered).await;
    }
    // Cleaning goes on with each batch.
    for _ in 0..40 {
        pass_through(&queue, "x").await;
    }
    assert!(queue.stats(now()).log_octets < 100_000, "{:?}", queue.stats(now()));
    queue.close();
    drop(queue);
    assert!(yard.segments().len() <= 2, "{:?}", yard.segments());
}

/// A message comes and is delivered; what is held in other lanes stays.
async fn pass_through(queue: &Queue, body: &str) {
    send(queue, "bob@example.net", body).await;
    let leases = queue.lease(&crate::Lane::new("example.net"), now(), 100);
    let settled = leases.into_iter().map(|lease| settlement(lease, RecipientChange::Delivered)).collect();
    queue.settle(settled).await.unwrap();
}

#[tokio::test]
async fn cleaning_under_load_moves_what_is_alive() {
    let yard = Yard::with_short_segments();
    let (queue, _) = yard.open();
    let mut alive = Vec::new();
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..400 {
        let body = format!("{number} ") + &"x".repeat(random.usize(..2_000));
        if number % 20 == 0 {
            alive.push((send(&queue, "bob@held.example", &body).await, body));
        } else {
            pass_through(&queue, &body).await;
        }
    }
    // A lease holds on to what it reads, though its segment goes.
    let lease = queue.lease(&crate::Lane::new("held.example"), now(), 1).remove(0);
    for _ in 0..100 {
        pass_through(&queue, &"x".repeat(2_000)).await;
    }
    let content = &lease.attempt().content;
    assert_eq!(content.chunk(content.header().len() as u64, 10_000).unwrap(), alive[0].1);
    drop(lease);
    let stats = queue.stats(now());
    assert!(stats.log_octets < 8 * stats.content_octets + (200 << 10), "{stats:?}");
    for (id, body) in &alive {
        assert_eq!(body_of(&queue, *id).unwrap(), *body);
    }
    queue.close();
    drop(queue);
    let before = yard.rows();
    assert!(!yard.segments()[0].ends_with("00000001.seg"));
    let (queue, report) = yard.rebuild();
    assert!(report.damage.is_empty());
    for (id, body) in &alive {
        assert_eq!(body_of(&queue, *id).unwrap(), *body);
    }
    queue.close();
    drop(queue);
    assert_eq!(yard.rows(), before);
}

#[tokio::test]
async fn a_damaged_segment_goes_into_quarantine_and_its_messages_are_held() {
    let yard = Yard::with_short_segments();
    let (queue, _) = yard.open();
    let sound = send(&queue, "bob@held.example", "a sound body\r\n").await;
    let damaged = send(&queue, "bob@held.example", "a body to be damaged\r\n").await;
    let headless = send(&queue, "bob@held.example", "a body without a head\r\n").await;
    let segment = yard.segments()[0].clone();
    let mut octets = std::fs::read(&segment).unwrap();
    let find = |text: &[u8]| octets.windows(text.len()).position(|window| window == text).unwrap();
    let (in_body, in_head) = (find(b"to be damaged"), find(&headless.as_raw().to_be_bytes()));
    octets[in_body] ^= 1;
    octets[in_head] ^= 1;
    std::fs::write(&segment, &octets).unwrap();
    for _ in 0..100 {
        pass_through(&queue, &"x".repeat(2_000)).await;
    }
    queue.close();
    drop(queue);
    let in_quarantine = yard.path().join("quarantine").join(segment.file_name().unwrap());
    assert!(!segment.exists() && std::fs::read(&in_quarantine).unwrap().starts_with(&octets));
    let before = yard.rows();
    let (queue, _) = yard.rebuild();
    let held = queue.find(&Selector { held: Some(true), ..Selector::default() }, crate::Page::ALL, now()).unwrap();
    assert_eq!(held.iter().map(|view| view.id.message).collect::<Vec<_>>(), [damaged, headless]);
    assert_eq!(body_of(&queue, sound).unwrap(), "a sound body\r\n");
    assert!(body_of(&queue, damaged).is_none() && body_of(&queue, headless).is_none());
    queue.close();
    drop(queue);
    assert_eq!(yard.rows(), before);
}

#[tokio::test]
async fn copies_that_could_not_be_written_are_made_again() {
    let yard = Yard::with_short_segments();
    let (queue, _) = yard.open();
    let mut alive = Vec::new();
    for number in 0..300 {
        let body = format!("{number} ") + &"x".repeat(1_500);
        if number % 10 == 0 {
            alive.push((send(&queue, "bob@held.example", &body).await, body));
            continue;
        }
        if number % 50 == 7 {
            // Whatever batch comes next, with the copies in it, is refused.
            *yard.disk.tear_next_write.lock().unwrap() = Some(number);
            let pause = crate::Pause { scope: crate::PauseScope::Mda, until: None, reason: String::new() };
            assert!(queue.pause(pause).await.is_err());
        }
        while !queue.health().writable {
            queue.changed().await;
        }
        pass_through(&queue, &body).await;
    }
    for _ in 0..40 {
        pass_through(&queue, "x").await;
    }
    let held = Selector { held: Some(true), ..Selector::default() };
    assert!(queue.find(&held, crate::Page::ALL, now()).unwrap().is_empty());
    for (id, body) in &alive {
        assert_eq!(body_of(&queue, *id).unwrap(), *body);
    }
    let check = queue.check().unwrap();
    assert!(check.problems.is_empty(), "{check:?}");
    assert!(files(&yard.path().join("quarantine")).is_empty());
}

#[tokio::test]
async fn what_is_left_of_a_damaged_message_is_not_thrown_away() {
    let yard = Yard::with_short_segments();
    let (queue, _) = yard.open();
    let id = send(&queue, "bob@held.example", &"x".repeat(300_000)).await;
    let segment = yard.segments()[0].clone();
    let mut octets = std::fs::read(&segment).unwrap();
    let in_envelope = octets.windows(8).position(|window| window == b"bob@held").unwrap();
    octets[in_envelope] ^= 1;
    pass_through(&queue, "x").await;
    let crashed = yard.crashed();
    octets.extend_from_slice(&std::fs::read(&segment).unwrap()[octets.len()..]);
    std::fs::write(crashed.path().join(LOG).join(segment.file_name().unwrap()), &octets).unwrap();
    std::fs::create_dir_all(crashed.path().join("bodies")).unwrap();
    std::fs::write(crashed.path().join("bodies").join(id.to_string()), "the body").unwrap();
    let (queue, report) = crashed.open();
    assert_eq!((report.damage.len(), report.damage[0].message, report.orphan_bodies), (1, Some(id), 1));
    assert!(queued(&queue).is_empty());
    for _ in 0..40 {
        pass_through(&queue, &"x".repeat(2_000)).await;
    }
    queue.close();
    let mut expected = [segment.file_name().unwrap().to_owned(), id.to_string().into()].to_vec();
    expected.sort();
    let kept = files(&crashed.path().join("quarantine"));
    assert_eq!(kept.iter().map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>(), expected);
}
