//! What leaves of the content, and how fast.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use smtp_client::{Client, ClientTls, TlsMode, TlsStart};
use smtp_mail::{Body, Content};
use smtp_proto::client::{ClientConfig, ClientTimeouts};
use smtp_testkit::peer::{Answer, Peer, Script, Stage, Throttle};
use smtp_testkit::tls::Authority;

use crate::support::{CONTENT, attempt, attempt_of, connect, hop, settings, settings_with, summary};

fn body_of(octets: usize) -> Vec<u8> {
    b".lead\r\n.\r\nsome more octets of text\r\n".iter().copied().cycle().take(octets).chain(*b"\r\n").collect()
}

fn file_with(octets: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(octets).unwrap();
    Arc::new(file)
}

/// By DATA; and by BDAT, with and without PIPELINING.
const WAYS: [&[&str]; 3] = [&["PIPELINING", "8BITMIME"], &["PIPELINING", "CHUNKING", "8BITMIME"], &["CHUNKING"]];

#[tokio::test]
async fn a_body_in_a_file_arrives_octet_for_octet() {
    for (way, octets) in WAYS.into_iter().flat_map(|way| [0, 1, 5_000, 1_000_000].map(|octets| (way, octets))) {
        let peer = Peer::start(Script::new().extensions(way));
        let mut client = connect(&peer).await;
        let body = body_of(octets);
        let file = file_with(&[b"before".as_slice(), &body, b"behind"].concat());
        let header = Bytes::from_static(b"Subject: x\r\n\r\n");
        let mut attempt = attempt(&["<b@b.test>"]);
        let octets = body.len() as u64;
        attempt.content = Content::new(header.clone(), Body::File { file, offset: 6, octets });
        let outcomes = client.deliver(&attempt).await.unwrap();
        assert_eq!(summary(&outcomes), ["delivered 2.0.0"]);
        let received = peer.messages().pop().unwrap().content;
        assert!(received == [header.as_ref(), &body].concat(), "{octets}");
        assert_eq!(peer.count_commands("BDAT") > 0, way.contains(&"CHUNKING"));
    }
}

/// RFC 3030 §2: one round trip for the content of a small message, not one for each part of it.
#[tokio::test]
async fn a_small_message_is_one_chunk() {
    let peer = Peer::start(Script::new().extensions(WAYS[1]));
    let mut client = connect(&peer).await;
    let outcomes = client.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
    assert_eq!(summary(&outcomes), ["delivered 2.0.0"]);
    let line = format!("BDAT {} LAST", CONTENT.len());
    assert_eq!(peer.commands()[1..], ["MAIL FROM:<a@example.org>", "RCPT TO:<b@b.test>", &line]);
    assert_eq!(peer.messages()[0].content, CONTENT);
}

#[tokio::test]
async fn without_the_wish_for_chunks_there_are_none() {
    let peer = Peer::start(Script::new().extensions(WAYS[1]));
    let mut settings = (*settings()).clone();
    settings.session = Arc::new(ClientConfig { chunking: false, ..(*settings.session).clone() });
    let address = peer.address();
    let mut client = Client::connect(&hop(address, TlsMode::None), &[address], &Arc::new(settings)).await.unwrap();
    let outcomes = client.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
    assert_eq!(summary(&outcomes), ["delivered 2.0.0"]);
    assert_eq!((peer.count_commands("BDAT"), peer.count_commands("DATA")), (0, 1));
}

/// RFC 3030 §2: chunks of what has failed already are swallowed, so the connection stays of use.
#[tokio::test]
async fn a_refused_chunk_does_not_cost_the_connection() {
    for way in &WAYS[1..] {
        let answers = ["250 2.0.0 taken", "552 5.3.4 too much"];
        let peer = Peer::start(Script::new().extensions(way).on_each(Stage::Chunk, answers));
        let mut client = connect(&peer).await;
        let outcomes = client.deliver(&attempt_of(&body_of(1 << 20), &["<b@b.test>"])).await.unwrap();
        assert_eq!(summary(&outcomes), ["failed 5.3.4"]);
        assert!(client.is_usable());
        let outcomes = client.deliver(&attempt(&["<c@b.test>"])).await.unwrap();
        assert_eq!(summary(&outcomes), ["delivered 2.0.0"]);
        assert_eq!(peer.connections(), 1);
        assert_eq!(peer.messages().len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_never_cut_short() {
    let peer = Peer::start(Script::new());
    for there in [0, 100_000] {
        let mut client = connect(&peer).await;
        let mut attempt = attempt(&["<b@b.test>"]);
        let body = Body::File { file: file_with(&body_of(there)), offset: 0, octets: 200_000 };
        attempt.content = Content::new(Bytes::from_static(b"Subject: x\r\n\r\n"), body);
        let outcomes = client.deliver(&attempt).await.unwrap();
        assert_eq!(summary(&outcomes), ["deferred 4.3.0"]);
        assert!(!client.is_usable());
        drop(client);
        peer.wait_until_idle().await;
        assert!(peer.messages().is_empty());
    }
}

#[tokio::test]
async fn what_no_two_servers_read_alike_never_leaves() {
    let bad = ["\n.\r\n", "\r.\r\n", "a\nb\r\n", "\0\r\n", "x\r\r\n"];
    for (bad, way) in bad.into_iter().flat_map(|bad| WAYS.map(|way| (bad, way))) {
        let peer = Peer::start(Script::new().extensions(way));
        let content = format!("Subject: x\r\n\r\n{bad}MAIL FROM:<evil@b.test>\r\n");
        let mut attempt = attempt_of(content.as_bytes(), &["<b@b.test>"]);
        let outcomes = connect(&peer).await.deliver(&attempt).await.unwrap();
        assert_eq!(summary(&outcomes), ["failed 5.6.3"], "{bad:?}");
        // Even where it was overlooked when it came in.
        attempt.facts.binary = false;
        let outcomes = connect(&peer).await.deliver(&attempt).await.unwrap();
        assert_eq!(summary(&outcomes), ["failed 5.6.0"], "{bad:?}");
        peer.wait_until_idle().await;
        assert!(peer.messages().is_empty());
        assert_eq!(peer.count_commands("MAIL FROM:<evil"), 0);
    }
}

#[tokio::test]
async fn what_the_server_cannot_take_fails_unsent() {
    let eight_bit = "Subject: x\r\n\r\ncaf\u{e9}\r\n".as_bytes();
    let plain = b"Subject: x\r\n\r\ntext\r\n".as_slice();
    let cases = [
        (&["SIZE 10"][..], plain, &["<b@b.test>"][..], &["failed 5.3.4"][..]),
        (&["PIPELINING"], eight_bit, &["<b@b.test>"], &["failed 5.6.3"]),
        (&["8BITMIME"], plain, &["<\u{e9}@b.test>"], &["failed 5.6.7"]),
        (
            &["8BITMIME"],
            plain,
            &["<b@b.test>", "<\u{e9}@b.test>", "<\u{e8}@b.test>", "<c@b.test>"],
            &["delivered 2.0.0", "failed 5.6.7", "failed 5.6.7", "delivered 2.0.0"],
        ),
        (&["8BITMIME", "SMTPUTF8", "SIZE 100"], eight_bit, &["<\u{e9}@b.test>"], &["delivered 2.0.0"]),
    ];
    for (extensions, content, recipients, expected) in cases {
        let peer = Peer::start(Script::new().extensions(extensions));
        let mut client = connect(&peer).await;
        let outcomes = client.deliver(&attempt_of(content, recipients)).await.unwrap();
        assert_eq!(summary(&outcomes), expected);
        assert!(client.is_usable());
        let delivered = expected.iter().filter(|outcome| outcome.starts_with("delivered")).count();
        assert_eq!(peer.count_commands("RCPT"), delivered);
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_is_heard_at_once() {
    let refusal = Answer::ReplyAndClose("552 5.3.4 too much".into());
    let peer = Peer::start(Script::new().on(Stage::Content, Answer::After(50_000, Box::new(refusal))));
    let mut client = connect(&peer).await;
    let outcomes = client.deliver(&attempt_of(&body_of(8 << 20), &["<b@b.test>"])).await.unwrap();
    assert_eq!(summary(&outcomes), ["failed 5.3.4"]);
    assert!(!client.is_usable());
}

/// Time stands still but for what the test lets pass: work that blocks keeps the paused clock from moving on its own.
struct StoppedClock {
    _until_dropped: mpsc::Sender<()>,
}

impl StoppedClock {
    fn new() -> Self {
        tokio::time::pause();
        let (sender, receiver) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || receiver.recv());
        Self { _until_dropped: sender }
    }

    async fn advance(&self, time: Duration) {
        tokio::time::advance(time).await;
    }
}

async fn client_of(peer: &Peer, authority: &Authority, tls: TlsMode) -> Client {
    let settings = settings_with(ClientTls::new(authority.roots()), ClientTimeouts::default());
    Client::connect(&hop(peer.address(), tls), &[peer.address()], &settings).await.unwrap()
}

/// Case C14: the whole takes far longer than any one limit, and no step takes longer than it may.
#[tokio::test]
async fn a_slow_reader_gets_it_all() {
    let authority = Authority::new();
    let modes = [TlsMode::None, TlsMode::Verify(TlsStart::StartTls)];
    for (tls, way) in modes.into_iter().flat_map(|tls| WAYS.map(|way| (tls, way))) {
        let clock = StoppedClock::new();
        let throttle = Throttle::new(64 * 1024);
        let script = Script::new().extensions(way).starttls(authority.issue(&["mx.test"]).server_config());
        let peer = Peer::start(script.window_octets(32 * 1024).throttle(&throttle));
        let mut client = client_of(&peer, &authority, tls).await;
        let content = body_of(4 << 20);
        let attempt = attempt_of(&content, &["<b@b.test>"]);
        let delivery = tokio::spawn(async move { client.deliver(&attempt).await.unwrap() });
        let began = tokio::time::Instant::now();
        let mut reads = 0;
        loop {
            throttle.allow(1);
            reads += 1;
            tokio::select! {
                () = throttle.reached(reads) => clock.advance(Duration::from_secs(20)).await,
                _ = peer.wait_for_messages(1) => break,
            }
        }
        assert!(began.elapsed() > Duration::from_mins(15), "{:?}", began.elapsed());
        let outcomes = delivery.await.unwrap();
        assert_eq!(summary(&outcomes), ["delivered 2.0.0"], "{outcomes:?}");
        assert!(peer.messages()[0].content == content);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_reader_that_stops_is_given_up() {
    let clock = StoppedClock::new();
    let throttle = Throttle::new(16 * 1024);
    let peer = Peer::start(Script::new().window_octets(4096).throttle(&throttle));
    let mut client = connect(&peer).await;
    let attempt = attempt_of(&body_of(8 << 20), &["<b@b.test>"]);
    let delivery = tokio::spawn(async move { client.deliver(&attempt).await.unwrap() });
    throttle.allow(1);
    throttle.reached(1).await;
    while !delivery.is_finished() {
        clock.advance(Duration::from_secs(1)).await;
    }
    let outcomes = delivery.await.unwrap();
    assert_eq!(summary(&outcomes), ["deferred 4.4.2"]);
    assert!(outcomes[0].result.report().text().contains("data_block"), "{outcomes:?}");
}
