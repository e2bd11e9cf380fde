//! Formats: what was written by this version is read for ever, what a later one writes is refused.

use std::fmt::Write;

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

/// A queue as version 1 of the format wrote it: `UPDATE_SAMPLE_QUEUE=1` makes it anew, which only a new format may need.
#[tokio::test]
async fn a_queue_of_format_1_is_read() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/queue-1");
    if std::env::var_os("UPDATE_SAMPLE_QUEUE").is_some() {
        write_sample(&sample).await;
    }
    let yard = Yard::new();
    std::fs::create_dir_all(yard.path().join(LOG)).unwrap();
    std::fs::create_dir_all(yard.path().join("bodies")).unwrap();
    for part in [LOG, "bodies"] {
        for file in files(&sample.join(part)) {
            std::fs::copy(&file, yard.path().join(part).join(file.file_name().unwrap())).unwrap();
        }
    }
    let (queue, report) = yard.open();
    assert!(report.damage.is_empty() && report.torn_octets == 0 && report.orphan_bodies == 0, "{report:?}");
    assert!(queue.check().unwrap().problems.is_empty());
    assert_eq!(describe(&queue), std::fs::read_to_string(sample.join("expected.txt")).unwrap());
}

/// Something of everything that is stored.
async fn write_sample(sample: &Path) {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let long = "a line of a long body\r\n".repeat(12_000);
    for body in ["short\r\n", &long] {
        let mut new = message("alice@example.org", &["bob@example.net", "\"odd user\"@example.com", "ann@local"], body);
        new.mail = smtp_proto::Mail::parse(b"MAIL FROM:<alice@example.org> BODY=8BITMIME SMTPUTF8").unwrap();
        new.deliveries[0].recipients[0].original = Some("<team@example.org>".parse().unwrap());
        new.deliveries[1].reverse_path = Some(support::reverse_path("srs@example.org"));
        let mut draft = queue.draft(None).unwrap();
        draft.write(body.to_owned().into()).await.unwrap();
        draft.commit(new).await.unwrap();
    }
    let lane = crate::Lane::new("example.net");
    let lease = queue.lease(&lane, now(), 1).remove(0);
    let mut deferred = settlement(lease, RecipientChange::Deferred { due: now() + seconds(60) });
    let reply = smtp_proto::RemoteReply::parse(b"450 4.7.1 Greylisted\r\n").unwrap();
    deferred.outcomes[0].report = smtp_mail::Report::of_reply(reply)
        .with_host("mx.example.net", Some("192.0.2.1:25".parse().unwrap()))
        .with_tls(Some("TLSv1.3".to_owned()))
        .at_stage(smtp_mail::Stage::Rcpt);
    queue.settle(vec![deferred]).await.unwrap();
    let lease = queue.lease(&lane, now(), 1).remove(0);
    let mut failed = settlement(lease, RecipientChange::Failed);
    let report = message("", &["alice@example.org"], "report\r\n");
    failed.reports.push(crate::NewReport { message: report, body: "report\r\n".into(), id: None });
    queue.settle(vec![failed]).await.unwrap();
    let held = Selector { domain: Some("example.com".parse().unwrap()), limit: Some(1), ..Selector::default() };
    let act = Act::Hold { reason: "looking into it".to_owned(), until: Some(now() + seconds(600)) };
    queue.control(&held, act, now()).await.unwrap();
    let scope = crate::PauseScope::Domain("example.net".parse().unwrap());
    queue.pause(crate::Pause { scope, until: None, reason: "storm".to_owned() }).await.unwrap();
    let _ = std::fs::remove_dir_all(sample);
    for part in [LOG, "bodies"] {
        std::fs::create_dir_all(sample.join(part)).unwrap();
        for file in files(&yard.path().join(part)) {
            std::fs::copy(&file, sample.join(part).join(file.file_name().unwrap())).unwrap();
        }
    }
    std::fs::write(sample.join("expected.txt"), describe(&queue)).unwrap();
}

/// One line a fact: nothing of it may depend on how types are shown.
fn describe(queue: &Queue) -> String {
    let mut text = String::new();
    let time = |time| crate::codec::to_milliseconds(time);
    for view in queue.find(&Selector::default(), crate::Page::ALL, now()).unwrap() {
        let message = queue.message(view.id.message, now()).unwrap().unwrap();
        let body = body_of(queue, view.id.message).unwrap();
        let mut mail = bytes::BytesMut::new();
        message.mail.encode(&mut mail);
        let facts = message.facts;
        writeln!(text, "{}/{} to {} by {}", view.id.message, view.id.number, view.destination, view.lane).unwrap();
        writeln!(text, "  {} as {}", String::from_utf8_lossy(&mail), view.reverse_path).unwrap();
        writeln!(text, "  facts {} {}", facts.octets, facts.longest_line_octets).unwrap();
        writeln!(text, "  from {}, {} octets, body sum {}", view.origin, view.octets, crc32fast::hash(body.as_bytes()))
            .unwrap();
        writeln!(text, "  received {} expires {}", time(view.received_at), time(view.expires_at)).unwrap();
        writeln!(text, "  notice {:?} due {}", view.delay_notice_at.map(time), time(view.due)).unwrap();
        writeln!(text, "  attempts {} last {:?}", view.attempts, view.last_attempt_at.map(time)).unwrap();
        if let crate::DeliveryState::Held(hold) = &view.state {
            writeln!(text, "  held: {} until {:?}", hold.reason, hold.until.map(time)).unwrap();
        }
        for recipient in &view.recipients {
            let original = recipient.original.as_ref().map(ToString::to_string);
            writeln!(text, "  {} {} was {original:?}", recipient.number, recipient.rcpt.forward_path).unwrap();
            if let Some(report) = &recipient.report {
                let stage = report.stage.map(smtp_mail::Stage::as_str);
                writeln!(text, "    {} {report} {:?} {stage:?}", report.status, report.tls).unwrap();
            }
        }
    }
    for pause in queue.pauses(now()) {
        writeln!(text, "pause of example.net: {} {:?}", pause.reason, pause.until.map(time)).unwrap();
    }
    text
}
