//! Mail on its way in, over real sockets.
#![allow(clippy::unwrap_used)]

#[path = "../house/mod.rs"]
mod house;

#[path = "../house/process.rs"]
mod process;

#[path = "../house/handshake.rs"]
mod handshake;

mod allowance;
mod auth;
mod bound;
mod broken;
mod certificates;
mod chunks;
mod client;
mod content;
mod dovecot;
mod guards;
mod handshakes;
mod limits;
mod lines;
mod lmtp;
mod program;
mod proxy;
mod queries;
mod recipients;
mod refusals;
mod relay;
mod reload;
mod smuggling;
mod stop;
mod storage;
mod tls;
mod xclient;

use house::House;
use smtp_server::metrics::AttemptResult;

#[tokio::test]
async fn a_message_for_a_user_ends_in_the_maildir() {
    let mut house = House::start("").await;
    let reply = house.send("someone@example.net", &["alice@example.org"], "Subject: x\r\n\r\nhello\r\n").await;
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    let mail = house.maildir("alice");
    assert_eq!(mail.len(), 1);
    assert!(
        mail[0].starts_with(
            "Return-Path: <someone@example.net>\r\nDelivered-To: alice@example.org\r\nReceived: from client.example "
        ),
        "{mail:?}"
    );
    assert!(mail[0].ends_with("\r\nSubject: x\r\n\r\nhello\r\n"), "{mail:?}");
    house.stop().await;
}
