//! Clients behind a proxy (the PROXY protocol): whose address counts, and who may say whose it is.

use std::net::SocketAddr;

use smtp_server::metrics::{AttemptResult, Service};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::auth::{plain, users};
use crate::client::{connect_from, hello_on, secure, starttls};
use crate::house::{Dialogue, House, until};
use crate::lines::Lines;

const CONTENT: &str = "Subject: x\r\n\r\nx\r\n";
/// The proxy, as the listeners below know it.
const PROXY: &str = "127.0.0.9";
/// Somebody else.
const OTHER: &str = "127.0.0.10";
/// The listeners behind the proxy: for other servers, and for people with TLS from the first octet and without.
const MX: &str = "127.0.0.4";
const SUBMISSIONS: &str = "127.0.0.5";
const SUBMISSION: &str = "127.0.0.6";

fn behind(limits: &str) -> String {
    let listener = |service: &str, address: &str, tls: &str| {
        let place = format!("addresses = [\"{address}:0\"]\ntls = \"{tls}\"\nproxy_from = [\"{PROXY}\"]\n");
        format!("[[listener]]\nservice = \"{service}\"\n{place}")
    };
    format!(
        "{limits}[relay]\nnetworks = [\"192.0.2.0/24\"]\n{}{}{}",
        listener("mx", MX, "starttls"),
        listener("submission", SUBMISSIONS, "implicit"),
        listener("submission", SUBMISSION, "starttls"),
    )
}

pub(crate) fn address(house: &mut House, ip: &str) -> SocketAddr {
    let listening = house.daemon().listening();
    listening.iter().map(|one| one.address).find(|address| address.ip().to_string() == ip).unwrap()
}

fn v1(client: &str) -> Vec<u8> {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let own = if client.contains(':') { "2001:db8::25" } else { "198.51.100.25" };
    format!("PROXY {family} {client} {own} 40000 25\r\n").into_bytes()
}

fn v2(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13".to_vec();
    header.extend(client);
    // Where it went, both ports, and an extension that nobody knows.
    header.extend([198, 51, 100, 25, 0x9c, 0x40, 0, 25, 0xe0, 0, 4, 1, 2, 3, 4]);
    header
}

/// A connection of the proxy that begins with `header`.
async fn proxied(house: &mut House, listener: &str, header: &[u8]) -> Dialogue<TcpStream> {
    let mut dialogue = connect_from(PROXY, address(house, listener)).await;
    dialogue.write(header).await;
    dialogue
}

/// The same, greeted and with EHLO said.
async fn hello(house: &mut House, header: &[u8]) -> Dialogue<TcpStream> {
    hello_on(proxied(house, MX, header).await).await
}

/// C28: the header first, then the greeting or the handshake; the client's address is the one that is told and that decides.
#[tokio::test]
async fn c28_the_client_of_the_header_is_the_client() {
    let lines = Lines::capture();
    let mut house = House::start(&behind("")).await;
    let mut seen = 0;
    for (header, own) in [(v1("192.0.2.1"), "192.0.2.1"), (v2([192, 0, 2, 2]), "192.0.2.2")] {
        let mut clear = hello(&mut house, &header).await;
        assert!(clear.send("a@example.net", &["alice@example.org"], CONTENT).await.starts_with("250 "));
        house.attempt("alice@example.org", AttemptResult::Delivered).await;

        let clear = hello(&mut house, &header).await;
        let mut upgraded = starttls(&house, clear).await;
        assert!(upgraded.send("b@example.net", &["alice@example.org"], CONTENT).await.starts_with("250 "));
        house.attempt("alice@example.org", AttemptResult::Delivered).await;

        // TLS from the first octet behind the header, and a service that asks who the client is.
        let implicit = proxied(&mut house, SUBMISSIONS, &header).await;
        let mut implicit = Dialogue::new(secure(&house, implicit.stream).await);
        assert!(implicit.reply().await.starts_with("220 "));
        implicit.ask("EHLO client.example").await;
        let reply = implicit.send("alice@example.org", &["alice@example.org"], CONTENT).await;
        assert!(reply.starts_with("250 "), "{reply}");
        house.attempt("alice@example.org", AttemptResult::Delivered).await;

        let received = lines.of("received").split_off(seen);
        seen += received.len();
        assert_eq!(received.len(), 3, "{received:?}");
        for line in received {
            assert_eq!(line["peer"], format!("{own}:40000"), "{line}");
            assert!(line["proxy"].as_str().unwrap().starts_with(PROXY), "{line}");
        }
        let told = house.maildir("alice").iter().filter(|mail| mail.contains(&format!("[{own}]"))).count();
        assert_eq!(told, 3, "{:?}", house.maildir("alice"));
    }
    assert!(!house.maildir("alice").iter().any(|mail| mail.contains(PROXY)));
    house.stop().await;
}

/// C28: the networks that may send on are those of clients, and the proxy's own address opens nothing for others.
#[tokio::test]
async fn c28_policy_asks_for_the_client_and_not_for_the_proxy() {
    let mut house = House::start(&behind("").replace("192.0.2.0/24", "127.0.0.9/32")).await;
    let mut client = hello(&mut house, &v1("192.0.2.1")).await;
    client.ask("MAIL FROM:<a@example.net>").await;
    let reply = client.ask("RCPT TO:<x@elsewhere.example>").await;
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    drop(client);
    let mut client = proxied(&mut house, SUBMISSION, &v1("192.0.2.1")).await;
    assert!(client.reply().await.starts_with("220 "));
    client.ask("EHLO client.example").await;
    let reply = client.ask("MAIL FROM:<alice@example.org>").await;
    assert!(reply.starts_with('5'), "{reply}");
    drop(client);
    house.stop().await;
}

#[tokio::test]
async fn c28_a_header_in_pieces_is_one_header() {
    let mut house = House::start(&behind("")).await;
    for header in [v1("192.0.2.1"), v2([192, 0, 2, 1])] {
        let (first, second) = (3, header.len() - 2);
        for last in ["", "EHLO client.example\r\n"] {
            let mut dialogue = proxied(&mut house, MX, &header[..first]).await;
            tokio::task::yield_now().await;
            dialogue.write(&header[first..second]).await;
            tokio::task::yield_now().await;
            dialogue.write(&[&header[second..], last.as_bytes()].concat()).await;
            let greeting = dialogue.reply().await;
            assert!(greeting.starts_with("220 "), "{greeting}");
        }
    }
    house.stop().await;
}

/// C28: what does not begin with a header, or comes from somebody who is no proxy, is closed without a greeting.
#[tokio::test]
async fn c28_others_and_other_beginnings_are_closed_without_a_word() {
    let lines = Lines::capture();
    let mut house = House::start(&behind("")).await;
    let mx = address(&mut house, MX);
    for octets in [&v1("192.0.2.1")[..], &v2([192, 0, 2, 1]), b"EHLO client.example\r\n", b""] {
        let mut dialogue = connect_from(OTHER, mx).await;
        // It may be closed already.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut dialogue.stream, octets).await;
        assert_eq!(dialogue.reply().await, "", "{octets:?}");
    }
    until("they are logged", || lines.of("proxy_refused").len() == 4).await;
    assert!(house.metrics().contains("smtp_server_proxy_refusals_total{reason=\"not_listed\"} 4\n"));

    let v2_udp = b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02".to_vec();
    for header in [b"EHLO client.example\r\n".to_vec(), b"PROXY TCP4 192.0.2.1\r\n".to_vec(), v2_udp] {
        let mut dialogue = proxied(&mut house, MX, &header).await;
        assert_eq!(dialogue.reply().await, "", "{header:?}");
    }
    until("they are logged", || lines.of("proxy_refused").len() == 7).await;
    let line = &lines.of("proxy_refused")[6];
    assert_eq!((&line["reason"], &line["level"]), (&"malformed".into(), &"info".into()));
    assert_eq!(line["text"], "no PROXY header: the address family and protocol 0x12 are no TCP");
    assert!(line["advice"].as_str().unwrap().contains("proxy_from"), "{line}");
    assert!(house.metrics().contains("smtp_server_proxy_refusals_total{reason=\"malformed\"} 3\n"));

    // A listener without proxies knows no header: it is an unknown command, behind the greeting.
    let mut dialogue = house.connect().await;
    assert!(dialogue.ask("PROXY TCP4 192.0.2.1 198.51.100.7 1 25").await.starts_with("500 "));
    house.stop().await;
}

/// C28: a proxy that speaks for itself, or for it does not know whom.
#[tokio::test]
async fn c28_unknown_and_local_keep_the_address_of_the_connection() {
    let lines = Lines::capture();
    let mut house = House::start(&behind("")).await;
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut dialogue = hello(&mut house, header).await;
        assert!(dialogue.send("a@example.net", &["alice@example.org"], CONTENT).await.starts_with("250 "));
        house.attempt("alice@example.org", AttemptResult::Delivered).await;
    }
    let received = lines.of("received");
    assert_eq!(received.len(), 2, "{received:?}");
    for line in received {
        assert!(line["peer"].as_str().unwrap().starts_with(PROXY) && line["proxy"].is_null(), "{line}");
    }
    let told = house.maildir("alice").iter().filter(|mail| mail.contains("[127.0.0.9]")).count();
    assert_eq!((told, house.maildir("alice").len()), (2, 2));
    house.stop().await;
}

/// C04: a proxy that only looks whether the port is open is no event, and is not greeted.
#[tokio::test]
async fn c04_health_checks_without_a_header_are_quiet() {
    let lines = Lines::capture();
    let mut house = House::start(&behind("")).await;
    let before = house.metrics();
    for _ in 0..100 {
        let mut dialogue = proxied(&mut house, MX, b"").await;
        tokio::io::AsyncWriteExt::shutdown(&mut dialogue.stream).await.unwrap();
        assert_eq!(dialogue.reply().await, "");
    }
    assert!(lines.of("proxy_refused").is_empty() && lines.of("closed").is_empty() && lines.grave().is_empty());
    let failures =
        |text: &str| text.lines().filter(|line| line.contains("proxy_refusals")).map(str::to_owned).collect();
    let (before, after): (Vec<_>, Vec<_>) = (failures(&before), failures(&house.metrics()));
    assert_eq!(before, after);
    hello(&mut house, &v1("192.0.2.1")).await;
    house.stop().await;
}

/// C30: behind a proxy the limits are those of each client, also where he has a whole /64 to move in.
#[tokio::test]
async fn c30_a_limit_meets_the_client_and_not_those_beside_him() {
    let lines = Lines::capture();
    let mut house = House::start(&behind("[limits]\nsessions_per_client = 2\n")).await;
    let control = house.daemon().control().clone();
    let quits = || lines.of("closed").iter().filter(|line| line["reason"] == "quit").count();
    for (clients, other) in
        [(["192.0.2.1"; 3], "192.0.2.2"), (["2001:db8::1", "2001:db8::2", "2001:db8::3"], "2001:db8:0:1::1")]
    {
        let first = hello(&mut house, &v1(clients[0])).await;
        let mut second = hello(&mut house, &v1(clients[1])).await;
        let mut third = proxied(&mut house, MX, &v1(clients[2])).await;
        let reply = third.reply().await;
        assert!(reply.starts_with("421 4.7.0 Too many sessions from your address"), "{reply}");
        assert_eq!(third.reply().await, "");
        let refused = lines.of("refused");
        assert!(refused.last().unwrap()["peer"].as_str().unwrap().contains(clients[2]), "{refused:?}");
        let other = hello(&mut house, &v1(other)).await;
        // A session that has ended makes room.
        let before = quits();
        second.ask("QUIT").await;
        until("it has ended", || quits() == before + 1).await;
        drop(second);
        until("two are left", || control.metrics().sessions_open() == 2).await;
        let again = hello(&mut house, &v1(clients[2])).await;
        drop((first, other, again));
        until("none is left", || control.metrics().sessions_open() == 0).await;
    }
    house.stop().await;
}

/// C30: log-ins that fail are those of the client of the header, wherever in the /64 it is, and not of all behind the proxy.
#[tokio::test]
async fn c30_who_guesses_behind_a_proxy_locks_out_nobody_else() {
    let lines = Lines::capture();
    let mut house = House::start(&behind("[auth]\nfailure_delay = \"0s\"\nfailures_per_client = 50\n")).await;
    house.write("users.toml", &users(false));
    house.reload().await;
    for guess in 0..50 {
        let mut guesser = people(&mut house, &format!("2001:db8::{guess:x}")).await;
        let reply = guesser.ask(&plain("\0alice\0guess")).await;
        assert!(reply.starts_with("535 5.7.8 "), "{guess}: {reply}");
        guesser.ask("QUIT").await;
    }
    let mut guesser = people(&mut house, "2001:db8::ffff").await;
    assert!(guesser.ask(&plain("\0alice\0wonderland")).await.starts_with("454 4.7.0 "));
    let failed = lines.of("authentication_failed");
    let last = failed.last().unwrap();
    assert_eq!((&last["reason"], &last["proxy"]), (&"too many failures from 2001:db8::".into(), &PROXY.into()));
    for other in ["2001:db8:0:1::1", "192.0.2.1"] {
        let mut session = people(&mut house, other).await;
        let reply = session.ask(&plain("\0alice\0wonderland")).await;
        assert!(reply.starts_with("235 "), "{other}: {reply}");
    }
    drop(guesser);
    house.stop().await;
}

/// A session of that client with the listener for people, under TLS, with EHLO said.
async fn people(house: &mut House, client: &str) -> Dialogue<TlsStream<TcpStream>> {
    let clear = proxied(house, SUBMISSIONS, &v1(client)).await;
    let mut session = Dialogue::new(secure(house, clear.stream).await).greeted().await;
    assert!(session.ask("EHLO laptop.example").await.contains("AUTH PLAIN LOGIN"));
    session
}

/// C31: connections that are cut off in the header, or behind it, leave no session behind.
#[tokio::test]
async fn c31_nothing_is_left_of_those_who_went_away() {
    let mut house = House::start(&behind("[limits]\nsessions = 50\nsessions_per_client = 50\n")).await;
    let control = house.daemon().control().clone();
    let (mut broken, mut whole) = (0, 0);
    for header in [v1("192.0.2.1"), v2([192, 0, 2, 1])] {
        let mut silent = proxied(&mut house, MX, b"").await;
        tokio::io::AsyncWriteExt::shutdown(&mut silent.stream).await.unwrap();
        assert_eq!(silent.reply().await, "");
        for cut in 1..=header.len() {
            drop(proxied(&mut house, MX, &header[..cut]).await);
        }
        broken += header.len() - 1;
        whole += 1;
        let counted = format!("smtp_server_proxy_refusals_total{{reason=\"broken\"}} {broken}\n");
        until("all are counted", || house.metrics().contains(&counted)).await;
        until("the whole header is read", || control.metrics().sessions_opened(Service::Mx) == whole).await;
        until("all are gone", || control.metrics().sessions_open() == 0).await;
    }
    // All that may be open at once can be opened, and not one more.
    let mut open = Vec::new();
    for _ in 0..50 {
        open.push(hello(&mut house, &v1("192.0.2.1")).await);
    }
    let reply = connect_from(PROXY, address(&mut house, MX)).await.reply().await;
    assert!(reply.starts_with("421 "), "{reply}");
    drop(open);
    house.stop().await;
}
