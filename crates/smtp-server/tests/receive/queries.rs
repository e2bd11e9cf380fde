//! HELP, VRFY, EXPN and ETRN, as the configuration has them.

use std::net::SocketAddr;
use std::time::SystemTime;

use smtp_queue::{Act, Page, Selector};
use smtp_server::metrics::{AttemptResult, Service};
use tokio::net::TcpStream;

use crate::client::{OTHER, connect_from, hello_from};
use crate::house::{Dialogue, House};

const CONTENT: &str = "Subject: x\r\n\r\nx\r\n";
/// The client network of these tests is the address OTHER.
const ALL: &str =
    "[extensions]\nvrfy = true\nexpn = true\netrn = true\nhelp = \"Ask postmaster@example.org\\nor the manual\"\n";
const ALIASES: &str = "postmaster: alice\nall: alice, bob, carol@example.net\nout: dave@example.net\n";

fn friends() -> String {
    format!("[relay]\nnetworks = [\"{OTHER}/32\"]\n")
}

fn mx(house: &House) -> SocketAddr {
    house.address(Service::Mx, false)
}

async fn holds(client: &mut Dialogue<TcpStream>, answers: &[(&str, &str)]) {
    for (line, expected) in answers {
        assert_eq!(client.ask(line).await, *expected, "{line}");
    }
}

async fn keywords(source: &str, house: &House) -> Vec<String> {
    let mut client = hello_from(source, mx(house)).await;
    let reply = client.ask("EHLO client.example").await;
    let all = ["HELP", "VRFY", "EXPN", "ETRN"];
    let keywords = reply.lines().skip(1).map(|line| line[4..].to_owned());
    keywords.filter(|keyword| all.contains(&keyword.as_str())).collect()
}

/// RFC 5321 §3.5, §4.1.1.8: each is answered where the configuration has it, and to those who may send to anywhere.
#[tokio::test]
async fn clients_of_this_network_are_told_who_there_is() {
    let mut house = House::start(&format!("{ALL}{}", friends())).await;
    house.write("aliases", ALIASES);
    house.reload().await;
    assert_eq!(keywords(OTHER, &house).await, ["HELP", "VRFY", "EXPN", "ETRN"]);
    let mut client = hello_from(OTHER, mx(&house)).await;
    let answers = [
        ("HELP", "214-2.0.0 Ask postmaster@example.org\n214 2.0.0 or the manual"),
        ("HELP MAIL", "214-2.0.0 Ask postmaster@example.org\n214 2.0.0 or the manual"),
        ("VRFY alice", "250 2.1.5 <alice@example.org>"),
        ("VRFY <Bob@example.org>", "250 2.1.5 <Bob@example.org>"),
        ("VRFY out", "251 2.1.5 User not local; will forward to <dave@example.net>"),
        ("VRFY nobody", "550 5.1.1 <nobody@example.org>: no such user here"),
        ("VRFY x@example.net", "252 2.5.0 Cannot verify; send the message and see"),
        ("VRFY a@b@c", "553 5.1.3 That is no name and no address"),
        ("EXPN all", "250-2.1.5 <alice@example.org>\n250-2.1.5 <bob@example.org>\n250 2.1.5 <carol@example.net>"),
        ("EXPN alice", "250 2.1.5 <alice@example.org>"),
        ("EXPN nobody", "550 5.1.1 <nobody@example.org>: no such user here"),
        ("EXPN list@example.net", "550 5.1.1 That is no list of this server"),
    ];
    holds(&mut client, &answers).await;
    // A question changes nothing of a transaction.
    for line in ["MAIL FROM:<a@example.net>", "VRFY alice", "RCPT TO:<bob@example.org>", "EXPN all", "RSET"] {
        let reply = client.ask(line).await;
        assert!(reply.starts_with("250"), "{line}: {reply}");
    }
    drop(client);
    house.stop().await;
}

/// RFC 5321 §7.3: to strangers every answer is the same.
#[tokio::test]
async fn strangers_are_told_nothing() {
    let mut house = House::start(&format!("{ALL}{}", friends())).await;
    house.write("aliases", ALIASES);
    house.reload().await;
    assert_eq!(keywords("127.0.0.1", &house).await, ["HELP"]);
    let mut client = hello_from("127.0.0.1", mx(&house)).await;
    for name in ["alice", "nobody", "all", "a@b@c"] {
        let answers = [
            (format!("VRFY {name}"), "252 2.5.0 Cannot verify; send the message and see"),
            (format!("EXPN {name}"), "502 5.5.1 Lists are not shown"),
        ];
        holds(&mut client, &answers.each_ref().map(|(line, answer)| (line.as_str(), *answer))).await;
    }
    let reply = client.ask("ETRN corp.example").await;
    assert_eq!(reply, "459 4.7.1 Node corp.example not allowed: this client may not ask for it");
    drop(client);
    house.stop().await;
}

/// Without the configuration nobody is told anything.
#[tokio::test]
async fn nothing_is_told_by_default() {
    let mut house = House::start(&friends()).await;
    assert_eq!(keywords(OTHER, &house).await, ["HELP"]);
    let mut client = hello_from(OTHER, mx(&house)).await;
    for (line, expected) in [
        ("VRFY alice", "252 "),
        ("EXPN postmaster", "502 "),
        ("ETRN x.example", "502 "),
        ("HELP", "214-2.0.0 Commands: "),
    ] {
        let reply = client.ask(line).await;
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    drop(client);
    house.stop().await;
}

/// One with a route for corp.example.
async fn house_of_corp() -> House {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hop = listener.local_addr().unwrap();
    // Nobody listens there: what is sent there waits, for an hour.
    drop(listener);
    let route = format!("[[route]]\nrecipients = [\"corp.example\", \"*.corp.example\"]\nto = \"smtp://{hop}\"\n");
    let more = format!("retry = [\"1h\", \"…\"]\n{ALL}{}{route}", friends());
    House::start(&more).await
}

/// RFC 1985 §5.1, §5.3: what waits for a domain that has a route is tried at once.
#[tokio::test]
async fn etrn_starts_what_waits() {
    let mut house = house_of_corp().await;
    let mut client = hello_from(OTHER, mx(&house)).await;
    let answers = [
        ("ETRN corp.example", "251 2.0.0 OK, nothing waiting for node corp.example"),
        ("ETRN other.example", "459 4.7.1 Node other.example not allowed: it has no route of its own here"),
        ("ETRN example.org", "459 4.7.1 Node example.org not allowed: it has no route of its own here"),
        ("ETRN #queue", "501 5.5.4 That is no domain"),
        ("ETRN @", "501 5.5.4 That is no domain"),
    ];
    holds(&mut client, &answers).await;
    let reply = client.send("a@example.org", &["x@corp.example"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("x@corp.example", AttemptResult::Deferred).await;
    let answers = [("ETRN corp.example", "253 2.0.0 OK, 1 pending recipient for node corp.example started")];
    holds(&mut client, &answers).await;
    house.attempt("x@corp.example", AttemptResult::Deferred).await;
    // Its next hop rests, so this one waits without an attempt.
    let reply = client.send("a@example.org", &["y@a.corp.example"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    let answers = [("ETRN @corp.example", "253 2.0.0 OK, 2 pending recipients for node corp.example started")];
    holds(&mut client, &answers).await;
    assert_eq!(house.next_attempt().await.result, AttemptResult::Deferred);
    client.ask("MAIL FROM:<a@example.net>").await;
    assert_eq!(client.ask("ETRN corp.example").await, "503 5.5.1 Not inside a transaction");
    drop(client);
    house.stop().await;
}

/// RFC 6409 §7: never for submission, also for those who may ask all else there; and it is nothing that programs hand mail over by.
#[tokio::test]
async fn etrn_is_for_servers_alone() {
    let lmtp = "[[listener]]\nservice = \"lmtp\"\naddresses = [\"127.0.0.4:0\"]\n";
    let mut house = House::start(&format!("{ALL}{}{lmtp}", friends())).await;
    for (service, hello) in [(Service::Submission, "EHLO"), (Service::Lmtp, "LHLO")] {
        let mut client = connect_from(OTHER, house.address(service, false)).await.greeted().await;
        let offered = client.ask(&format!("{hello} client.example")).await;
        let offers = |keyword| offered.lines().any(|line| line.get(4..) == Some(keyword));
        assert!(offers("VRFY") && !offers("ETRN"), "{offered}");
        let reply = client.ask("ETRN corp.example").await;
        assert!(reply.starts_with("502 "), "{reply}");
    }
    house.stop().await;
}

/// RFC 4865 §4.2: a message does not leave before its time because a client asks for it; nor does one that an operator holds.
#[tokio::test]
async fn etrn_starts_nothing_that_is_held() {
    let mut house = house_of_corp().await;
    let mut sender = hello_from(OTHER, house.address(Service::Submission, false)).await;
    for line in ["MAIL FROM:<a@example.org> HOLDFOR=3600", "RCPT TO:<x@corp.example>"] {
        let reply = sender.ask(line).await;
        assert!(reply.starts_with("250 "), "{line}: {reply}");
    }
    sender.ask("DATA").await;
    let reply = sender.ask(&format!("{CONTENT}.")).await;
    assert!(reply.starts_with("250 "), "{reply}");
    let nothing = [("ETRN corp.example", "251 2.0.0 OK, nothing waiting for node corp.example")];
    let mut client = hello_from(OTHER, mx(&house)).await;
    holds(&mut client, &nothing).await;

    let reply = client.send("a@example.org", &["y@corp.example"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("y@corp.example", AttemptResult::Deferred).await;
    let answers = [("ETRN corp.example", "253 2.0.0 OK, 1 pending recipient for node corp.example started")];
    holds(&mut client, &answers).await;
    house.attempt("y@corp.example", AttemptResult::Deferred).await;
    let queue = house.daemon().control().queue().clone();
    let scheduled = Selector { released: Some(false), ..Selector::default() };
    let found = queue.find(&scheduled, Page::ALL, SystemTime::now()).unwrap();
    assert!(matches!(&found[..], [x] if x.attempts == 0 && x.due >= x.released_at), "{found:?}");

    let hold = Act::Hold { reason: "a look first".to_owned(), until: None };
    queue.control(&Selector::default(), hold, SystemTime::now()).await.unwrap();
    holds(&mut client, &nothing).await;
    drop((client, sender));
    house.stop().await;
}
