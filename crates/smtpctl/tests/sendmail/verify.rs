//! `sendmail -bv` and `smtpctl route`: where mail to an address would go.

use std::time::SystemTime;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use crate::ended::Ended;
use crate::house::House;
use crate::support::{program, run, sendmail};

const ROUTES: &str = "[[route]]\nrecipients = [\"example.net\"]\nto = \"smtp://127.0.0.1:2525\"\ntls = \"none\"\n";

async fn house() -> House {
    let mut house = House::start(ROUTES).await;
    house.write(
        "aliases",
        "postmaster: alice\ncrowd: alice, b@example.net, bob+x\nwaits: bob, c@example.com\nhalf: alice, gone\n",
    );
    house.reload().await;
    house
}

fn path_of(house: &House, user: &str) -> String {
    house.path("Maildir").join(user).display().to_string()
}

async fn verify(house: &House, addresses: &[&str]) -> Ended {
    sendmail(house, &[&["-bv"], addresses].concat(), "").await
}

/// Conventions of sendmail(1): the exit code says what would become of it, and nothing is sent.
#[tokio::test]
async fn whoever_is_admitted_is_told_all_of_it() {
    let mut house = house().await;
    let (alice, bob) = (path_of(&house, "alice"), path_of(&house, "bob"));
    let ended = verify(&house, &["alice"]).await;
    assert_eq!((ended.code, ended.output), (0, format!("alice@example.org\n  alice in {alice}\n")), "{}", ended.errors);
    let ended = verify(&house, &["crowd"]).await;
    let hop = "smtp://127.0.0.1:2525?tls=none";
    let crowd = format!("crowd@example.org\n  alice in {alice}\n  b@example.net by {hop}\n  bob in {bob}\n");
    assert_eq!((ended.code, ended.output), (0, crowd), "{}", ended.errors);
    let ended = verify(&house, &["half@example.org", "b@example.net"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.output.contains("\n  left out: alias \"half\" names \"gone\""), "{ended:?}");
    assert!(ended.output.ends_with(&format!("b@example.net\n  b@example.net by {hop}\n")), "{ended:?}");
    let ended = verify(&house, &["waits"]).await;
    assert_eq!((ended.code, ended.output), (75, format!("waits@example.org\n  bob in {bob}\n")), "{}", ended.errors);
    assert!(
        ended.errors.starts_with("sendmail: mail to c@example.com waits: no route to example.com"),
        "{}",
        ended.errors
    );
    let ended = verify(&house, &["nobody", "waits"]).await;
    assert_eq!(ended.code, 67, "the gravest: {ended:?}");
    assert!(ended.errors.starts_with("sendmail: nobody@example.org is refused: 550 5.1.1 "), "{ended:?}");
    assert_eq!(verify(&house, &[]).await.code, 64);
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
    house.stop().await;
    assert_eq!(verify(&house, &["alice"]).await.code, 75);
}

#[tokio::test]
async fn smtpctl_says_the_same_to_people_and_programs() {
    let mut house = house().await;
    let route = async |words: &[&str]| run(program(&house, "smtpctl", &[&["route"], words].concat()), "").await;
    let ended = route(&["alice"]).await;
    let expected = format!("alice@example.org\n  alice in {}\n", path_of(&house, "alice"));
    assert_eq!((ended.code, ended.output), (0, expected), "{}", ended.errors);
    let ended = route(&["nobody@example.org", "--json"]).await;
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.starts_with(
            r#"{"address":"nobody@example.org","targets":[],"refusal":{"code":550,"status":"5.1.1","text":""#
        ),
        "{ended:?}"
    );
    assert!(ended.errors.starts_with("smtpctl: nobody@example.org is refused: 550 5.1.1 "), "{ended:?}");
    let ended = route(&["a@example.net", "--json"]).await;
    let expected = r#"{"address":"a@example.net","targets":[{"address":"a@example.net","class":"remote","to":"smtp://127.0.0.1:2525?tls=none"}]}"#;
    assert_eq!((ended.code, ended.output), (0, format!("{expected}\n")), "{}", ended.errors);
    assert_eq!(route(&["no address"]).await.code, 64);
    assert_eq!(route(&["alice, bob"]).await.code, 64);
    house.stop().await;
}

/// An admin socket that admits nobody, as it is for most users.
fn closed(house: &House) {
    let listener = UnixListener::bind(house.path("closed.sock")).unwrap();
    let configuration =
        "hostname = \"mx.example.org\"\n[admin]\nsocket = \"closed.sock\"\n[submit]\nsocket = \"submit.sock\"\n";
    house.write("other.toml", configuration);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 13\r\n\r\n{\"error\":\"x\"}";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
}

#[tokio::test]
async fn others_are_told_whether_it_is_accepted() {
    let mut house = house().await;
    closed(&house);
    let verify = async |house: &House, addresses: &[&str]| {
        let mut command = program(house, "sendmail", &[&["-bv"], addresses].concat());
        command.env("SMTP_SERVER_CONFIG", house.path("other.toml"));
        run(command, "").await
    };
    let ended = verify(&house, &["alice", "someone@example.net"]).await;
    let expected = "alice@example.org is accepted\nsomeone@example.net is accepted\n";
    assert_eq!((ended.code, &*ended.output), (0, expected), "{}", ended.errors);
    let ended = verify(&house, &["nobody", "bob"]).await;
    assert_eq!((ended.code, &*ended.output), (67, "bob@example.org is accepted\n"), "{}", ended.errors);
    assert!(ended.errors.starts_with("sendmail: 550 5.1.1 "), "{ended:?}");
    // More of them than one message may have.
    house.configure(&format!("[limits]\nrecipients_per_message = 2\n{ROUTES}"));
    house.reload().await;
    let ended = verify(&house, &["alice", "bob", "nobody", "postmaster", "crowd", "half"]).await;
    let expected =
        ["alice", "bob", "postmaster", "crowd", "half"].map(|user| format!("{user}@example.org is accepted\n"));
    assert_eq!((ended.code, &*ended.output), (67, &*expected.concat()), "{}", ended.errors);
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
    house.stop().await;
}
