//! What replies, and the lack of them, come to for each recipient.

use smtp_client::{Client, Stale, TlsMode};
use smtp_mail::Stage as At;
use smtp_proto::client::ClientTimeouts;
use smtp_testkit::peer::{Answer, Peer, Script, Stage};
use std::time::Duration;

use crate::support::{CONTENT, attempt, attempt_of, connect, hop, settings_with, summary};

#[tokio::test]
async fn a_message_arrives_octet_for_octet_and_more_follow_on_the_connection() {
    for extensions in [&["PIPELINING"][..], &[]] {
        let peer = Peer::start(Script::new().extensions(extensions));
        let mut client = connect(&peer).await;
        for _ in 0..3 {
            let outcomes = client.deliver(&attempt(&["<b@b.test>", "<\"odd user\"@b.test>"])).await.unwrap();
            assert_eq!(summary(&outcomes), ["delivered 2.0.0", "delivered 2.0.0"]);
            let report = outcomes[0].result.report();
            assert_eq!(report.to_string(), format!("mx.test[{}]: 250 2.0.0 taken", peer.address()));
            assert_eq!(report.stage, Some(At::MailData));
            assert!(client.is_usable());
        }
        client.quit().await;
        peer.wait_until_idle().await;
        assert_eq!(peer.connections(), 1);
        assert_eq!(peer.count_commands("QUIT"), 1);
        for message in peer.messages() {
            assert_eq!(message.content, CONTENT);
            assert_eq!(message.hello, "client.test");
            assert_eq!(message.mail, "<a@example.org>");
            assert_eq!(message.recipients, ["<b@b.test>", "<\"odd user\"@b.test>"]);
        }
    }
}

/// Case C13.
#[tokio::test]
async fn bare_codes_and_unknown_ones_go_by_their_first_digit() {
    let script = Script::new()
        .on(Stage::Connect, "220")
        .on(Stage::Ehlo, "250-x\r\n250")
        .on(Stage::Mail, "250")
        .on_each(Stage::Rcpt, ["251", "298 fine", "499", "599 5.9.9 no"])
        .on(Stage::Data, "354")
        .on(Stage::Dot, "250");
    let peer = Peer::start(script);
    let mut client = connect(&peer).await;
    let recipients = ["<1@b.test>", "<2@b.test>", "<3@b.test>", "<4@b.test>"];
    let outcomes = client.deliver(&attempt(&recipients)).await.unwrap();
    assert_eq!(summary(&outcomes), ["delivered 2.0.0", "delivered 2.0.0", "deferred 4.0.0", "failed 5.9.9"]);
    assert_eq!(peer.messages()[0].recipients, ["<1@b.test>", "<2@b.test>"]);
    assert_eq!(outcomes[3].result.report().stage, Some(At::Rcpt));
}

#[tokio::test]
async fn a_refusal_holds_for_all_who_have_no_reply_yet() {
    let cases = [
        (Stage::Mail, "451 4.7.1 later", "deferred 4.7.1", At::Mail),
        (Stage::Mail, "550 5.7.1 never", "failed 5.7.1", At::Mail),
        (Stage::Data, "451 4.3.0 later", "deferred 4.3.0", At::Data),
        (Stage::Data, "554 5.7.1 never", "failed 5.7.1", At::Data),
        (Stage::Dot, "452 4.3.1 later", "deferred 4.3.1", At::MailData),
        (Stage::Dot, "554 5.7.1 never", "failed 5.7.1", At::MailData),
        (Stage::Mail, "421 4.3.2 closing", "deferred 4.3.2", At::Mail),
        (Stage::Dot, "421 closing", "deferred 4.3.2", At::MailData),
    ];
    for (stage, reply, expected, at) in cases {
        let peer = Peer::start(Script::new().on_recipient("no@b.test", ["550 5.1.1 unknown"]).on(stage, reply));
        let mut client = connect(&peer).await;
        let outcomes = client.deliver(&attempt(&["<b@b.test>", "<no@b.test>"])).await.unwrap();
        let second = if stage == Stage::Mail { expected } else { "failed 5.1.1" };
        assert_eq!(summary(&outcomes), [expected, second], "{reply}");
        let report = outcomes[0].result.report();
        assert_eq!((report.text(), report.stage), (reply, Some(at)));
        assert!(peer.messages().is_empty());
        // But for 421, the same connection takes the next message.
        assert_eq!(client.is_usable(), !reply.starts_with("421"), "{reply}");
    }
}

#[tokio::test]
async fn after_a_refusal_the_connection_serves_on() {
    let script = Script::new()
        .on_each(Stage::Mail, ["550 5.7.1 no", "250 ok"])
        .on_recipient("no@b.test", ["550 5.1.1 unknown"])
        .on_each(Stage::Data, ["354 though nobody was accepted", "554 5.5.1 nobody", "354 go on"]);
    let peer = Peer::start(script);
    let mut client = connect(&peer).await;
    for (recipient, expected) in [
        ("<b@b.test>", "failed 5.7.1"),
        ("<no@b.test>", "failed 5.1.1"),
        ("<no@b.test>", "failed 5.1.1"),
        ("<b@b.test>", "delivered 2.0.0"),
    ] {
        let outcomes = client.deliver(&attempt(&[recipient])).await.unwrap();
        assert_eq!(summary(&outcomes), [expected]);
    }
    assert_eq!(peer.connections(), 1);
    assert_eq!(peer.wait_for_messages(1).await.last().unwrap().content, CONTENT);
}

#[tokio::test]
async fn too_many_recipients_go_in_further_transactions() {
    for reply in ["452 4.5.3 too many", "552 5.5.3 too many"] {
        let script = Script::new().on_each(Stage::Rcpt, ["250 ok", "250 ok", reply, reply, "250 ok", "250 ok"]);
        let peer = Peer::start(script);
        let mut client = connect(&peer).await;
        let recipients = ["<1@b.test>", "<2@b.test>", "<3@b.test>", "<4@b.test>"];
        let outcomes = client.deliver(&attempt(&recipients)).await.unwrap();
        assert_eq!(summary(&outcomes), ["delivered 2.0.0"; 4]);
        let taken: Vec<_> = peer.messages().into_iter().map(|message| message.recipients).collect();
        assert_eq!(taken, [["<1@b.test>", "<2@b.test>"], ["<3@b.test>", "<4@b.test>"]]);
    }
}

/// What the first transaction has delivered must not be sent again.
#[tokio::test]
async fn a_server_that_leaves_between_the_transactions_of_one_attempt_is_no_stale_one() {
    let script = Script::new()
        .on_each(Stage::Rcpt, ["250 ok", "452 4.5.3 too many"])
        .on_each(Stage::Mail, [Answer::from("250 ok"), Answer::Close]);
    let peer = Peer::start(script);
    let outcomes = connect(&peer).await.deliver(&attempt(&["<1@b.test>", "<2@b.test>"])).await.unwrap();
    assert_eq!(summary(&outcomes), ["delivered 2.0.0", "deferred 4.4.2"]);
}

#[tokio::test]
async fn a_full_mailbox_is_a_deferral_whatever_its_code() {
    for (reply, expected) in [
        ("452 4.2.2 full", "deferred 4.2.2"),
        ("552 5.2.2 full", "deferred 4.2.2"),
        ("552 5.5.3 too many", "deferred 4.5.3"),
        ("552 full or too many", "deferred 4.5.3"),
    ] {
        let peer = Peer::start(Script::new().on(Stage::Rcpt, reply));
        let outcomes = connect(&peer).await.deliver(&attempt(&["<1@b.test>", "<2@b.test>"])).await.unwrap();
        assert_eq!(summary(&outcomes), [expected; 2]);
        assert_eq!(peer.count_commands("RCPT"), 2);
    }
}

#[tokio::test]
async fn a_connection_lost_defers_those_without_a_reply() {
    let big = [b"Subject: big\r\n\r\n".as_slice(), &b"0123456789abcdef\r\n".repeat(100_000)].concat();
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot, Stage::Content] {
        let answer =
            if stage == Stage::Content { Answer::After(10_000, Box::new(Answer::Close)) } else { Answer::Close };
        let peer = Peer::start(Script::new().on_recipient("no@b.test", ["550 5.1.1 unknown"]).on(stage, answer));
        let mut client = connect(&peer).await;
        let outcomes = client.deliver(&attempt_of(&big, &["<no@b.test>", "<b@b.test>"])).await.unwrap();
        let first = if stage == Stage::Mail { "deferred 4.4.2" } else { "failed 5.1.1" };
        assert_eq!(summary(&outcomes), [first, "deferred 4.4.2"], "{stage:?}");
        assert!(!client.is_usable());
        assert!(peer.messages().is_empty());
    }
}

#[tokio::test]
async fn silence_ends_at_the_limit_of_its_stage() {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot] {
        let peer = Peer::start(Script::new().extensions(&[]).on(stage, Answer::Silence));
        let moment = Duration::from_millis(50);
        let timeouts = ClientTimeouts {
            mail: moment,
            rcpt: moment,
            data_initiation: moment,
            data_termination: moment,
            ..ClientTimeouts::default()
        };
        let settings = settings_with(smtp_client::ClientTls::new(rustls::RootCertStore::empty()), timeouts);
        let address = peer.address();
        let mut client = Client::connect(&hop(address, TlsMode::None), &[address], &settings).await.unwrap();
        let outcomes = client.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
        assert_eq!(summary(&outcomes), ["deferred 4.4.2"]);
        assert!(outcomes[0].result.report().text().contains("timeout"), "{outcomes:?}");
        assert!(!client.is_usable());
    }
}

#[tokio::test]
async fn a_server_that_left_an_idle_connection_costs_no_attempt() {
    for leave in [Answer::Close, Answer::ReplyAndClose("421 4.3.2 idle too long".into())] {
        let peer = Peer::start(Script::new().on_each(Stage::Mail, ["250 ok".into(), leave]));
        let mut client = connect(&peer).await;
        client.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
        assert!(client.is_alive().await);
        assert_eq!(client.deliver(&attempt(&["<b@b.test>"])).await, Err(Stale));
        assert!(!client.is_alive().await);
    }
}

#[tokio::test]
async fn what_the_server_says_is_shown_on_one_line_and_never_read_again() {
    let reply = "550-5.7.1 <x@y>\x1b[2J\u{202e}\r\n550-RCPT TO:<evil@b.test>\r\n550 5.7.1 end";
    let peer = Peer::start(Script::new().on(Stage::Rcpt, reply));
    let outcomes = connect(&peer).await.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
    assert_eq!(summary(&outcomes), ["failed 5.7.1"]);
    let text = outcomes[0].result.report().text();
    assert!(!text.contains(char::is_control) && text.contains("RCPT TO:<evil@b.test>"), "{text}");
    assert_eq!(peer.count_commands("RCPT"), 1);
}
