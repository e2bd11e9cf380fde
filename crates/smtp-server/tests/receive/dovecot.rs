//! Dovecot as a second source of credentials, played by a script.

use smtp_sasl::{PasswordHash, prepare_password};
use smtp_server::metrics::{AttemptResult, Service};
use smtp_testkit::dovecot::{Say, ScriptedDovecot, hello};

use crate::auth::{base64, plain, submission};
use crate::client::{OTHER, connect_from, secure};
use crate::house::{Dialogue, House};
use crate::lines::Lines;

const AUTH: &str = "[auth]\nfailure_delay = \"0s\"\nfailures_per_client = 3\ndovecot_socket = \"dovecot.sock\"\n";

async fn house() -> House {
    let mut house = House::start(AUTH).await;
    let hash = PasswordHash::make(&prepare_password(b"of the file").unwrap());
    house.write("users.toml", &format!("[alice]\n[bob]\npassword = \"{}\"\n", hash.expose()));
    house.write("aliases", "postmaster: alice\ninfo: alice\n");
    house.reload().await;
    house
}

/// The reply to one attempt to log in from that address.
async fn guess_from(source: &str, house: &House, name: &str, password: &str) -> String {
    let stream = connect_from(source, house.address(Service::Submission, true)).await.stream;
    let mut session = Dialogue::new(secure(house, stream).await);
    session.reply().await;
    session.ask("EHLO laptop.example").await;
    session.ask(&plain(&format!("\0{name}\0{password}"))).await
}

/// One that says `user=` and what stands before the `@` of who logs in with the password "wonderland".
fn dovecot(house: &House, mechanisms: &[&str]) -> ScriptedDovecot {
    ScriptedDovecot::start(&house.path("dovecot.sock"), hello(mechanisms), |line| {
        let id = line.split('\t').nth(1).unwrap();
        let response = line.split_once("\tresp=").map_or("", |(_, response)| response);
        match response {
            "AGFsaWNlAHdvbmRlcmxhbmQ=" => format!("OK\t{id}\tuser=alice"),
            "AENhcm9sQGV4YW1wbGUuY29tAHdvbmRlcmxhbmQ=" => format!("OK\t{id}\tuser=carol@example.com"),
            "AHJvYmVydAB3b25kZXJsYW5k" => format!("OK\t{id}\tuser=bob"),
            "AGRhdmUAd29uZGVybGFuZA==" => format!("OK\t{id}\tuser=dave\tproxy\thost=192.0.2.1\tnologin"),
            "AHRlbXAAd29uZGVybGFuZA==" => format!("FAIL\t{id}\tuser=temp\ttemp"),
            _ => format!("FAIL\t{id}\tuser=somebody"),
        }
        .into()
    })
}

#[tokio::test]
async fn whom_dovecot_knows_sends_under_the_own_addresses() {
    let lines = Lines::capture();
    let mut house = house().await;
    let dovecot = dovecot(&house, &["PLAIN", "LOGIN", "DIGEST-MD5"]);
    let (mut session, offered) = submission(&house).await;
    assert!(offered.contains("AUTH PLAIN LOGIN") && !offered.contains("MD5"), "{offered}");
    assert!(session.ask(&plain("\0alice\0wonderland")).await.starts_with("235 2.7.0 "));
    for (path, expected) in [
        ("alice@example.org", "250 "),
        ("alice+tag@example.org", "250 "),
        ("info@example.org", "250 "),
        ("bob@example.org", "553 5.7.1 "),
        ("alice@example.com", "553 5.7.1 "),
    ] {
        let reply = session.ask(&format!("MAIL FROM:<{path}>")).await;
        assert!(reply.starts_with(expected), "{path}: {reply}");
        session.ask("RSET").await;
    }
    let content = "From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n";
    assert!(session.send("alice@example.org", &["bob@example.org"], content).await.starts_with("250 "));
    house.attempt("bob@example.org", AttemptResult::Delivered).await;

    // Dovecot says how the user is called, here in lower case.
    let (mut session, _) = submission(&house).await;
    assert_eq!(session.ask("AUTH LOGIN").await.trim_end(), "334 VXNlcm5hbWU6");
    session.ask(&base64("Carol@example.com")).await;
    assert!(session.ask(&base64("wonderland")).await.starts_with("235 "));
    for (path, expected) in
        [("carol@example.com", "250 "), ("Carol@Example.com", "250 "), ("alice@example.org", "553 5.7.1 ")]
    {
        let reply = session.ask(&format!("MAIL FROM:<{path}>")).await;
        assert!(reply.starts_with(expected), "{path}: {reply}");
        session.ask("RSET").await;
    }
    let logins: Vec<_> = lines.of("authenticated").iter().map(|line| line["login"].clone()).collect();
    assert_eq!(logins, ["alice", "carol@example.com"]);
    let heard = dovecot.heard();
    let asked = heard.iter().find(|line| line.starts_with("AUTH\t")).unwrap();
    assert!(asked.contains("\tPLAIN\tservice=smtp\tnologin\tsecured\trip=127.0.0.9\tresp="), "{asked}");
    for secret in ["wonderland", "AGFsaWNlAHdvbmRlcmxhbmQ=", "d29uZGVybGFuZA"] {
        assert!(!lines.text().contains(secret), "{secret} is in the log");
    }
    house.stop().await;
}

#[tokio::test]
async fn the_users_file_goes_first() {
    let mut house = house().await;
    let dovecot = dovecot(&house, &["PLAIN"]);
    let (mut session, offered) = submission(&house).await;
    assert!(!offered.contains("LOGIN"), "Dovecot does not have it: {offered}");
    assert!(session.ask(&plain("\0bob\0wonderland")).await.starts_with("535 "));
    assert!(session.ask(&plain("\0bob@example.org\0of the file")).await.starts_with("235 "));
    assert!(!dovecot.heard().iter().any(|line| line.starts_with("AUTH\t")), "{:?}", dovecot.heard());
    house.stop().await;
}

/// Under no other name either: Dovecot has more names than one for many, by its own rules.
#[tokio::test]
async fn who_has_a_password_in_the_users_file_has_no_second_one() {
    let mut house = house().await;
    let _dovecot = dovecot(&house, &["PLAIN"]);
    let (mut session, _) = submission(&house).await;
    let reply = session.ask(&plain("\0robert\0wonderland")).await;
    assert!(reply.starts_with("535 5.7.8 "), "Dovecot's password of bob: {reply}");
    // And who gets one while logged in is out.
    assert!(session.ask(&plain("\0alice\0wonderland")).await.starts_with("235 "));
    let users = std::fs::read_to_string(house.path("users.toml")).unwrap();
    let hash = users.lines().find(|line| line.starts_with("password")).unwrap();
    house.write("users.toml", &users.replace("[alice]", &format!("[alice]\n{hash}")));
    house.reload().await;
    assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("530 5.7.0 "));
    house.stop().await;
}

/// A proxy says OK to any password, and leaves it to the server behind it to look.
#[tokio::test]
async fn for_whom_dovecot_is_a_proxy_it_is_no_source() {
    let lines = Lines::capture();
    let mut house = house().await;
    let _dovecot = dovecot(&house, &["PLAIN"]);
    let (mut session, _) = submission(&house).await;
    let reply = session.ask(&plain("\0dave\0wonderland")).await;
    assert!(reply.starts_with("454 4.7.0 "), "{reply}");
    assert!(session.ask("MAIL FROM:<>").await.starts_with("530 5.7.0 "));
    let reason = lines.of("authentication_failed")[0]["reason"].to_string();
    assert!(reason.contains("proxy"), "{reason}");
    house.stop().await;
}

#[tokio::test]
async fn failures_at_dovecot_count_and_lock_out() {
    let mut house = house().await;
    let dovecot = dovecot(&house, &["PLAIN", "LOGIN"]);
    let (mut session, _) = submission(&house).await;
    for _ in 0..5 {
        let reply = session.ask(&plain("\0temp\0wonderland")).await;
        assert!(reply.starts_with("454 4.7.0 "), "it could not tell, which is nobody's failure: {reply}");
    }
    assert!(session.ask(&plain("bob\0alice\0wonderland")).await.starts_with("535 "), "for another");
    for _ in 0..2 {
        assert!(session.ask(&plain("\0alice\0guess")).await.starts_with("535 5.7.8 "));
    }
    let asked = dovecot.heard().len();
    assert!(session.ask(&plain("\0alice\0wonderland")).await.starts_with("454 4.7.0 "));
    assert_eq!(dovecot.heard().len(), asked, "who is locked out is not asked about");
    let metrics = house.metrics();
    for (result, count) in [("unavailable", 5), ("failed", 3), ("locked_out", 1)] {
        let series = format!("auth_total{{mechanism=\"PLAIN\",result=\"{result}\"}} {count}\n");
        assert!(metrics.contains(&series), "{metrics}");
    }
    house.stop().await;
}

/// By its own rules Dovecot may take many names for one user: `alice@anything`, for one.
#[tokio::test]
async fn guesses_are_counted_for_whom_dovecot_takes_the_names() {
    let limits = AUTH.replace("failures_per_client = 3", "failures_per_client = 5\nfailures_per_login = 3");
    let mut house = House::start(&limits).await;
    let _dovecot = ScriptedDovecot::start(&house.path("dovecot.sock"), hello(&["PLAIN"]), |line| {
        let id = line.split('\t').nth(1).unwrap();
        let right = ["carol@b2", "carol@b9"].map(|name| base64(&format!("\0{name}\0wonderland")));
        let is_right = right.iter().any(|right| line.ends_with(&format!("\tresp={right}")));
        format!("{}\t{id}\tuser=Carol", if is_right { "OK" } else { "FAIL" }).into()
    });
    let (mut session, _) = submission(&house).await;
    for name in ["carol@b0", "carol@b1"] {
        assert!(session.ask(&plain(&format!("\0{name}\0guess"))).await.starts_with("535 5.7.8 "), "{name}");
    }
    // Then they were slips, of whichever name.
    assert!(session.ask(&plain("\0carol@b2\0wonderland")).await.starts_with("235 "));
    let reply = guess_from("127.0.0.10", &house, "carol@b3", "guess").await;
    assert!(reply.starts_with("535 5.7.8 "), "the third: {reply}");
    // Now right and wrong are answered alike, but for who is known here.
    for (name, password) in [("carol@b4", "guess"), ("carol@b9", "wonderland")] {
        let reply = guess_from("127.0.0.10", &house, name, password).await;
        assert!(reply.starts_with("454 4.7.0 "), "{name}: {reply}");
    }
    for _ in 0..4 {
        let reply = guess_from(OTHER, &house, "carol@b5", "guess").await;
        assert!(reply.starts_with("535 5.7.8 "), "{reply}");
    }
    assert!(guess_from(OTHER, &house, "carol@b9", "wonderland").await.starts_with("235 "));
    house.stop().await;
}

#[tokio::test]
async fn while_dovecot_is_away_clients_are_told_to_come_again() {
    let lines = Lines::capture();
    let mut house = house().await;
    let (mut session, offered) = submission(&house).await;
    assert!(offered.contains("AUTH PLAIN LOGIN"), "{offered}");
    for _ in 0..4 {
        assert!(session.ask(&plain("\0alice\0wonderland")).await.starts_with("454 4.7.0 "));
    }
    assert!(session.ask(&plain("\0bob\0of the file")).await.starts_with("235 "), "whom the file knows comes in");
    let reason = lines.of("authentication_failed")[0]["reason"].to_string();
    assert!(reason.contains("dovecot.sock") && reason.contains("No such file"), "{reason}");
    house.stop().await;
}

/// What the client and Dovecot say to each other is theirs: here it is not even SCRAM, but for the name.
#[tokio::test]
async fn scram_is_handed_on() {
    let mut house = House::start(AUTH).await;
    let dovecot = ScriptedDovecot::start(&house.path("dovecot.sock"), hello(&["SCRAM-SHA-256"]), |line| {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts[..] {
            ["AUTH", id, ..] => format!("CONT\t{id}\t{}", base64("first")).into(),
            ["CONT", id, response] if response == base64("proof") => format!("CONT\t{id}\t{}", base64("v=x")).into(),
            ["CONT", id, ""] => format!("OK\t{id}\tuser=alice").into(),
            ["CONT", id, _] => format!("FAIL\t{id}\tuser=alice").into(),
            _ => Say::Close,
        }
    });
    let (mut session, offered) = submission(&house).await;
    assert!(offered.contains("AUTH SCRAM-SHA-256\n") || offered.ends_with("AUTH SCRAM-SHA-256"), "{offered}");
    let first = base64("y,,n=alice,r=abc");
    assert_eq!(
        session.ask(&format!("AUTH SCRAM-SHA-256 {first}")).await.trim_end(),
        format!("334 {}", base64("first"))
    );
    assert!(session.ask(&base64("guess")).await.starts_with("535 5.7.8 "));
    assert_eq!(session.ask("AUTH SCRAM-SHA-256").await.trim_end(), "334");
    assert_eq!(session.ask(&first).await.trim_end(), format!("334 {}", base64("first")));
    assert_eq!(session.ask("*").await.split(' ').next(), Some("501"));
    session.ask(&format!("AUTH SCRAM-SHA-256 {first}")).await;
    assert_eq!(session.ask(&base64("proof")).await.trim_end(), format!("334 {}", base64("v=x")));
    assert!(session.ask("").await.starts_with("235 "));
    assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("250 "));
    drop(session);
    let asked = dovecot.heard().into_iter().find(|line| line.starts_with("AUTH\t")).unwrap();
    assert!(asked.contains("\tSCRAM-SHA-256\t") && asked.ends_with(&format!("\tresp={first}")), "{asked}");
    house.stop().await;
}

#[tokio::test]
async fn whom_dovecot_let_in_is_out_when_it_is_no_source_any_more() {
    let mut house = house().await;
    let _dovecot = dovecot(&house, &["PLAIN"]);
    let (mut session, _) = submission(&house).await;
    assert!(session.ask(&plain("\0alice\0wonderland")).await.starts_with("235 "));
    house.configure(&AUTH.replace("dovecot_socket", "# dovecot_socket"));
    house.reload().await;
    assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("530 5.7.0 "));
    house.stop().await;
}
