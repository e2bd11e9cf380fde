//! Clients that a listed peer names by XCLIENT: whose address counts, and who may say whose it is.

use smtp_server::metrics::AttemptResult;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::auth::{plain, users};
use crate::client::{connect_from, hello_on, secure, starttls};
use crate::house::{Dialogue, House, until};
use crate::lines::Lines;
use crate::proxy::address;

const CONTENT: &str = "Subject: x\r\n\r\nx\r\n";
/// Who may name clients, and somebody else.
const PEER: &str = "127.0.0.9";
const OTHER: &str = "127.0.0.10";
const MX: &str = "127.0.0.4";
const SUBMISSIONS: &str = "127.0.0.5";
const OFFER: &str = "250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

fn trusting(more: &str) -> String {
    let listener = |service: &str, address: &str, tls: &str| {
        let place = format!("addresses = [\"{address}:0\"]\ntls = \"{tls}\"\nxclient_from = [\"{PEER}\"]\n");
        format!("[[listener]]\nservice = \"{service}\"\n{place}")
    };
    format!("{more}{}{}", listener("mx", MX, "starttls"), listener("submission", SUBMISSIONS, "implicit"))
}

/// A session of the peer with the mx listener, EHLO said.
async fn peer(house: &mut House) -> Dialogue<TcpStream> {
    hello_on(connect_from(PEER, address(house, MX)).await).await
}

/// The peer names a client, and says EHLO for it.
async fn named(house: &mut House, attributes: &str) -> Dialogue<TcpStream> {
    let mut session = peer(house).await;
    name(&mut session, attributes).await;
    session
}

async fn name(session: &mut Dialogue<TcpStream>, attributes: &str) {
    let greeting = session.ask(&format!("XCLIENT {attributes}")).await;
    assert_eq!(greeting, "220 mx.example.org ESMTP", "{attributes}");
    let reply = session.ask("EHLO client.example").await;
    assert!(reply.ends_with(OFFER), "{reply}");
}

/// A session of the peer with the listener for people, under TLS.
async fn people(house: &mut House) -> Dialogue<TlsStream<TcpStream>> {
    let clear = connect_from(PEER, address(house, SUBMISSIONS)).await;
    let mut session = Dialogue::new(secure(house, clear.stream).await).greeted().await;
    assert!(session.ask("EHLO filter.example").await.contains("AUTH PLAIN LOGIN"));
    session
}

async fn send_to_alice(house: &mut House, session: &mut Dialogue<TcpStream>) {
    let reply = session.send("a@example.net", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
}

#[tokio::test]
async fn the_client_that_is_named_is_the_client() {
    let lines = Lines::capture();
    let mut house = House::start(&trusting("")).await;
    let mut session = peer(&mut house).await;
    send_to_alice(&mut house, &mut session).await;
    let whole = "NAME=spike.example ADDR=192.0.2.1 PORT=40000 PROTO=SMTP HELO=spike LOGIN=a+20b DESTADDR=198.51.100.25 \
                 DESTPORT=25";
    name(&mut session, whole).await;
    send_to_alice(&mut house, &mut session).await;
    // What is not spoken of stays, and what is not known is gone.
    name(&mut session, "NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 HELO=[UNAVAILABLE]").await;
    send_to_alice(&mut house, &mut session).await;

    let received = lines.of("received");
    let seen = |key: &str| received.iter().map(|line| line[key].as_str().unwrap_or("-")).collect::<Vec<_>>();
    assert!(seen("peer")[0].starts_with(PEER), "{received:?}");
    assert_eq!(seen("peer")[1..], ["192.0.2.1:40000", "[2001:db8::1]:40000"]);
    assert_eq!(seen("proxy"), ["-", PEER, PEER]);
    assert_eq!(seen("hello"), ["client.example", "spike", "client.example"]);
    let mut from: Vec<String> = Vec::new();
    for mail in house.maildir("alice") {
        let field = mail.lines().find(|line| line.starts_with("Received: ")).unwrap();
        from.push(field.to_owned());
    }
    from.sort();
    assert_eq!(
        from,
        [
            "Received: from client.example ([127.0.0.9])",
            "Received: from client.example ([IPv6:2001:db8::1])",
            "Received: from spike (spike.example [192.0.2.1])",
        ]
    );
    let said = &lines.of("xclient")[0];
    for (key, value) in [
        ("peer", "192.0.2.1:40000"),
        ("proxy", PEER),
        ("protocol", "SMTP"),
        ("destination", "198.51.100.25"),
        ("name", "spike.example"),
        ("hello", "spike"),
        ("login", "a b"),
    ] {
        assert_eq!(said[key], value, "{said}");
    }
    assert_eq!(said["destination_port"], 25);
    assert!(house.metrics().contains("smtp_server_commands_total{verb=\"xclient\",class=\"2\"} 2\n"));
    house.stop().await;
}

/// The rights are those of the client, and the peer's own open nothing for it.
#[tokio::test]
async fn policy_asks_for_the_client_and_not_for_the_peer() {
    for (networks, client, code) in [
        ("192.0.2.0/24", "ADDR=192.0.2.1", "250 "),
        ("192.0.2.0/24", "ADDR=IPV6:::ffff:192.0.2.1", "250 "),
        ("192.0.2.0/24", "ADDR=198.51.100.1", "550 5.7.1 "),
        ("127.0.0.9/32", "ADDR=192.0.2.1", "550 5.7.1 "),
        ("127.0.0.9/32", "HELO=client NAME=client.example LOGIN=alice PORT=1", "250 "),
    ] {
        let mut house = House::start(&trusting(&format!("[relay]\nnetworks = [\"{networks}\"]\n"))).await;
        let mut session = named(&mut house, client).await;
        session.ask("MAIL FROM:<a@example.net>").await;
        let reply = session.ask("RCPT TO:<x@elsewhere.example>").await;
        assert!(reply.starts_with(code), "{networks}, {client}: {reply}");
        drop(session);
        house.stop().await;
    }
}

/// A client without an address would have the rights of the peer.
#[tokio::test]
async fn a_client_without_an_address_is_turned_away() {
    let lines = Lines::capture();
    let mut house = House::start(&trusting("")).await;
    let mut session = peer(&mut house).await;
    let reply = session.ask("XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] LOGIN=alice").await;
    assert_eq!(reply, "550 5.7.1 Clients whose address is not known are not served");
    assert!(lines.of("xclient").is_empty());
    assert_eq!(lines.of("refused")[0]["stage"], "connect");
    send_to_alice(&mut house, &mut session).await;
    let received = &lines.of("received")[0];
    assert!(received["peer"].as_str().unwrap().starts_with(PEER) && received["proxy"].is_null(), "{received}");
    house.stop().await;
}

#[tokio::test]
async fn others_may_name_nobody() {
    let lines = Lines::capture();
    let mut house = House::start(&trusting("")).await;
    for (source, listener) in [(OTHER, MX), (PEER, "127.0.0.1")] {
        let mut session = connect_from(source, address(&mut house, listener)).await.greeted().await;
        for hello in ["NOOP", "EHLO client.example"] {
            assert!(!session.ask(hello).await.contains("XCLIENT"));
            let reply = session.ask("XCLIENT ADDR=192.0.2.1").await;
            assert_eq!(reply, "550 5.7.1 XCLIENT is not permitted to you", "{source}");
        }
        send_to_alice(&mut house, &mut session).await;
    }
    assert!(lines.of("xclient").is_empty());
    assert!(lines.of("received").iter().all(|line| line["proxy"].is_null()));
    assert!(house.metrics().contains("smtp_server_rejects_total{stage=\"command\",code=\"550\"} 4\n"));
    house.stop().await;
}

/// The trust is in the peer, whatever client it has named, and under TLS as in the clear.
#[tokio::test]
async fn whom_it_has_named_changes_nothing_in_who_may_name() {
    let mut house = House::start(&trusting("")).await;
    let session = peer(&mut house).await;
    let mut session = starttls(&house, session).await;
    for client in ["192.0.2.1", "192.0.2.2", PEER, OTHER, "192.0.2.1"] {
        let greeting = session.ask(&format!("XCLIENT ADDR={client}")).await;
        assert_eq!(greeting, "220 mx.example.org ESMTP");
        let reply = session.ask("EHLO client.example").await;
        assert!(reply.ends_with(OFFER) && !reply.contains("STARTTLS"), "{reply}");
    }
    house.stop().await;
}

/// C30: the limit is that of each client; the peer's own sessions are many.
#[tokio::test]
async fn c30_a_limit_meets_the_client_and_not_the_peer() {
    let lines = Lines::capture();
    let mut house = House::start(&trusting("[limits]\nsessions_per_client = 2\n")).await;
    let control = house.daemon().control().clone();
    let mut first = named(&mut house, "ADDR=192.0.2.1").await;
    let second = named(&mut house, "ADDR=192.0.2.1 PORT=2").await;
    let mut third = peer(&mut house).await;
    let reply = third.ask("XCLIENT ADDR=192.0.2.1 PORT=3").await;
    assert_eq!(reply, "421 4.7.0 Too many sessions from your address; close some");
    assert!(third.end().await);
    assert_eq!(lines.of("refused")[0]["peer"], "192.0.2.1:3");
    let counted = "smtp_server_guards_total{guard=\"sessions_per_client\",action=\"refused\"} 1\n";
    assert!(house.metrics().contains(counted));
    until("it has ended", || control.metrics().sessions_open() == 2).await;
    let other = named(&mut house, "ADDR=192.0.2.2").await;
    // A session that is another client's now makes room.
    name(&mut first, "ADDR=192.0.2.3").await;
    let third = named(&mut house, "ADDR=192.0.2.1").await;
    drop((first, second, other, third));
    until("none is left", || control.metrics().sessions_open() == 0).await;
    let again = (named(&mut house, "ADDR=192.0.2.1").await, named(&mut house, "ADDR=192.0.2.1").await);
    drop(again);
    house.stop().await;
}

/// LOGIN is for the log, and who has logged in before is not the client.
#[tokio::test]
async fn nobody_is_logged_in_by_xclient() {
    let mut house = House::start(&trusting("[auth]\nfailure_delay = \"0s\"\n")).await;
    house.write("users.toml", &users(false));
    house.reload().await;
    let mut session = people(&mut house).await;
    let reply = session.ask(&plain("\0alice\0wonderland")).await;
    assert!(reply.starts_with("235 "), "{reply}");
    for attributes in ["LOGIN=alice", "ADDR=192.0.2.1 LOGIN=alice"] {
        let greeting = session.ask(&format!("XCLIENT {attributes}")).await;
        assert!(greeting.starts_with("220 "), "{greeting}");
        assert!(session.ask("EHLO client.example").await.contains("AUTH PLAIN LOGIN"));
        let reply = session.ask("MAIL FROM:<alice@example.org>").await;
        assert!(reply.starts_with("530 5.7.0 "), "{attributes}: {reply}");
    }
    let reply = session.ask(&plain("\0alice\0wonderland")).await;
    assert!(reply.starts_with("235 "), "{reply}");
    let reply = session.ask("MAIL FROM:<alice@example.org>").await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.stop().await;
}

/// C30: log-ins that fail are those of the client.
#[tokio::test]
async fn c30_who_guesses_behind_a_peer_locks_out_nobody_else() {
    let mut house = House::start(&trusting("[auth]\nfailure_delay = \"0s\"\nfailures_per_client = 3\n")).await;
    house.write("users.toml", &users(false));
    house.reload().await;
    for (client, replies) in
        [("192.0.2.1", ["535 ", "535 ", "535 ", "454 "]), ("192.0.2.2", ["535 ", "535 ", "535 ", "454 "])]
    {
        for expected in replies {
            let mut session = people(&mut house).await;
            session.ask(&format!("XCLIENT ADDR={client}")).await;
            session.ask("EHLO client.example").await;
            let reply = session.ask(&plain("\0alice\0guess")).await;
            assert!(reply.starts_with(expected), "{client}: {reply}");
        }
    }
    let mut session = people(&mut house).await;
    session.ask("XCLIENT ADDR=192.0.2.3").await;
    session.ask("EHLO client.example").await;
    let reply = session.ask(&plain("\0alice\0wonderland")).await;
    assert!(reply.starts_with("235 "), "{reply}");
    house.stop().await;
}

/// Whether a client must wait for its turn is a question of who it is, and the peer may send its commands in one group.
#[tokio::test]
async fn turns_are_those_of_the_client() {
    let mut house = House::start(&trusting("[relay]\nnetworks = [\"192.0.2.0/24\"]\n")).await;
    for (client, waits) in [("192.0.2.1", false), ("198.51.100.1", true)] {
        let mut session = peer(&mut house).await;
        session
            .write(format!("XCLIENT HELO=client\r\nXCLIENT ADDR={client}\r\nEHLO client.example\r\n").as_bytes())
            .await;
        for expected in ["220 ", "220 ", "250-"] {
            let reply = session.reply().await;
            assert!(reply.starts_with(expected), "{client}: {reply}");
        }
        session.write(b"EHLO client.example\r\nMAIL FROM:<a@example.net>\r\n").await;
        let reply = session.reply().await;
        assert_eq!(reply.starts_with("503 5.5.1 You have not waited"), waits, "{client}: {reply}");
    }
    house.stop().await;
}
