//! Both engines of SMTP, each on its driver, over one connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smtp_io::{CloseLimits, Connection, now};
use smtp_proto::client::{self, ClientConfig, ClientSession};
use smtp_proto::server::{self, ServerConfig, ServerSession};
use smtp_proto::{ContentFacts, EnhancedStatus, Envelope, Extensions, Mail, Rcpt, Reply, ReplyCode};
use smtp_testkit::tls::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::{ends, narrow_ends};

const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "ok");
const GREETING: Reply = Reply::without_status(ReplyCode::SERVICE_READY, "mx.test ESMTP");
const WITHIN: Duration = Duration::from_secs(30);

/// Takes everything; returns the messages.
async fn serve(tcp: TcpStream, acceptor: TlsAcceptor) -> Vec<Vec<u8>> {
    let config = Arc::new(ServerConfig::new("mx.test".parse().unwrap()));
    let mut connection = Connection::new(tcp, ServerSession::new(config, None, now()));
    let offered = Extensions { pipelining: true, starttls: true, ..Extensions::default() };
    let mut messages = Vec::new();
    let mut content = Vec::new();
    loop {
        match connection.next_event().await.unwrap() {
            server::Event::Connected => connection.session().reply(GREETING, now()).unwrap(),
            server::Event::Hello(_) => connection.session().hello(offered.clone(), now()).unwrap(),
            server::Event::StartTls => {
                let facts = connection.accept_tls(&acceptor, WITHIN).await.unwrap();
                connection.session().tls_established(facts, now());
            }
            server::Event::MailDataStart(_) => connection.session().begin_mail_data(now()).unwrap(),
            server::Event::MailData(octets) => content.extend_from_slice(&octets),
            server::Event::MailDataEnd(facts) => {
                assert_eq!(facts.octets, content.len() as u64);
                messages.push(std::mem::take(&mut content));
                connection.session().reply(OK, now()).unwrap();
            }
            server::Event::Closed(reason) => {
                assert_eq!(reason, server::CloseReason::Quit);
                connection.close(CloseLimits::default()).await;
                return messages;
            }
            _ => connection.session().reply(OK, now()).unwrap(),
        }
    }
}

/// Sends each message to many recipients.
async fn send(tcp: TcpStream, connector: Option<TlsConnector>, messages: &[Bytes]) {
    let config = Arc::new(ClientConfig::new("client.test".parse().unwrap()));
    let mut connection = Connection::new(tcp, ClientSession::new(config, None, now()));
    let rcpt = |number| Rcpt::new(format!("<r{number}@b.test>").parse().unwrap());
    let mail = Mail::new("<a@a.test>".parse().unwrap());
    let envelope = Envelope { mail, recipients: (0..200).map(rcpt).collect() };
    let mut waiting = messages.iter();
    let mut content = Bytes::new();
    loop {
        match connection.next_event().await.unwrap() {
            client::Event::Ready(_) if connector.is_some() && connection.session().tls().is_none() => {
                connection.session().start_tls(now()).unwrap();
            }
            client::Event::StartTls => {
                let name = "mx.test".try_into().unwrap();
                let facts = connection.connect_tls(connector.as_ref().unwrap(), name, WITHIN).await.unwrap();
                connection.session().tls_established(facts, now());
            }
            client::Event::Ready(_) | client::Event::Finished => match waiting.next() {
                Some(message) => {
                    content = message.clone();
                    connection.session().begin(&envelope, &ContentFacts::of(message), now()).unwrap();
                }
                None => connection.session().quit(now()),
            },
            client::Event::MailDataWanted => {
                let chunk = content.split_to(content.len().min(40_000));
                connection.session().send_mail_data(chunk, now()).unwrap();
                if content.is_empty() {
                    connection.session().finish_mail_data(now()).unwrap();
                }
            }
            client::Event::Recipient { reply, .. } | client::Event::Delivered { reply, .. } => {
                assert_eq!(reply.code(), ReplyCode::OK);
            }
            client::Event::Closed(reason) => {
                assert_eq!(reason, client::CloseReason::Quit);
                return connection.close(CloseLimits::default()).await;
            }
            client::Event::Refused { stage, reply } => panic!("{stage}: {reply:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn messages_arrive_octet_for_octet() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(authority.issue(&["mx.test"]).server_config());
    let connector = TlsConnector::from(authority.client_config());
    let dots = b".\r\n..\r\n.x\r\n\r\nsome text in a line\r\n";
    let messages: Vec<Bytes> = [1, 3, 3_000, 60_000].map(|count| Bytes::from(dots.repeat(count))).to_vec();
    for (narrow, connector) in [(false, None), (true, None), (false, Some(&connector)), (true, Some(&connector))] {
        let (near, far) = if narrow { narrow_ends().await } else { ends().await };
        let server = tokio::spawn(serve(near, acceptor.clone()));
        send(far, connector.cloned(), &messages).await;
        let taken = server.await.unwrap();
        assert!(taken == messages, "narrow: {narrow}, under TLS: {}", connector.is_some());
    }
}

/// RFC 2920 §3.1: what reached this machine before the reply was given to it to write has not waited for the reply, though
/// nobody has read it yet; what comes behind the reply has.
#[tokio::test]
async fn what_comes_before_the_reply_is_written_is_out_of_turn() {
    for (early, expected) in [(true, "503 5.5.1 "), (false, "250-mx.test\r\n")] {
        let (near, mut far) = ends().await;
        let config = Arc::new(ServerConfig::new("mx.test".parse().unwrap()));
        let mut connection = Connection::new(near, ServerSession::new(config, None, now()));
        assert_eq!(connection.next_event().await.unwrap(), server::Event::Connected);
        assert!(!connection.hears_within(Duration::ZERO).await.unwrap());
        connection.session().watch_turns(server::OutOfTurn::Refuse);
        connection.session().reply(GREETING, now()).unwrap();
        far.write_all(b"EHLO client.test\r\n").await.unwrap();
        assert!(matches!(connection.next_event().await.unwrap(), server::Event::Hello(_)));
        if early {
            far.write_all(b"MAIL").await.unwrap();
        }
        let offered = Extensions { pipelining: true, ..Extensions::default() };
        connection.session().hello(offered, now()).unwrap();
        let event = tokio::spawn(async move {
            let event = connection.next_event().await.unwrap();
            connection.close(CloseLimits { linger: Duration::ZERO, ..CloseLimits::default() }).await;
            event
        });
        let mut heard = Vec::new();
        while !heard.ends_with(b"ESMTP\r\n") {
            far.read_buf(&mut heard).await.unwrap();
        }
        let greeting = heard.len();
        if !early {
            while !heard.ends_with(b"PIPELINING\r\n") {
                far.read_buf(&mut heard).await.unwrap();
            }
            far.write_all(b"MAIL FROM:<a@a.test>\r\n").await.unwrap();
        }
        let event = event.await.unwrap();
        assert_eq!(matches!(event, server::Event::OutOfTurn { behind: "EHLO", refused: true }), early, "{event:?}");
        far.read_to_end(&mut heard).await.unwrap();
        let reply = String::from_utf8_lossy(&heard[greeting..]);
        assert!(reply.starts_with(expected), "{reply}");
    }
}

/// A peer that speaks before it is greeted is heard, at once or within the time that it is given.
#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_first_is_heard() {
    let (near, mut far) = ends().await;
    let config = Arc::new(ServerConfig::new("mx.test".parse().unwrap()));
    let mut connection = Connection::new(near, ServerSession::new(config, None, now()));
    assert_eq!(connection.next_event().await.unwrap(), server::Event::Connected);
    assert!(!connection.hears_within(Duration::from_secs(5)).await.unwrap());
    far.write_all(b"E").await.unwrap();
    assert!(connection.hears_within(Duration::ZERO).await.unwrap());
    assert!(connection.hears_within(Duration::ZERO).await.unwrap(), "what was heard is not forgotten");
}
