//! From address to greeting.

use std::net::SocketAddr;
use std::time::Duration;

use smtp_client::{Client, ClientTls, ConnectError, ConnectFailure, TlsMode};
use smtp_mail::Stage as At;
use smtp_proto::client::ClientTimeouts;
use smtp_testkit::peer::{Answer, Peer, Script, Stage};
use smtp_testkit::tls::Authority;
use tokio::net::TcpListener;

use crate::support::{attempt, hop, result_summary, settings, settings_with, summary, try_connect};

/// An address at which nobody listens.
async fn dead_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn connect_to(addresses: &[SocketAddr]) -> Result<Client, ConnectError> {
    let port = addresses.first().copied().unwrap_or(([127, 0, 0, 1], 25).into());
    Client::connect(&hop(port, TlsMode::None), addresses, &settings()).await
}

/// Case C11.
#[tokio::test]
async fn a_family_that_leads_nowhere_is_followed_by_the_other() {
    let peer = Peer::start(Script::new());
    let port = peer.address().port();
    let dead = [format!("[fe80::1]:{port}"), format!("[2001:db8::dead]:{port}")];
    let mut addresses: Vec<SocketAddr> = dead.iter().map(|address| address.parse().unwrap()).collect();
    addresses.push(dead_address().await);
    addresses.push(peer.address());
    let mut client = connect_to(&addresses).await.unwrap();
    assert_eq!(client.host().address, Some(peer.address()));
    assert_eq!(summary(&client.deliver(&attempt(&["<b@b.test>"])).await.unwrap()), ["delivered 2.0.0"]);
}

#[tokio::test]
async fn ipv6_serves_too() {
    // A machine may be without IPv6; the case above is then all that there is to see.
    let Ok(peer) = Peer::start_at("::1".parse().unwrap(), Script::new()) else { return };
    let client = connect_to(&[peer.address(), dead_address().await]).await.unwrap();
    assert_eq!(client.host().address, Some(peer.address()));
}

#[tokio::test]
async fn a_host_that_refuses_is_followed_by_the_next_address() {
    for (stage, answer) in [
        (Stage::Connect, Answer::from("554 5.3.2 not you")),
        (Stage::Connect, Answer::from("421 4.3.2 busy")),
        (Stage::Connect, Answer::Close),
        (Stage::Ehlo, Answer::Close),
    ] {
        let refusing = Peer::start(Script::new().on(stage, answer));
        let serving = Peer::start(Script::new());
        let client = connect_to(&[refusing.address(), serving.address()]).await.unwrap();
        assert_eq!(client.host().address, Some(serving.address()));
        assert_eq!(refusing.connections(), 1);
    }
}

#[tokio::test]
async fn all_that_keeps_a_session_from_beginning_is_a_deferral_that_says_why() {
    let cases = [
        (Stage::Connect, "554 5.7.1 blocked", "deferred 4.3.2", At::Greeting, "blocked"),
        (Stage::Connect, "421 4.7.0 slow down", "deferred 4.7.0", At::Greeting, "slow down"),
        (Stage::Connect, "hello", "deferred 4.5.0", At::Greeting, "bad reply"),
        (Stage::Ehlo, "421 4.3.2 closing", "deferred 4.3.2", At::Hello, "closing"),
    ];
    for (stage, reply, expected, at, text) in cases {
        let peer = Peer::start(Script::new().on(stage, reply));
        let error = try_connect(&peer).await.unwrap_err();
        let result = error.result();
        assert_eq!(result_summary(&result), expected, "{reply}");
        let report = result.report();
        assert_eq!(report.stage, Some(at), "{reply}");
        assert!(report.text().contains(text), "{reply}: {report}");
        let host = report.host.as_ref().unwrap();
        assert_eq!((host.name.as_str(), host.address), ("mx.test", Some(peer.address())));
        assert!(error.to_string().starts_with(&format!("mx.test[{}]: {at}: ", peer.address())), "{error}");
    }
}

#[tokio::test]
async fn helo_where_ehlo_is_not_known_and_no_service_without_either() {
    let peer = Peer::start(Script::new().on(Stage::Ehlo, "502 5.5.1 what?"));
    let mut client = try_connect(&peer).await.unwrap();
    assert_eq!(summary(&client.deliver(&attempt(&["<b@b.test>"])).await.unwrap()), ["delivered 2.0.0"]);

    let peer = Peer::start(Script::new().on(Stage::Ehlo, "502 what?").on(Stage::Helo, "550 5.7.1 not you"));
    let error = try_connect(&peer).await.unwrap_err();
    assert_eq!(error.stage, At::Hello);
    assert_eq!(result_summary(&error.result()), "deferred 4.3.2");
    peer.wait_until_idle().await;
    assert_eq!(peer.count_commands("QUIT"), 1);
}

#[tokio::test]
async fn silence_before_the_session_ends_at_its_limit() {
    let moment = Duration::from_millis(50);
    let usual = ClientTimeouts::default();
    for (stage, at, timeouts) in [
        (Stage::Connect, At::Greeting, ClientTimeouts { greeting: moment, ..usual }),
        (Stage::Ehlo, At::Hello, ClientTimeouts { hello: moment, ..usual }),
    ] {
        let settings = settings_with(ClientTls::new(Authority::new().roots()), timeouts);
        let peer = Peer::start(Script::new().on(stage, Answer::Silence));
        let address = peer.address();
        let error = Client::connect(&hop(address, TlsMode::None), &[address], &settings).await.unwrap_err();
        assert_eq!(error.stage, at);
        assert_eq!(result_summary(&error.result()), "deferred 4.4.2");
    }
}

#[tokio::test]
async fn nowhere_to_connect_to() {
    let error = connect_to(&[]).await.unwrap_err();
    assert!(matches!(error.failure, ConnectFailure::NoAddress));
    assert_eq!(result_summary(&error.result()), "deferred 4.4.3");

    let dead = dead_address().await;
    let error = connect_to(&[dead]).await.unwrap_err();
    assert!(matches!(error.failure, ConnectFailure::Unreachable(_)));
    assert_eq!(result_summary(&error.result()), "deferred 4.4.1");
    assert_eq!(error.host.address, Some(dead));
}

#[tokio::test]
async fn the_address_that_got_farthest_is_the_one_that_is_told_of() {
    let refusing = Peer::start(Script::new().on(Stage::Connect, "554 5.3.2 not you"));
    let error = connect_to(&[refusing.address(), dead_address().await]).await.unwrap_err();
    assert_eq!(error.host.address, Some(refusing.address()));

    let also_refusing = Peer::start(Script::new().on(Stage::Connect, "554 5.3.2 nor you"));
    let error = connect_to(&[refusing.address(), also_refusing.address()]).await.unwrap_err();
    assert_eq!(error.host.address, Some(also_refusing.address()), "of two that got as far, the later");
}
