//! Attempts at scripted peers, over sessions that are kept and used again.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smtp_client::{ClientSettings, ClientTls, HopLogin, Host, NextHop, SecretFile, TlsMode, TlsStart};
use smtp_delivery::{Deliverer, DelivererSettings};
use smtp_mail::{Attempt, AttemptRecipient, Body, Content, DeliveryResult, MessageId};
use smtp_proto::{ContentFacts, Mail, Protocol, Rcpt};
use smtp_sasl::Login;
use smtp_testkit::peer::{Answer, Peer, Script, Stage};
use smtp_testkit::tls::Authority;
use tokio::net::TcpListener;

fn settings() -> DelivererSettings {
    let tls = ClientTls::new(Authority::new().roots());
    let mut settings = DelivererSettings::new(Arc::new(ClientSettings::new("client.test".parse().unwrap(), tls)));
    // Long enough that no test sees it by chance.
    settings.idle_timeout = Duration::from_mins(10);
    settings
}

fn hop(peer: &Peer) -> NextHop {
    hop_at(peer.address())
}

fn hop_at(address: SocketAddr) -> NextHop {
    NextHop::new(Host::Address(address.ip()), address.port(), Protocol::Smtp, TlsMode::Opportunistic)
}

fn attempts(count: u64) -> Vec<Attempt> {
    let attempt = |number| Attempt {
        id: MessageId::from_raw(number),
        mail: Mail::new("<a@example.org>".parse().unwrap()),
        recipients: vec![AttemptRecipient {
            number: 1,
            rcpt: Rcpt::new("<b@b.test>".parse().unwrap()),
            original: None,
            user: None,
        }],
        content: Content::new(
            format!("Subject: {number}\r\n\r\n").into(),
            Body::Memory(bytes::Bytes::from_static(b"text\r\n")),
        ),
        facts: ContentFacts::of(b"Subject: 1\r\n\r\ntext\r\n"),
        received_at: SystemTime::UNIX_EPOCH,
    };
    (1..=count).map(attempt).collect()
}

/// Makes attempts until the next hop cannot be reached, and says of each what came of it.
async fn run(deliverer: &Deliverer, next_hop: NextHop, count: u64) -> Vec<String> {
    let mut carrier = deliverer.carrier(next_hop);
    let mut lines = Vec::new();
    for attempt in attempts(count) {
        match carrier.attempt(&attempt).await {
            Ok(outcomes) => lines.push(kind(&outcomes[0].result)),
            Err(unreachable) => {
                lines.push(format!("unreachable, {}", kind(&unreachable.result())));
                break;
            }
        }
    }
    lines
}

fn kind(result: &DeliveryResult) -> String {
    let kind = match result {
        DeliveryResult::Delivered(_) => "delivered",
        DeliveryResult::Deferred(_) => "deferred",
        DeliveryResult::Failed(_) => "failed",
    };
    format!("{kind} {}", result.report().status)
}

#[tokio::test]
async fn one_carrier_and_the_next_use_one_connection() {
    let peer = Peer::start(Script::new());
    let deliverer = Deliverer::new(settings());
    for _ in 0..2 {
        let lines = run(&deliverer, hop(&peer), 3).await;
        assert_eq!(lines, ["delivered 2.0.0", "delivered 2.0.0", "delivered 2.0.0"]);
    }
    let subjects: Vec<_> = peer.messages().into_iter().map(|message| message.content[9]).collect();
    assert_eq!(subjects, *b"123123");
    assert_eq!(peer.connections(), 1);
    deliverer.close().await;
    peer.wait_until_idle().await;
    assert_eq!(peer.count_commands("QUIT"), 1);
    // After its end nothing is kept.
    run(&deliverer, hop(&peer), 1).await;
    peer.wait_until_idle().await;
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn a_session_carries_only_so_many_messages() {
    let peer = Peer::start(Script::new());
    let deliverer = Deliverer::new(DelivererSettings { messages_per_session: 2, ..settings() });
    assert_eq!(run(&deliverer, hop(&peer), 5).await.len(), 5);
    let connections: Vec<_> = peer.messages().into_iter().map(|message| message.connection).collect();
    assert_eq!(connections, [1, 1, 2, 2, 3]);
}

#[tokio::test]
async fn an_idle_session_ends_in_time() {
    let peer = Peer::start(Script::new());
    let deliverer = Deliverer::new(DelivererSettings { idle_timeout: Duration::from_millis(20), ..settings() });
    for round in 1..=2 {
        run(&deliverer, hop(&peer), 1).await;
        peer.wait_until_idle().await;
        assert_eq!(peer.count_commands("QUIT"), round);
    }
}

#[tokio::test]
async fn the_oldest_idle_session_makes_room() {
    let peers = [Peer::start(Script::new()), Peer::start(Script::new())];
    let deliverer = Deliverer::new(DelivererSettings { idle_sessions_max: 1, ..settings() });
    for peer in &peers {
        run(&deliverer, hop(peer), 1).await;
    }
    peers[0].wait_until_idle().await;
    assert_eq!(peers[0].count_commands("QUIT"), 1);
    assert_eq!(peers[1].open_connections(), 1);
}

#[tokio::test]
async fn a_session_made_on_other_terms_is_not_used() {
    let authority = Authority::new();
    let tls = ClientTls::new(authority.roots());
    let client = Arc::new(ClientSettings::new("client.test".parse().unwrap(), tls));
    let deliverer = Deliverer::new(DelivererSettings { client, ..settings() });
    let peer = Peer::start(Script::new().starttls(authority.issue(&["127.0.0.1"]).server_config()));
    for tls in [TlsMode::None, TlsMode::Verify(TlsStart::StartTls), TlsMode::None] {
        assert_eq!(run(&deliverer, NextHop { tls, ..hop(&peer) }, 1).await, ["delivered 2.0.0"]);
    }
    let under_tls: Vec<_> = peer.messages().into_iter().map(|message| message.tls).collect();
    assert_eq!(under_tls, [false, true, false]);
    assert_eq!(peer.connections(), 2);
}

/// RFC 8689: what some messages ask of TLS gives their next hop no more sessions than those that there is work for.
#[tokio::test]
async fn a_session_on_stricter_terms_takes_the_place_of_one_with_the_same_next_hop() {
    let authority = Authority::new();
    let tls = ClientTls::new(authority.roots());
    let client = Arc::new(ClientSettings::new("client.test".parse().unwrap(), tls));
    let deliverer = Deliverer::new(DelivererSettings { client, ..settings() });
    let identity = authority.issue(&["127.0.0.1"]);
    let peer = Peer::start(Script::new().starttls(identity.server_config()));
    let other = Peer::start(Script::new().starttls(identity.server_config()));
    run(&deliverer, hop(&other), 1).await;
    let strict = TlsMode::Verify(TlsStart::StartTls);
    for tls in [TlsMode::Opportunistic, strict, strict, TlsMode::Opportunistic] {
        assert_eq!(run(&deliverer, NextHop { tls, ..hop(&peer) }, 1).await, ["delivered 2.0.0"]);
    }
    let connections: Vec<_> = peer.messages().into_iter().map(|message| message.connection).collect();
    assert_eq!(connections, [1, 2, 2, 3]);
    // That of another next hop is kept.
    run(&deliverer, hop(&other), 1).await;
    assert_eq!(other.connections(), 1);
    deliverer.close().await;
    peer.wait_until_idle().await;
    assert_eq!(peer.count_commands("QUIT"), 3);
}

/// Who logs in as somebody else, or as nobody, has a session of its own.
#[tokio::test]
async fn a_session_is_logged_in_once_and_used_by_the_same_login_only() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "wonderland\n").unwrap();
    let login = |user: &str| HopLogin {
        user: Login::prepare(user.as_bytes()).unwrap(),
        secret: SecretFile::Password(secret.clone()),
        mechanisms: Vec::new(),
        in_clear: true,
    };
    let peer = Peer::start(Script::new().extensions(&["AUTH PLAIN"]));
    let deliverer = Deliverer::new(settings());
    for user in [Some("alice"), Some("bob"), None, Some("alice"), Some("bob"), None] {
        let login = user.map(|user| Arc::new(login(user)));
        assert_eq!(run(&deliverer, NextHop { login, ..hop(&peer) }, 2).await, ["delivered 2.0.0", "delivered 2.0.0"]);
    }
    let connections: Vec<_> = peer.messages().into_iter().map(|message| message.connection).collect();
    assert_eq!(connections, [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3]);
    assert_eq!(peer.count_commands("AUTH"), 2);
}

/// The same is to be expected for every message: one of them pays for it.
#[tokio::test]
async fn a_host_that_does_not_know_us_is_told_of_at_the_first_attempt() {
    let refusing = Peer::start(Script::new().on(Stage::Mail, "530 5.7.0 Authentication required"));
    assert_eq!(run(&Deliverer::new(settings()), hop(&refusing), 100).await, ["unreachable, deferred 4.7.0"]);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_costs_no_attempt() {
    for leave in [Answer::Close, Answer::ReplyAndClose("421 4.7.0 enough from you".into())] {
        let mails: [Answer; 4] = ["250 ok".into(), "250 ok".into(), leave, "250 ok".into()];
        let peer = Peer::start(Script::new().on_each(Stage::Mail, mails));
        let lines = run(&Deliverer::new(settings()), hop(&peer), 4).await;
        assert_eq!(lines, ["delivered 2.0.0", "delivered 2.0.0", "delivered 2.0.0", "delivered 2.0.0"]);
        assert_eq!(peer.connections(), 2);
    }
}

#[tokio::test]
async fn a_connection_lost_half_way_costs_one_attempt() {
    let dots: [Answer; 3] = ["250 ok".into(), Answer::Close, "250 ok".into()];
    let peer = Peer::start(Script::new().on_each(Stage::Dot, dots));
    let lines = run(&Deliverer::new(settings()), hop(&peer), 3).await;
    assert_eq!(lines, ["delivered 2.0.0", "deferred 4.4.2", "delivered 2.0.0"]);
}

#[tokio::test]
async fn a_refusal_costs_its_message_only() {
    let peer = Peer::start(Script::new().on_each(Stage::Rcpt, ["550 5.1.1 no", "451 4.2.1 later", "250 ok"]));
    let lines = run(&Deliverer::new(settings()), hop(&peer), 3).await;
    assert_eq!(lines, ["failed 5.1.1", "deferred 4.2.1", "delivered 2.0.0"]);
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_dead_next_hop_is_told_of_at_the_first_attempt() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dead = hop_at(address);
    let deliverer = Deliverer::new(settings());
    assert_eq!(run(&deliverer, dead, 100).await, ["unreachable, deferred 4.4.1"]);

    let refusing = Peer::start(Script::new().on(Stage::Connect, "554 5.7.1 not you"));
    assert_eq!(run(&deliverer, hop(&refusing), 100).await, ["unreachable, deferred 4.3.2"]);
    assert_eq!(refusing.connections(), 1);

    // It dies between two messages.
    let greetings: [Answer; 2] = ["220 ok".into(), "421 4.3.2 going down".into()];
    let script =
        Script::new().on_each(Stage::Connect, greetings).on(Stage::Dot, Answer::ReplyAndClose("250 ok".into()));
    let dying = Peer::start(script);
    assert_eq!(run(&deliverer, hop(&dying), 100).await, ["delivered 2.0.0", "unreachable, deferred 4.3.2"]);
}

#[tokio::test]
async fn names_are_looked_up() {
    let peer = Peer::start(Script::new());
    let deliverer = Deliverer::new(settings());
    let named = |name: &str| NextHop { host: Host::Name(name.into()), ..hop(&peer) };
    assert_eq!(run(&deliverer, named("localhost"), 1).await, ["delivered 2.0.0"]);
    assert_eq!(run(&deliverer, named("no host name"), 3).await, ["unreachable, deferred 4.4.3"]);
}
