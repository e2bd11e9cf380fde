//! The scripted peer, spoken to octet by octet.

#![allow(clippy::unwrap_used)]

use smtp_testkit::peer::{Answer, Gate, Peer, Script, Stage};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

struct Talk(BufReader<TcpStream>);

impl Talk {
    async fn with(peer: &Peer) -> Self {
        Self(BufReader::new(TcpStream::connect(peer.address()).await.unwrap()))
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line
    }

    async fn say(&mut self, octets: &str) -> String {
        self.0.get_mut().write_all(octets.as_bytes()).await.unwrap();
        self.hear().await
    }
}

#[tokio::test]
async fn takes_and_records_a_message_octet_for_octet() {
    let peer = Peer::start(Script::new().extensions(&[]));
    let mut talk = Talk::with(&peer).await;
    assert_eq!(talk.hear().await, "220 peer.test ESMTP\r\n");
    assert_eq!(talk.say("EHLO a.test\r\n").await, "250 peer.test\r\n");
    talk.say("MAIL FROM:<a@a.test> SIZE=9\r\n").await;
    talk.say("RCPT TO:<b@b.test>\r\n").await;
    assert_eq!(talk.say("DATA\r\n").await, "354 go on\r\n");
    assert_eq!(talk.say("..\r\n..x\r\ny\r\n.\r\n").await, "250 2.0.0 taken\r\n");
    assert_eq!(talk.say("QUIT\r\n").await, "221 2.0.0 bye\r\n");
    let messages = peer.wait_for_messages(1).await;
    assert_eq!(messages[0].content, b".\r\n.x\r\ny\r\n");
    assert_eq!(messages[0].mail, "<a@a.test> SIZE=9");
    assert_eq!(messages[0].recipients, ["<b@b.test>"]);
    assert_eq!(peer.count_commands("rcpt"), 1);
}

#[tokio::test]
async fn answers_by_recipient_and_by_turn() {
    let peer = Peer::start(Script::new().on_recipient("later@b.test", ["451 later", "250 now"]));
    let mut talk = Talk::with(&peer).await;
    talk.hear().await;
    assert_eq!(talk.say("RCPT TO:<else@b.test>\r\n").await, "503 5.5.1 MAIL first\r\n");
    talk.say("MAIL FROM:<>\r\n").await;
    assert_eq!(talk.say("RCPT TO:<later@b.test>\r\n").await, "451 later\r\n");
    assert_eq!(talk.say("RCPT TO:<else@b.test>\r\n").await, "250 2.1.5 recipient taken\r\n");
    assert_eq!(talk.say("RCPT TO:<later@b.test>\r\n").await, "250 now\r\n");
    assert_eq!(talk.say("RCPT TO:<later@b.test>\r\n").await, "250 now\r\n");
}

#[tokio::test]
async fn stands_at_a_gate_and_breaks_off() {
    let gate = Gate::new();
    let closed = Answer::Wait(gate.clone(), Box::new(Answer::Close));
    let peer = Peer::start(Script::new().on(Stage::Connect, closed));
    let mut talk = Talk::with(&peer).await;
    gate.reached(1).await;
    assert_eq!(peer.open_connections(), 1);
    gate.open();
    assert_eq!(talk.0.read(&mut [0]).await.unwrap(), 0);
    peer.wait_until_idle().await;
    assert_eq!(peer.connections(), 1);
}
