//! The terms of TLS with clients, and what is told of each handshake.

use std::sync::Arc;

use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion, version};
use smtp_server::metrics::Service;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::hello;
use crate::handshake::handshake;
use crate::house::{Dialogue, House, until};
use crate::lines::Lines;

/// A server with these keys in `[tls]`.
async fn house(keys: &str) -> House {
    let mut house = House::start("").await;
    let text = std::fs::read_to_string(house.path("c.toml")).unwrap();
    house.write("c.toml", &text.replacen("[tls]\n", &format!("[tls]\n{keys}\n"), 1));
    house.reload().await;
    house
}

/// A handshake by STARTTLS and one from the first octet; that of the latter, with its greeting read.
async fn both(house: &House, config: &Arc<ClientConfig>) -> Option<Dialogue<TlsStream<TcpStream>>> {
    let mut dialogue = hello(house).await;
    assert!(dialogue.ask("STARTTLS").await.starts_with("220 "));
    let upgraded = handshake(Arc::clone(config), dialogue.stream).await;
    let implicit = implicit(house, config).await;
    assert_eq!(upgraded.is_ok(), implicit.is_some());
    implicit
}

async fn implicit(house: &House, config: &Arc<ClientConfig>) -> Option<Dialogue<TlsStream<TcpStream>>> {
    let tcp = TcpStream::connect(house.address(Service::Submission, true)).await.unwrap();
    let stream = handshake(Arc::clone(config), tcp).await.ok()?;
    // With the greeting the ticket of TLS 1.3 has been read too.
    Some(Dialogue::new(stream).greeted().await)
}

fn failures(house: &House, reason: &str) -> String {
    let text = house.metrics();
    let start = format!("smtp_server_tls_failures_total{{dir=\"in\",reason=\"{reason}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
}

#[tokio::test]
async fn the_level_says_which_versions_are_spoken() {
    static OLDER: &[&SupportedProtocolVersion] = &[&version::TLS12];
    static NEWER: &[&SupportedProtocolVersion] = &[&version::TLS13];
    let lines = Lines::capture();
    for (level, older) in [("modern", false), ("intermediate", true), ("compatible", true)] {
        let mut house = house(&format!("level = \"{level}\"")).await;
        assert!(both(&house, &house.authority.client_config_with(NEWER)).await.is_some(), "{level}");
        assert_eq!(both(&house, &house.authority.client_config_with(OLDER)).await.is_some(), older, "{level}");
        if !older {
            until("both are logged", || lines.of("tls_failed").len() == 2).await;
            assert_eq!(failures(&house, "version"), "2");
        }
        house.stop().await;
    }
    let failed = lines.of("tls_failed");
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert_eq!((&failed[0]["reason"], &failed[0]["level"]), (&"version".into(), &"info".into()));
    assert!(failed[0]["advice"].as_str().unwrap().contains("[tls] level"), "{failed:?}");
    assert!(lines.grave().is_empty());
}

/// ALPACA: who means to speak another protocol is not let in, by RFC 7301 §3.2.
#[tokio::test]
async fn a_client_of_another_protocol_is_refused_and_one_that_names_none_is_not() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    let naming = |protocols: &[&[u8]]| {
        let mut config = ClientConfig::clone(&house.authority.client_config());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    };
    let (other, ours, none) = (naming(&[b"h2", b"http/1.1"]), naming(&[b"imap", b"smtp"]), naming(&[]));
    let tcp = TcpStream::connect(house.address(Service::Submission, true)).await.unwrap();
    let error = handshake(Arc::clone(&other), tcp).await.unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    assert!(both(&house, &other).await.is_none());
    let chosen = both(&house, &ours).await.unwrap();
    assert_eq!(chosen.stream.get_ref().1.alpn_protocol(), Some(&b"smtp"[..]));
    assert!(both(&house, &none).await.is_some());
    until("they are logged", || lines.of("tls_failed").len() == 3).await;
    assert!(lines.of("tls_failed").iter().all(|line| line["reason"] == "protocol"));
    assert_eq!(failures(&house, "protocol"), "3");
    drop(chosen);
    house.stop().await;
}

#[tokio::test]
async fn sessions_are_resumed_where_tickets_are_given() {
    for (keys, resumed) in [("", true), ("session_tickets = false", false)] {
        for version in [&version::TLS13, &version::TLS12] {
            let mut house = house(keys).await;
            let config = house.authority.client_config_with(&[version]);
            for (handshake, expected) in [("first", false), ("second", resumed)] {
                let dialogue = implicit(&house, &config).await.unwrap();
                let kind = dialogue.stream.get_ref().1.handshake_kind();
                assert_eq!(kind == Some(HandshakeKind::Resumed), expected, "{version:?}, {keys:?}: the {handshake}");
            }
            house.stop().await;
        }
    }
}

#[tokio::test]
async fn each_handshake_has_its_line_and_is_counted() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    drop(both(&house, &house.authority.client_config()).await.unwrap());
    until("both are logged", || lines.of("tls").len() == 2).await;
    let line = &lines.of("tls")[0];
    for (field, expected) in [
        ("version", "TLSv1.3"),
        ("cipher_suite", "TLS_AES_256_GCM_SHA384"),
        ("key_exchange", "X25519MLKEM768"),
        ("server_name", "localhost"),
        ("service", "mx"),
        ("level", "info"),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    assert_eq!(line["resumed"], false);
    let text = house.metrics();
    let series = "smtp_server_tls_total{dir=\"in\",version=\"1.3\",cipher=\"aes_256_gcm\",key_exchange=\"x25519mlkem768\",\
                  verified=\"no\"} 2\n";
    assert!(text.contains(series), "{text}");
    house.stop().await;
}
