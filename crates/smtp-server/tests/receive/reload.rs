//! A new configuration while the server runs: what is new at once, what stays as it was, and what is refused.

use std::net::{SocketAddr, TcpListener};
use std::time::SystemTime;

use smtp_server::config::Config;
use smtp_server::metrics::Service;
use tokio::net::TcpStream;

use crate::client::hello;
use crate::house::{Dialogue, House};

/// Writes the configuration again with one part of it changed.
fn change(house: &House, from: &str, to: &str) {
    let text = std::fs::read_to_string(house.path("c.toml")).unwrap();
    assert!(text.contains(from), "{from}");
    house.write("c.toml", &text.replacen(from, to, 1));
}

/// What SIGHUP does where the file can be used, but not what it says.
async fn reload_in_vain(house: &mut House) -> String {
    let config = Config::load(&house.path("c.toml")).unwrap().config;
    house.daemon().reload(config).await.unwrap_err().to_string()
}

fn problems(house: &mut House) -> Vec<String> {
    house.daemon().control().readiness(SystemTime::now()).problems
}

/// A port that nobody has, and that the system gives to nobody who does not name it.
fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(10_000..30_000));
    ports.find(|&port| TcpListener::bind(("0.0.0.0", port)).is_ok()).unwrap()
}

fn mx_addresses(house: &mut House) -> Vec<SocketAddr> {
    let listening = house.daemon().listening();
    listening.iter().filter(|one| one.service == Service::Mx).map(|one| one.address).collect()
}

#[tokio::test]
async fn new_rules_hold_from_the_next_transaction_on() {
    let mut house = House::start("").await;
    let mut dialogue = hello(&house).await;
    dialogue.ask("MAIL FROM:<a@example.net>").await;
    house.configure(
        "[relay]\ndomains = [\"corp.example\"]\n[[route]]\nrecipients = [\"*\"]\nto = \"smtp://127.0.0.1:9\"\n",
    );
    house.write("aliases", "postmaster: alice\nsales: bob\n");
    house.reload().await;
    for (line, expected) in [
        ("RCPT TO:<x@corp.example>", "550 5.7.1 "),
        ("RCPT TO:<sales@example.org>", "550 5.1.1 "),
        ("RSET", "250 "),
        ("MAIL FROM:<a@example.net>", "250 "),
        ("RCPT TO:<x@corp.example>", "250 "),
        ("RCPT TO:<sales@example.org>", "250 "),
        ("RCPT TO:<x@example.net>", "550 5.7.1 "),
        ("QUIT", "221 "),
    ] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    drop(dialogue);
    house.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_changes_nothing_and_is_told() {
    let mut house = House::start("").await;
    let good = std::fs::read_to_string(house.path("c.toml")).unwrap();
    change(&house, "users = \"users.toml\"", "users = \"users.tomb\"");
    let error = Config::load(&house.path("c.toml")).unwrap_err();
    house.daemon().note_reload_failed(&error);
    let told = problems(&mut house);
    assert!(told.len() == 1 && told[0].contains("c.toml:") && told[0].contains("users.tomb"), "{told:?}");
    assert!(house.daemon().control().readiness(SystemTime::now()).ready, "mail is taken all the same");
    let reply = house.send("a@example.net", &["alice@example.org"], "Subject: x\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.write("c.toml", &good);
    house.reload().await;
    assert!(problems(&mut house).is_empty());
    house.stop().await;
}

#[tokio::test]
async fn listeners_come_and_go_and_open_sessions_stay() {
    let mut house = House::start("").await;
    let first = house.address(Service::Mx, false);
    let mut open = hello(&house).await;
    change(&house, "addresses = [\"127.0.0.1:0\"]", "addresses = [\"127.0.0.1:0\", \"127.0.0.4:0\"]");
    house.reload().await;
    let both = mx_addresses(&mut house);
    assert_eq!((both.len(), both[0]), (2, first));
    Dialogue::new(TcpStream::connect(both[1]).await.unwrap()).reply().await;
    change(&house, "\"127.0.0.1:0\", ", "");
    house.reload().await;
    assert_eq!(mx_addresses(&mut house), [both[1]]);
    assert!(TcpStream::connect(first).await.is_err(), "the address that was left out is closed");
    let reply = open.send("a@example.net", &["alice@example.org"], "Subject: x\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    drop(open);
    house.stop().await;
}

/// From one address to all of them with the same port, and back: what stands in the way is our own.
#[tokio::test]
async fn a_listener_moves_to_all_addresses_and_back() {
    let mut house = House::start("").await;
    let port = free_port();
    change(&house, "addresses = [\"127.0.0.1:0\"]", &format!("addresses = [\"127.0.0.1:{port}\"]"));
    house.reload().await;
    for (from, to) in [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")] {
        change(&house, &format!("{from}:{port}"), &format!("{to}:{port}"));
        house.reload().await;
        let mut dialogue = Dialogue::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        assert!(dialogue.reply().await.starts_with("220 "));
        assert_eq!(mx_addresses(&mut house)[0].ip().to_string(), to);
    }
    house.stop().await;
}

/// A port that somebody else has: one line that says what to do, and everything is as before.
#[tokio::test]
async fn a_busy_port_changes_nothing() {
    let mut house = House::start("").await;
    let before = house.daemon().listening();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = other.local_addr().unwrap();
    change(&house, "addresses = [\"127.0.0.1:0\"]", &format!("addresses = [\"{busy}\", \"127.0.0.4:0\"]"));
    let error = reload_in_vain(&mut house).await;
    assert!(error.starts_with(&format!("{busy} cannot be listened on: another program has this port; ")), "{error}");
    assert!(!error.contains('\n'), "{error}");
    assert_eq!(house.daemon().listening(), before);
    assert!(problems(&mut house)[0].contains("another program has this port"));
    hello(&house).await;
    house.stop().await;
}

/// Where a listener of ours had to be closed to see that somebody else's is in the way too, it is opened again.
#[tokio::test]
async fn a_listener_that_made_way_in_vain_comes_back() {
    let mut house = House::start("").await;
    let port = free_port();
    let _other = TcpListener::bind(("127.0.0.5", port)).unwrap();
    change(&house, "addresses = [\"127.0.0.1:0\"]", &format!("addresses = [\"127.0.0.1:{port}\"]"));
    house.reload().await;
    change(&house, &format!("127.0.0.1:{port}"), &format!("0.0.0.0:{port}"));
    let error = reload_in_vain(&mut house).await;
    assert!(error.starts_with(&format!("0.0.0.0:{port} cannot be listened on: ")), "{error}");
    assert_eq!(mx_addresses(&mut house), [SocketAddr::from(([127, 0, 0, 1], port))]);
    hello(&house).await;
    house.stop().await;
}
