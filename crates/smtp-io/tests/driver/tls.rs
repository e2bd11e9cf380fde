//! Under TLS: at once, after a word in the clear, and to the end.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Event, Lines, ends};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use smtp_io::{CloseLimits, Connection, ConnectionError, HandshakeError, Stream};
use smtp_proto::TlsFacts;
use smtp_testkit::tls::{Authority, Identity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const WITHIN: Duration = Duration::from_secs(30);

fn line(text: &str) -> Event {
    Event::Line(text.to_owned())
}

fn name() -> ServerName<'static> {
    "mx.test".try_into().unwrap()
}

fn sides(versions: &[&'static SupportedProtocolVersion]) -> (TlsAcceptor, TlsConnector) {
    let authority = Authority::new();
    let server = authority.issue(&["mx.test"]).server_config_with(versions);
    (server.into(), authority.client_config_with(versions).into())
}

/// A connection whose server side is ours and whose client side is bare rustls.
async fn established() -> (Connection<Lines>, TlsStream<TcpStream>) {
    let (acceptor, connector) = sides(&[&TLS13]);
    let (near, far) = ends().await;
    let mut stream = Stream::from(near);
    let (near, far) = tokio::join!(stream.accept_tls(&acceptor, WITHIN), connector.connect(name(), far));
    near.unwrap();
    (Connection::new(stream, Lines::default()), far.unwrap())
}

/// Two streams with a handshake behind them, both ours, that tell the same facts.
async fn shaken(acceptor: &TlsAcceptor, connector: &TlsConnector) -> (Stream, Stream, TlsFacts) {
    let (near, far) = ends().await;
    let (mut near, mut far) = (Stream::from(near), Stream::from(far));
    let (accepted, connected) =
        tokio::join!(near.accept_tls(acceptor, WITHIN), far.connect_tls(connector, name(), WITHIN));
    let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
    assert_eq!(accepted, connected);
    (near, far, accepted)
}

#[tokio::test]
async fn both_versions_come_about_and_tell_their_facts() {
    for (version, known, suite_start) in [(&TLS12, "TLSv1.2", "TLS_ECDHE_"), (&TLS13, "TLSv1.3", "TLS_AES_")] {
        let (acceptor, connector) = sides(&[version]);
        let (near, far, accepted) = shaken(&acceptor, &connector).await;
        assert_eq!(accepted.version, known);
        assert!(accepted.cipher_suite.starts_with(suite_start), "{}", accepted.cipher_suite);
        assert_eq!(accepted.server_name.as_deref(), Some("mx.test"));
        assert!(near.is_tls() && far.is_tls());
        // The same on both sides, as they are equal; and only where it is of this connection alone.
        assert_eq!(accepted.channel_bindings.exporter.is_some(), version.version == TLS13.version);
        assert_eq!(accepted.channel_bindings.server_end_point.as_ref().map(|digest| digest.len()), Some(32));
        assert!(!accepted.resumed && !accepted.verified && accepted.peer_certificate.is_none());
        if version.version == TLS13.version {
            assert_eq!(accepted.key_exchange.as_deref(), Some("X25519MLKEM768"));
        }
    }
}

/// The certificate was shown in another handshake, and may have been another.
#[tokio::test]
async fn a_session_that_is_resumed_has_no_end_point() {
    for version in [&TLS12, &TLS13] {
        let (acceptor, connector) = sides(&[version]);
        let mut resumed = Vec::new();
        for _ in 0..2 {
            let (mut near, mut far, accepted) = shaken(&acceptor, &connector).await;
            assert_eq!(accepted.channel_bindings.server_end_point.is_none(), accepted.resumed);
            resumed.push(accepted.resumed);
            // With what the server says the client has read the ticket of TLS 1.3 too.
            near.write_all(b"hello").await.unwrap();
            far.read_exact(&mut [0; 5]).await.unwrap();
        }
        assert_eq!(resumed, [false, true], "{version:?}");
    }
}

#[tokio::test]
async fn a_word_in_the_clear_then_tls_then_much_both_ways() {
    let (acceptor, connector) = sides(rustls::DEFAULT_VERSIONS);
    let (near, far) = ends().await;
    let server = tokio::spawn(async move {
        let mut server = Connection::new(near, Lines::default());
        assert_eq!(server.next_event().await.unwrap(), line("STARTTLS"));
        server.session().say("220 go on\r\n");
        server.accept_tls(&acceptor, WITHIN).await.unwrap();
        let mut heard = 0;
        while let Event::Line(text) = server.next_event().await.unwrap() {
            heard += text.len();
            server.session().say(text + "\r\n");
        }
        server.close(CloseLimits::default()).await;
        heard
    });
    let mut client = Connection::new(far, Lines::default());
    client.session().say("STARTTLS\r\n");
    assert_eq!(client.next_event().await.unwrap(), line("220 go on"));
    client.connect_tls(&connector, name(), WITHIN).await.unwrap();
    let text = "x".repeat(998);
    for _ in 0..50 {
        for _ in 0..100 {
            client.session().say(format!("{text}\r\n"));
        }
        for _ in 0..100 {
            assert_eq!(client.next_event().await.unwrap(), line(&text));
        }
    }
    client.close(CloseLimits::default()).await;
    assert_eq!(server.await.unwrap(), 50 * 100 * 998);
}

#[tokio::test]
async fn nothing_said_in_the_clear_survives_the_handshake() {
    let (acceptor, connector) = sides(rustls::DEFAULT_VERSIONS);
    let (near, mut far) = ends().await;
    let mut server = Connection::new(near, Lines::default());
    far.write_all(b"STARTTLS\r\nINJECTED\r\n").await.unwrap();
    assert_eq!(server.next_event().await.unwrap(), line("STARTTLS"));
    let (accepted, connected) = tokio::join!(server.accept_tls(&acceptor, WITHIN), connector.connect(name(), far));
    accepted.unwrap();
    let mut far = connected.unwrap();
    far.write_all(b"inside\r\n").await.unwrap();
    assert_eq!(server.next_event().await.unwrap(), line("inside"));
}

#[tokio::test]
async fn close_notify_in_the_middle_of_a_line_is_the_end() {
    let (mut server, mut far) = established().await;
    far.write_all(b"whole\r\npart").await.unwrap();
    far.get_mut().1.send_close_notify();
    far.flush().await.unwrap();
    // What follows is outside of TLS, whatever it says.
    far.get_mut().0.write_all(b"ial\r\nMAIL FROM:<>\r\n").await.unwrap();
    assert_eq!(server.next_event().await.unwrap(), line("whole"));
    assert_eq!(server.next_event().await.unwrap(), Event::Eof);
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_end_too() {
    let (mut server, mut far) = established().await;
    far.write_all(b"whole\r\npart").await.unwrap();
    far.get_mut().0.shutdown().await.unwrap();
    assert_eq!(server.next_event().await.unwrap(), line("whole"));
    assert_eq!(server.next_event().await.unwrap(), Event::Eof);
}

#[tokio::test]
async fn closing_says_close_notify_after_the_last_word() {
    let (mut server, mut far) = established().await;
    server.session().say("221 bye\r\n");
    let closing = tokio::spawn(server.close(CloseLimits::default()));
    let mut heard = String::new();
    // rustls fails here if the stream ends without a close_notify.
    far.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "221 bye\r\n");
    drop(far);
    closing.await.unwrap();
}

#[tokio::test]
async fn a_client_rejects_a_certificate_that_is_not_good() {
    let authority = Authority::new();
    let trusting: Arc<ClientConfig> = authority.client_config();
    for identity in
        [authority.issue(&["other.test"]), authority.issue_expired(&["mx.test"]), Identity::self_signed(&["mx.test"])]
    {
        let (near, far) = ends().await;
        let (mut near, mut far) = (Stream::from(near), Stream::from(far));
        let acceptor = TlsAcceptor::from(identity.server_config());
        let connector = TlsConnector::from(Arc::clone(&trusting));
        let (accepted, connected) =
            tokio::join!(near.accept_tls(&acceptor, WITHIN), far.connect_tls(&connector, name(), WITHIN));
        assert!(matches!(connected, Err(HandshakeError::Failed(_))));
        // Under TLS 1.3 the server may be done before the client's alert comes; it is then seen at the first read.
        let heard = Connection::new(near, Lines::default()).next_event().await;
        assert!(accepted.is_err() || matches!(heard, Err(ConnectionError::Read(_))), "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_does_not_hold_up_the_handshake_for_ever() {
    let (acceptor, _) = sides(rustls::DEFAULT_VERSIONS);
    let (near, _far) = ends().await;
    let mut stream = Stream::from(near);
    assert!(matches!(stream.accept_tls(&acceptor, WITHIN).await, Err(HandshakeError::TimedOut { .. })));
    assert!(matches!(stream.accept_tls(&acceptor, WITHIN).await, Err(HandshakeError::NotPlain)));
}
