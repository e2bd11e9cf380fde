//! LMTP: a reply for each recipient (RFC 2033 §4.2).

use smtp_client::{Client, NextHop, TlsMode};
use smtp_mail::{Attempt, Outcome};
use smtp_proto::Protocol;
use smtp_testkit::peer::{Answer, Peer, Script, Stage};

use crate::support::{CONTENT, attempt, hop, settings, summary};

async fn deliver(peer: &Peer, attempt: &Attempt) -> Vec<Outcome> {
    let address = peer.address();
    let hop = NextHop { protocol: Protocol::Lmtp, ..hop(address, TlsMode::None) };
    let mut client = Client::connect(&hop, &[address], &settings()).await.unwrap();
    client.deliver(attempt).await.unwrap()
}

#[tokio::test]
async fn each_recipient_has_its_own_answer() {
    for way in [&["PIPELINING"][..], &["PIPELINING", "CHUNKING"]] {
        let script = Script::new()
            .extensions(way)
            .on_recipient("no@b.test", ["550 5.1.1 no such user"])
            .on_delivery("full@b.test", ["452 4.2.2 quota exceeded"])
            .on_delivery("bad@b.test", ["554 5.6.0 not this"]);
        let peer = Peer::start(script);
        let attempt = attempt(&["<b@b.test>", "<no@b.test>", "<full@b.test>", "<bad@b.test>", "<c@b.test>"]);
        let outcomes = deliver(&peer, &attempt).await;
        let expected = ["delivered 2.0.0", "failed 5.1.1", "deferred 4.2.2", "failed 5.6.0", "delivered 2.0.0"];
        assert_eq!(summary(&outcomes), expected);
        let received = peer.messages().pop().unwrap();
        assert_eq!(received.recipients, ["<b@b.test>", "<c@b.test>"]);
        assert_eq!(received.content, CONTENT);
        assert_eq!((peer.count_commands("LHLO"), peer.count_commands("EHLO")), (1, 0));
    }
}

/// Who was answered is served, and is not sent it once more.
#[tokio::test]
async fn a_connection_lost_between_answers_defers_only_the_rest() {
    let script = Script::new().on_delivery("c@b.test", [Answer::Close]);
    let peer = Peer::start(script);
    let outcomes = deliver(&peer, &attempt(&["<b@b.test>", "<c@b.test>", "<d@b.test>"])).await;
    assert_eq!(summary(&outcomes), ["delivered 2.0.0", "deferred 4.4.2", "deferred 4.4.2"]);
}

/// RFC 2033 §4.1: there is nothing to fall back to.
#[tokio::test]
async fn a_server_that_speaks_no_lmtp_is_not_talked_to_otherwise() {
    let peer = Peer::start(Script::new().on(Stage::Ehlo, "500 5.5.1 what?"));
    let address = peer.address();
    let hop = NextHop { protocol: Protocol::Lmtp, ..hop(address, TlsMode::None) };
    let error = Client::connect(&hop, &[address], &settings()).await.unwrap_err();
    assert_eq!(error.stage, smtp_mail::Stage::Hello);
    assert_eq!(peer.count_commands("HELO"), 0);
}
