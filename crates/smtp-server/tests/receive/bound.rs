//! SCRAM that is bound to the TLS channel (RFC 5802 §6): with what both sides know of a real one.

use std::time::Duration;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use smtp_io::Stream;
use smtp_proto::{ChannelBindings, Mechanism, Secret};
use smtp_sasl::{Client, Credentials, Login, PasswordHash, ScramKeys, prepare_password};
use smtp_server::metrics::Service;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::house::{Dialogue, House};
use crate::lines::Lines;

const PLUS: Mechanism = Mechanism::SCRAM_SHA_256_PLUS;
const ALL: [Mechanism; 2] = [PLUS, Mechanism::SCRAM_SHA_256];

async fn house() -> House {
    let mut house = House::start("[auth]\nfailure_delay = \"0s\"\nfailures_per_client = 100\n").await;
    let password = prepare_password(b"wonderland").unwrap();
    let (hash, keys) = (PasswordHash::make(&password), ScramKeys::make(&password));
    let users = format!("[alice]\npassword = \"{}\"\nscram_sha_256 = \"{}\"\n", hash.expose(), keys.expose());
    house.write("users.toml", &users);
    house.reload().await;
    house
}

/// A session under TLS in which EHLO was said, what was offered, and the bindings as the client sees them.
async fn session(
    house: &House,
    version: &'static SupportedProtocolVersion,
) -> (Dialogue<Stream>, String, ChannelBindings) {
    let tcp = TcpStream::connect(house.address(Service::Submission, true)).await.unwrap();
    let connector = TlsConnector::from(house.authority.client_config_with(&[version]));
    let mut stream = Stream::from(tcp);
    let name = "localhost".try_into().unwrap();
    let facts = stream.connect_tls(&connector, name, Duration::from_secs(30)).await.unwrap();
    let mut dialogue = Dialogue::new(stream).greeted().await;
    let offered = dialogue.ask("EHLO client.example").await;
    (dialogue, offered, facts.channel_bindings)
}

fn base64(secret: &Secret) -> String {
    let mut encoded = bytes::BytesMut::new();
    secret.encode_base64(&mut encoded);
    String::from_utf8(encoded.to_vec()).unwrap()
}

/// Logs alice in as a client does that sees these bindings, and these mechanisms offered: the last reply.
async fn log_in(
    session: &mut Dialogue<Stream>,
    mechanism: Mechanism,
    offered: &[Mechanism],
    bindings: &ChannelBindings,
) -> String {
    let login = Login::prepare(b"alice").unwrap();
    let credentials = Credentials::Password { login, password: prepare_password(b"wonderland").unwrap() };
    let (mut client, initial) = Client::start(mechanism, offered, &credentials, bindings).unwrap();
    let mut reply = session.ask(&format!("AUTH {mechanism} {}", base64(&initial.unwrap()))).await;
    while let Some(challenge) = reply.strip_prefix("334 ") {
        let challenge = Secret::from_base64(challenge.trim_end().as_bytes()).unwrap();
        reply = session.ask(&base64(&client.respond(challenge.as_bytes()).unwrap())).await;
    }
    assert!(!reply.starts_with("235") || client.authenticated().is_ok(), "{reply}");
    reply
}

/// RFC 9266 and RFC 5929: both bindings under TLS 1.3; under TLS 1.2 the certificate alone.
#[tokio::test]
async fn both_bindings_are_taken() {
    let mut house = house().await;
    for version in [&TLS13, &TLS12] {
        let (mut dialogue, offered, bindings) = session(&house, version).await;
        assert!(offered.contains("SCRAM-SHA-256-PLUS"), "{version:?}: {offered}");
        assert_eq!(bindings.exporter.is_some(), version.version == TLS13.version);
        let reply = log_in(&mut dialogue, PLUS, &ALL, &bindings).await;
        assert!(reply.starts_with("235 "), "{version:?}: {reply}");
        let (mut dialogue, _, bindings) = session(&house, version).await;
        let by_certificate = ChannelBindings { exporter: None, ..bindings };
        assert!(by_certificate.server_end_point.is_some());
        let reply = log_in(&mut dialogue, PLUS, &ALL, &by_certificate).await;
        assert!(reply.starts_with("235 "), "{version:?}, tls-server-end-point: {reply}");
    }
    house.stop().await;
}

/// Who stands between has another channel with each side.
#[tokio::test]
async fn another_channel_lets_nobody_in() {
    let lines = Lines::capture();
    let mut house = house().await;
    let (mut dialogue, _, _) = session(&house, &TLS13).await;
    let (_other, _, of_other) = session(&house, &TLS13).await;
    let reply = log_in(&mut dialogue, PLUS, &ALL, &of_other).await;
    assert!(reply.starts_with("535 5.7.8 "), "another exporter: {reply}");
    let certificate = ChannelBindings { exporter: None, server_end_point: Some([7; 32].into()) };
    let reply = log_in(&mut dialogue, PLUS, &ALL, &certificate).await;
    assert!(reply.starts_with("535 5.7.8 "), "another certificate: {reply}");
    let reasons: Vec<_> = lines.of("authentication_failed").iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(reasons, ["the channel binding does not agree"; 2]);
    house.stop().await;
}

/// RFC 5802 §6: who was kept from seeing the better mechanism says so (`y`), and that is found.
#[tokio::test]
async fn nobody_can_hide_the_better_mechanism() {
    let mut house = house().await;
    let (mut dialogue, _, bindings) = session(&house, &TLS13).await;
    let plain = Mechanism::SCRAM_SHA_256;
    let reply = log_in(&mut dialogue, plain, &[plain], &bindings).await;
    assert!(reply.starts_with("535 5.7.8 "), "{reply}");
    let reply = log_in(&mut dialogue, plain, &[plain], &ChannelBindings::default()).await;
    assert!(reply.starts_with("235 "), "who has no bindings at all (`n`): {reply}");
    house.stop().await;
}
