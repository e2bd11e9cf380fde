//! What each demand for TLS comes to with each kind of server.

use std::sync::Arc;

use smtp_client::{Client, ClientSettings, ClientTls, ConnectError, TlsMode, TlsStart};
use smtp_mail::Stage as At;
use smtp_proto::client::ClientTimeouts;
use smtp_testkit::peer::{Answer, Peer, Script, Stage};
use smtp_testkit::tls::{Authority, Identity};

use crate::support::{attempt, hop, result_summary, settings_with, summary};

const REQUIRE: TlsMode = TlsMode::Require(TlsStart::StartTls);
const VERIFY: TlsMode = TlsMode::Verify(TlsStart::StartTls);

fn trusting(authority: &Authority) -> Arc<ClientSettings> {
    settings_with(ClientTls::new(authority.roots()), ClientTimeouts::default())
}

async fn connect(peer: &Peer, mode: TlsMode, settings: &Arc<ClientSettings>) -> Result<Client, ConnectError> {
    Client::connect(&hop(peer.address(), mode), &[peer.address()], settings).await
}

/// Delivers, and says whether that was under TLS.
async fn deliver(peer: &Peer, mut client: Client) -> bool {
    let outcomes = client.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
    assert_eq!(summary(&outcomes), ["delivered 2.0.0"]);
    assert_eq!(outcomes[0].result.report().tls.as_deref(), client.tls());
    let taken = peer.wait_for_messages(1).await;
    assert_eq!(taken[0].tls, client.tls().is_some());
    taken[0].tls
}

#[tokio::test]
async fn a_good_certificate_serves_every_mode_that_wants_tls() {
    let authority = Authority::new();
    let settings = trusting(&authority);
    for (mode, under_tls) in [(TlsMode::None, false), (TlsMode::Opportunistic, true), (REQUIRE, true), (VERIFY, true)] {
        let peer = Peer::start(Script::new().starttls(authority.issue(&["mx.test"]).server_config()));
        let client = connect(&peer, mode, &settings).await.unwrap();
        assert_eq!(client.tls(), under_tls.then_some("TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768"));
        assert_eq!(deliver(&peer, client).await, under_tls, "{mode:?}");
        assert_eq!(peer.count_commands("EHLO"), if under_tls { 2 } else { 1 });
        assert_eq!(peer.connections(), 1);
    }
}

#[tokio::test]
async fn a_bad_certificate_serves_all_but_verification() {
    let authority = Authority::new();
    let settings = trusting(&authority);
    for identity in [
        authority.issue(&["other.test"]),
        authority.issue_expired(&["mx.test"]),
        Identity::self_signed(&["mx.test"]),
        Authority::new().issue(&["mx.test"]),
    ] {
        for mode in [TlsMode::Opportunistic, REQUIRE] {
            let peer = Peer::start(Script::new().starttls(identity.server_config()));
            let client = connect(&peer, mode, &settings).await.unwrap();
            assert!(deliver(&peer, client).await);
        }
        let peer = Peer::start(Script::new().starttls(identity.server_config()));
        let error = connect(&peer, VERIFY, &settings).await.unwrap_err();
        assert_eq!(result_summary(&error.result()), "deferred 4.7.5");
        assert_eq!(error.stage, At::Tls);
        assert!(error.to_string().contains("certificate"), "{error}");
        assert_eq!(peer.count_commands("MAIL"), 0);
    }
}

/// Case C08, for static next hops.
#[tokio::test]
async fn where_starttls_is_not_offered_it_is_not_sent() {
    let settings = trusting(&Authority::new());
    for mode in [REQUIRE, VERIFY] {
        let peer = Peer::start(Script::new());
        let error = connect(&peer, mode, &settings).await.unwrap_err();
        assert_eq!(result_summary(&error.result()), "deferred 4.7.4");
        peer.wait_until_idle().await;
        assert_eq!(peer.commands(), ["EHLO client.test", "QUIT"]);
    }
    let peer = Peer::start(Script::new());
    let client = connect(&peer, TlsMode::Opportunistic, &settings).await.unwrap();
    assert!(!deliver(&peer, client).await);
    assert_eq!(peer.count_commands("STARTTLS"), 0);
}

#[tokio::test]
async fn where_tls_fails_the_opportunist_goes_on_in_the_clear_and_nobody_else() {
    let authority = Authority::new();
    let settings = trusting(&authority);
    let offering = || Script::new().starttls(authority.issue(&["mx.test"]).server_config());
    let scripts: [fn(Script) -> Script; 4] = [
        |offering| offering.on(Stage::StartTls, "454 4.7.0 not now"),
        |offering| offering.on(Stage::StartTls, "502 5.5.1 what?"),
        |offering| offering.on(Stage::StartTls, Answer::Close),
        // Says 220, and then no TLS follows.
        |_| Script::new().extensions(&["STARTTLS"]).on(Stage::StartTls, "220 go on"),
    ];
    for script in scripts {
        let peer = Peer::start(script(offering()));
        let client = connect(&peer, TlsMode::Opportunistic, &settings).await.unwrap();
        assert!(!deliver(&peer, client).await);
        assert_eq!(peer.connections(), 2);

        for mode in [REQUIRE, VERIFY] {
            let peer = Peer::start(script(offering()));
            let error = connect(&peer, mode, &settings).await.unwrap_err();
            assert_eq!(error.stage, At::Tls);
            assert!(result_summary(&error.result()).starts_with("deferred 4."), "{error}");
            peer.wait_until_idle().await;
            assert_eq!((peer.connections(), peer.count_commands("MAIL")), (1, 0));
        }
    }
}

#[tokio::test]
async fn implicit_tls() {
    let authority = Authority::new();
    let settings = trusting(&authority);
    let verify = TlsMode::Verify(TlsStart::Implicit);
    let peer = Peer::start(Script::new().implicit_tls(authority.issue(&["mx.test"]).server_config()));
    let client = connect(&peer, verify, &settings).await.unwrap();
    assert!(deliver(&peer, client).await);
    assert_eq!(peer.count_commands("EHLO"), 1);

    let self_signed = Identity::self_signed(&["mx.test"]).server_config();
    let peer = Peer::start(Script::new().implicit_tls(Arc::clone(&self_signed)));
    let error = connect(&peer, verify, &settings).await.unwrap_err();
    assert_eq!(result_summary(&error.result()), "deferred 4.7.5");

    let peer = Peer::start(Script::new().implicit_tls(self_signed));
    let client = connect(&peer, TlsMode::Require(TlsStart::Implicit), &settings).await.unwrap();
    assert!(deliver(&peer, client).await);

    // A server in the clear: nothing is sent to it but the start of a handshake.
    let peer = Peer::start(Script::new());
    let error = connect(&peer, verify, &settings).await.unwrap_err();
    assert_eq!(error.stage, At::Tls);
    assert!(peer.messages().is_empty());
}

/// RFC 8689 §4.2.1 ends mail where there can be no TLS; a connection that breaks does not say so.
#[tokio::test]
async fn a_connection_that_breaks_in_the_handshake_is_no_lack_of_tls() {
    let settings = trusting(&Authority::new());
    let verify = TlsMode::Verify(TlsStart::Implicit);
    let breaking = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = breaking.local_addr().unwrap();
    let ending = tokio::spawn(async move { drop(breaking.accept().await.unwrap()) });
    let error = Client::connect(&hop(address, verify), &[address], &settings).await.unwrap_err();
    ending.await.unwrap();
    assert_eq!(error.stage, At::Tls);
    assert_eq!(error.without_tls().as_ref().map(result_summary).as_deref(), Some("deferred 4.7.5"), "{error}");

    // What follows is no TLS, and never will be.
    let peer = Peer::start(Script::new());
    let error = connect(&peer, verify, &settings).await.unwrap_err();
    assert_eq!(error.without_tls().as_ref().map(result_summary).as_deref(), Some("failed 5.7.10"), "{error}");
}

#[tokio::test]
async fn nothing_said_in_the_clear_behind_starttls_is_taken_for_a_reply() {
    let authority = Authority::new();
    let injected = Script::new()
        .starttls(authority.issue(&["mx.test"]).server_config())
        .on(Stage::StartTls, "220 go on\r\n250 injected");
    let peer = Peer::start(injected);
    let error = connect(&peer, VERIFY, &trusting(&authority)).await.unwrap_err();
    assert_eq!(error.stage, At::Tls);
}

#[tokio::test]
async fn without_authorities_verification_is_refused_and_said_so() {
    let authority = Authority::new();
    let settings = settings_with(ClientTls::new(rustls::RootCertStore::empty()), ClientTimeouts::default());
    let peer = Peer::start(Script::new().starttls(authority.issue(&["mx.test"]).server_config()));
    let error = connect(&peer, VERIFY, &settings).await.unwrap_err();
    assert!(error.to_string().contains("no certificate authorities"), "{error}");
}
