//! What the terms of a next hop limit: the time of an attempt, and the use of BDAT.

use std::sync::Arc;
use std::time::Duration;

use smtp_client::{Client, ClientSettings, NextHop, TlsMode};
use smtp_mail::Stage as At;
use smtp_proto::Protocol;
use smtp_testkit::peer::{Answer, Peer, Script, Stage};

use crate::support::{attempt, connect, hop, result_summary, settings, summary};

fn hurried() -> Arc<ClientSettings> {
    let mut settings = (*settings()).clone();
    settings.attempt_timeout = Duration::from_millis(300);
    Arc::new(settings)
}

/// Each wait is within its own limit.
#[tokio::test]
async fn a_session_that_does_not_come_about_in_time_is_given_up() {
    for stage in [Stage::Connect, Stage::Ehlo] {
        let peer = Peer::start(Script::new().on(stage, Answer::Silence));
        let hop = hop(peer.address(), TlsMode::None);
        let error = Client::connect(&hop, &[peer.address()], &hurried()).await.unwrap_err();
        assert_eq!(result_summary(&error.result()), "deferred 4.4.1");
        assert_eq!((error.stage, error.to_string().contains("in all")), (At::Connect, true));
    }
}

/// What has been answered before stays answered.
#[tokio::test]
async fn a_message_that_takes_too_long_is_deferred_for_those_without_an_answer() {
    let script = Script::new().on_recipient("c@b.test", ["550 5.1.1 nobody"]);
    let peer = Peer::start(script.on(Stage::Dot, Answer::Silence));
    let hop = hop(peer.address(), TlsMode::None);
    let mut client = Client::connect(&hop, &[peer.address()], &hurried()).await.unwrap();
    let outcomes = client.deliver(&attempt(&["<b@b.test>", "<c@b.test>"])).await.unwrap();
    assert_eq!(summary(&outcomes), ["deferred 4.4.2", "failed 5.1.1"]);
    assert!(outcomes[0].result.report().text().starts_with("the attempt has taken longer than "));
    assert!(!client.is_usable());
}

#[tokio::test]
async fn a_next_hop_that_is_not_good_at_bdat_gets_data() {
    for protocol in [Protocol::Smtp, Protocol::Lmtp] {
        for (chunking, command) in [(true, "BDAT"), (false, "DATA")] {
            let peer = Peer::start(Script::new().extensions(&["PIPELINING", "CHUNKING"]));
            let hop = NextHop { chunking, protocol, ..hop(peer.address(), TlsMode::None) };
            let mut client = Client::connect(&hop, &[peer.address()], &settings()).await.unwrap();
            let outcomes = client.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
            assert_eq!(summary(&outcomes), ["delivered 2.0.0"]);
            assert_eq!(peer.count_commands(command), 1);
            assert_eq!(peer.count_commands("BDAT") + peer.count_commands("DATA"), 1);
        }
    }
    let peer = Peer::start(Script::new());
    assert_eq!(connect(&peer).await.login(), None);
}
