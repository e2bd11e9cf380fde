//! In the clear.

use std::time::Duration;

use crate::support::{Event, Lines, ends, narrow_ends};
use smtp_io::{CloseLimits, Connection, ConnectionError, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::yield_now;

fn line(text: &str) -> Event {
    Event::Line(text.to_owned())
}

#[tokio::test]
async fn cancelling_loses_and_repeats_nothing() {
    let (near, mut far) = ends().await;
    let mut connection = Connection::new(near, Lines::default());
    let writer = tokio::spawn(async move {
        for number in 0..200 {
            for octet in format!("line {number}\r\n").bytes() {
                far.write_all(&[octet]).await.unwrap();
                yield_now().await;
            }
        }
        far
    });
    let mut cancelled = 0;
    let mut lines = Vec::new();
    while lines.len() < 200 {
        tokio::select! {
            biased;
            event = connection.next_event() => lines.push(event.unwrap()),
            () = yield_now() => cancelled += 1,
        }
    }
    let expected: Vec<Event> = (0..200).map(|number| line(&format!("line {number}"))).collect();
    assert_eq!(lines, expected);
    assert!(cancelled > 0);
    writer.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_ends_its_side_still_gets_its_replies() {
    let (near, mut far) = ends().await;
    let mut connection = Connection::new(near, Lines::default());
    far.write_all(b"one\r\ntwo\r\nincompl").await.unwrap();
    far.shutdown().await.unwrap();
    for expected in ["one", "two"] {
        assert_eq!(connection.next_event().await.unwrap(), line(expected));
        connection.session().say(format!("heard {expected}\r\n"));
    }
    assert_eq!(connection.next_event().await.unwrap(), Event::Eof);
    let mut heard = String::new();
    let ((), read) = tokio::join!(connection.close(CloseLimits::default()), far.read_to_string(&mut heard));
    read.unwrap();
    assert_eq!(heard, "heard one\r\nheard two\r\n");
}

#[tokio::test]
async fn reads_on_while_the_peer_writes_before_it_reads() {
    let (near, mut far) = narrow_ends().await;
    let mut connection = Connection::new(near, Lines::default());
    let said = "s".repeat(1 << 20);
    connection.session().say(said.clone());
    let peer = tokio::spawn(async move {
        far.write_all("x\r\n".repeat(30_000).as_bytes()).await.unwrap();
        let mut heard = vec![0; 1 << 20];
        far.read_exact(&mut heard).await.unwrap();
        heard
    });
    for _ in 0..30_000 {
        assert_eq!(connection.next_event().await.unwrap(), line("x"));
    }
    connection.flush().await.unwrap();
    assert_eq!(peer.await.unwrap(), said.as_bytes());
}

#[tokio::test]
async fn a_peer_that_never_reads_is_not_read_for_ever() {
    const REPLY: &str = "250 a reply that is much longer than the line that it answers\r\n";
    let (near, far) = narrow_ends().await;
    let mut connection = Connection::new(near, Lines::default());
    let (mut reader, mut writer) = far.into_split();
    let written = tokio::spawn(async move {
        writer.write_all("x\r\n".repeat(1_000_000).as_bytes()).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut answered = 0;
    // Neither side can move any more once this is still pending after many turns of the runtime.
    let mut still = 0;
    while still < 1000 {
        tokio::select! {
            biased;
            event = connection.next_event() => {
                assert_eq!(event.unwrap(), line("x"));
                connection.session().say(REPLY);
                answered += 1;
                still = 0;
            }
            () = yield_now() => still += 1,
        }
    }
    assert!(!written.is_finished());
    assert!(answered < 100_000, "{answered} answers for a peer that has read none");
    // Now it reads, and all goes on.
    let heard = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.unwrap() });
    while let Event::Line(_) = connection.next_event().await.unwrap() {
        connection.session().say(REPLY);
        answered += 1;
    }
    assert_eq!(answered, 1_000_000);
    connection.close(CloseLimits::default()).await;
    assert_eq!(heard.await.unwrap(), 1_000_000 * REPLY.len() as u64);
}

#[tokio::test]
async fn tells_the_session_when_its_output_has_left() {
    let (near, mut far) = ends().await;
    let mut connection = Connection::new(near, Lines { tells_drained: true, ..Lines::default() });
    for number in 0..100u8 {
        connection.session().say(vec![number; 1000]);
    }
    assert_eq!(connection.next_event().await.unwrap(), Event::Drained);
    let mut heard = vec![0; 100_000];
    far.read_exact(&mut heard).await.unwrap();
    let expected: Vec<u8> = (0..100u8).flat_map(|number| [number; 1000]).collect();
    assert_eq!(heard, expected);
}

#[tokio::test(start_paused = true)]
async fn deadlines_come_when_due_and_may_move() {
    let (near, _far) = ends().await;
    let mut connection = Connection::new(near, Lines::default());
    let start = now();
    let minutes = |count| start + Duration::from_mins(count);
    // Armed for the first, moved back, then moved forward: each is met, none too early.
    for (armed, moved) in [(5, 5), (10, 20), (40, 30)] {
        connection.session().deadline = Some(minutes(armed));
        let cancelled = tokio::time::timeout(Duration::from_secs(1), connection.next_event()).await;
        assert!(cancelled.is_err());
        connection.session().deadline = Some(minutes(moved));
        assert_eq!(connection.next_event().await.unwrap(), Event::TimedOut);
        assert!(now() >= minutes(moved));
        assert!(now() < minutes(moved) + Duration::from_secs(1));
    }
}

/// The time may have passed with the caller, or with a machine that stood still.
#[tokio::test(start_paused = true)]
async fn what_came_in_time_is_heard_though_it_is_looked_for_too_late() {
    let (near, mut far) = ends().await;
    far.write_all(b"in time\r\n").await.unwrap();
    near.readable().await.unwrap();
    let mut connection = Connection::new(near, Lines::default());
    connection.session().deadline = Some(now() + Duration::from_mins(5));
    tokio::time::advance(Duration::from_mins(10)).await;
    assert_eq!(connection.next_event().await.unwrap(), line("in time"));
    assert_eq!(connection.next_event().await.unwrap(), Event::TimedOut);
}

/// Octets that make no line do not put the deadline off, however many there are.
#[tokio::test(start_paused = true)]
async fn a_flood_does_not_put_the_deadline_off() {
    let (near, mut far) = ends().await;
    let flood = tokio::spawn(async move { while far.write_all(&[b'x'; 16 * 1024]).await.is_ok() {} });
    let mut connection = Connection::new(near, Lines { takes_all: true, ..Lines::default() });
    connection.session().deadline = Some(now() + Duration::from_mins(5));
    tokio::time::advance(Duration::from_mins(5)).await;
    assert_eq!(connection.next_event().await.unwrap(), Event::TimedOut);
    drop(connection);
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flush_to_a_peer_that_does_not_read_ends_at_the_deadline() {
    let (near, _far) = narrow_ends().await;
    let mut connection = Connection::new(near, Lines::default());
    connection.session().say(vec![0; 1 << 20]);
    connection.session().deadline = Some(now() + Duration::from_mins(5));
    assert!(matches!(connection.flush().await, Err(ConnectionError::TimedOut(_))));
}

#[tokio::test]
async fn the_last_reply_arrives_though_the_peer_is_still_sending() {
    let (near, mut far) = ends().await;
    let mut connection = Connection::new(near, Lines::default());
    far.write_all(&vec![b'x'; 200_000]).await.unwrap();
    connection.session().say("554 go away\r\n");
    let closing = tokio::spawn(connection.close(CloseLimits::default()));
    let mut heard = String::new();
    far.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "554 go away\r\n");
    drop(far);
    closing.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_has_quit_is_not_waited_for() {
    let (near, mut far) = ends().await;
    let mut connection = Connection::new(near, Lines::default());
    far.write_all(b"quit\r\n").await.unwrap();
    assert_eq!(connection.next_event().await.unwrap(), line("quit"));
    connection.session().say("221 bye\r\n");
    // The peer ends its side only afterwards.
    connection.close_after_quit(CloseLimits { linger: Duration::MAX, ..CloseLimits::default() }).await;
    let mut heard = String::new();
    far.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "221 bye\r\n");
}

#[tokio::test]
async fn a_peer_that_quits_and_goes_on_hears_the_last_reply() {
    let (near, mut far) = ends().await;
    let mut connection = Connection::new(near, Lines::default());
    let said = [b"quit\r\n".to_vec(), vec![b'x'; 200_000]].concat();
    let (mut reader, mut writer) = far.split();
    let (written, event) = tokio::join!(writer.write_all(&said), connection.next_event());
    written.unwrap();
    assert_eq!(event.unwrap(), line("quit"));
    connection.session().say("221 bye\r\n");
    let closing = tokio::spawn(connection.close_after_quit(CloseLimits::default()));
    let mut heard = String::new();
    reader.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "221 bye\r\n");
    drop(far);
    closing.await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_heard_though_writing_has_failed() {
    let (near, mut far) = ends().await;
    let mut connection = Connection::new(near, Lines::default());
    connection.session().say(vec![b'x'; 32 << 20]);
    let peer = tokio::spawn(async move {
        far.read_exact(&mut [0; 1000]).await.unwrap();
        far.write_all(b"552 too much\r\n").await.unwrap();
        // Closed with octets unread: a reset.
    });
    assert_eq!(connection.next_event().await.unwrap(), line("552 too much"));
    peer.await.unwrap();
    let lost = connection.next_event().await;
    assert!(matches!(lost, Err(ConnectionError::Write(_) | ConnectionError::Read(_))), "{lost:?}");
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection<()>>() <= 192, "{}", size_of::<Connection<()>>());
}
