//! AUTH over real sockets and TLS: who may log in, and what that permits.

use smtp_proto::{ChannelBindings, Mechanism, Secret};
use smtp_sasl::{Client, Credentials, Login, PasswordHash, ScramKeys, prepare_password};
use smtp_server::metrics::{AttemptResult, Service};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{OTHER, connect_from, hello_from, secure, starttls};
use crate::house::{Dialogue, House};

pub(crate) const AUTH: &str = "[auth]\nfailure_delay = \"0s\"\nfailures_per_client = 3\n";

pub(crate) fn users(scram: bool) -> String {
    let password = prepare_password(b"wonderland").unwrap();
    let keys =
        if scram { format!("scram_sha_256 = \"{}\"\n", ScramKeys::make(&password).expose()) } else { String::new() };
    format!("[alice]\npassword = \"{}\"\n{keys}[bob]\n", PasswordHash::make(&password).expose())
}

async fn house(scram: bool) -> House {
    let mut house = House::start(AUTH).await;
    house.write("users.toml", &users(scram));
    house.reload().await;
    house
}

/// A session under TLS with the submission listener, from an address that is no client network.
pub(crate) async fn submission(house: &House) -> (Dialogue<TlsStream<TcpStream>>, String) {
    let stream = connect_from(OTHER, house.address(Service::Submission, true)).await.stream;
    let mut dialogue = Dialogue::new(secure(house, stream).await);
    assert!(dialogue.reply().await.starts_with("220 "));
    let offered = dialogue.ask("EHLO laptop.example").await;
    (dialogue, offered)
}

pub(crate) fn base64(text: &str) -> String {
    let mut encoded = bytes::BytesMut::new();
    Secret::new(text.as_bytes().to_vec()).encode_base64(&mut encoded);
    String::from_utf8(encoded.to_vec()).unwrap()
}

pub(crate) fn plain(message: &str) -> String {
    format!("AUTH PLAIN {}", base64(message))
}

#[tokio::test]
async fn who_has_logged_in_sends_to_anywhere_under_the_own_address_only() {
    let mut house = house(false).await;
    let (mut session, _) = submission(&house).await;
    let refused = session.ask("MAIL FROM:<alice@example.org>").await;
    assert!(refused.starts_with("530 5.7.0 "), "{refused}");
    let reply = session.ask(&plain("\0alice\0wonderland")).await;
    assert!(reply.starts_with("235 2.7.0 "), "{reply}");
    let refused = session.ask("MAIL FROM:<bob@example.org>").await;
    assert!(refused.starts_with("553 5.7.1 "), "{refused}");
    // RFC 6409 §3.2: the null reverse-path claims to be nobody else.
    let nobody = session.ask("MAIL FROM:<> AUTH=<>").await;
    assert!(nobody.starts_with("250 "), "{nobody}");
    session.ask("RSET").await;
    let forged = "From: bob@example.org\r\nSubject: x\r\n\r\nx\r\n";
    let refused = session.send("alice@example.org", &["bob@example.org"], forged).await;
    assert!(refused.starts_with("550 5.7.1 "), "{refused}");
    let honest = "From: Alice <alice@example.org>\r\nSubject: x\r\n\r\nx\r\n";
    let reply = session.send("alice@example.org", &["bob@example.org"], honest).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    let mail = house.maildir("bob");
    assert!(mail[0].contains("with ESMTPSA"), "{mail:?}");
    assert!(!mail[0].contains(OTHER) && !mail[0].contains("laptop"), "{mail:?}");
    session.ask("MAIL FROM:<alice@example.org>").await;
    let reply = session.ask("RCPT TO:<someone@example.net>").await;
    assert!(reply.starts_with("250 "), "{reply}");
    session.ask("RSET").await;
    house.stop().await;
}

/// RFC 5322 §3.6.2; and never for mail of others, whose header is theirs.
#[tokio::test]
async fn whose_message_has_several_authors_is_named_as_its_sender() {
    let mut house = house(false).await;
    let content = "From: alice@example.org, Al <alice+list@example.org>\r\nSubject: x\r\n\r\nx\r\n";
    let (mut session, _) = submission(&house).await;
    session.ask(&plain("\0alice\0wonderland")).await;
    for (path, sender) in [("alice+list@example.org", "alice+list@example.org"), ("", "alice@example.org")] {
        let reply = session.send(path, &["bob@example.org"], content).await;
        assert!(reply.starts_with("250 "), "{reply}");
        house.attempt("bob@example.org", AttemptResult::Delivered).await;
        let mail = house.maildir("bob").pop().unwrap();
        assert_eq!(mail.matches(&format!("\r\nSender: {sender}\r\n")).count(), 1, "{mail}");
        assert_eq!(mail.matches("\r\nSender: ").count(), 1, "{mail}");
    }
    for (path, content) in [
        ("alice@example.org", format!("Sender: alice@example.org\r\n{content}")),
        ("alice@example.org", "From: alice@example.org\r\n\r\nx\r\n".to_owned()),
    ] {
        assert!(session.send(path, &["bob@example.org"], &content).await.starts_with("250 "));
        house.attempt("bob@example.org", AttemptResult::Delivered).await;
        let mail = house.maildir("bob").pop().unwrap();
        assert_eq!(mail.matches("\r\nSender: ").count(), content.matches("Sender: ").count(), "{mail}");
    }
    assert!(house.send("a@example.net", &["bob@example.org"], content).await.starts_with("250 "));
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    let mail = house.maildir("bob").pop().unwrap();
    assert!(!mail.contains("\r\nSender: "), "{mail}");
    house.stop().await;
}

#[tokio::test]
async fn nobody_logs_in_without_tls_or_where_mail_of_others_comes_in() {
    let mut house = house(true).await;
    for service in [Service::Mx, Service::Submission] {
        let mut clear = hello_from(OTHER, house.address(service, false)).await;
        let offered = clear.ask("EHLO client.example").await;
        assert!(!offered.contains("AUTH"), "{offered}");
        let reply = clear.ask(&plain("\0alice\0wonderland")).await;
        assert!(reply.starts_with("50"), "{reply}");
        let mut secured = starttls(&house, clear).await;
        let offered = secured.ask("EHLO client.example").await;
        assert_eq!(offered.contains("AUTH"), service == Service::Submission, "{offered}");
    }
    house.stop().await;
}

#[tokio::test]
async fn c05_login_prompts_are_exact() {
    let mut house = house(false).await;
    let (mut session, offered) = submission(&house).await;
    assert!(offered.contains("AUTH PLAIN LOGIN") && !offered.contains("SCRAM"), "C07: {offered}");
    assert_eq!(session.ask("AUTH LOGIN").await.trim_end(), "334 VXNlcm5hbWU6");
    assert_eq!(session.ask(&base64("alice@example.org")).await.trim_end(), "334 UGFzc3dvcmQ6");
    assert!(session.ask(&base64("wrong")).await.starts_with("535 5.7.8 "));
    assert_eq!(session.ask("AUTH LOGIN =").await.trim_end(), "334 UGFzc3dvcmQ6");
    assert!(session.ask(&base64("wonderland")).await.starts_with("535 5.7.8 "));
    assert_eq!(session.ask(&format!("auth login {}", base64("alice"))).await.trim_end(), "334 UGFzc3dvcmQ6");
    assert!(session.ask(&base64("wonderland")).await.starts_with("235 "));
    house.stop().await;
}

#[tokio::test]
async fn c06_nobody_acts_for_another() {
    let mut house = house(false).await;
    let (mut session, _) = submission(&house).await;
    assert!(session.ask(&plain("bob\0alice\0wonderland")).await.starts_with("535 "));
    assert!(session.ask(&plain("alice\0\0wonderland")).await.starts_with("535 "));
    assert!(session.ask(&plain("alice\0alice\0wonderland")).await.starts_with("235 "));
    house.stop().await;
}

/// Alice logs in by SCRAM-SHA-256.
async fn scram(session: &mut Dialogue<TlsStream<TcpStream>>) -> (String, Client) {
    let login = Login::prepare(b"alice").unwrap();
    let credentials = Credentials::Password { login, password: prepare_password(b"wonderland").unwrap() };
    let (mechanism, bindings) = (Mechanism::SCRAM_SHA_256, ChannelBindings::default());
    let (mut client, initial) = Client::start(mechanism, &[mechanism], &credentials, &bindings).unwrap();
    let mut line = format!("AUTH {mechanism} {}", base64(std::str::from_utf8(initial.unwrap().as_bytes()).unwrap()));
    for _ in 0..2 {
        let reply = session.ask(&line).await;
        let challenge = Secret::from_base64(reply.trim_end().strip_prefix("334 ").unwrap().as_bytes()).unwrap();
        let response = client.respond(challenge.as_bytes()).unwrap();
        line = base64(std::str::from_utf8(response.as_bytes()).unwrap());
    }
    (session.ask(&line).await, client)
}

#[tokio::test]
async fn c07_scram_is_offered_where_everybody_has_keys_and_works() {
    let mut house = house(true).await;
    let (mut session, offered) = submission(&house).await;
    assert!(offered.contains("SCRAM-SHA-256"), "{offered}");
    let (reply, client) = scram(&mut session).await;
    assert!(reply.starts_with("235 "), "{reply}");
    assert_eq!(client.authenticated(), Ok(()));
    house.stop().await;
}

/// Each is permitted when it comes, and all are verified one after the other.
#[tokio::test]
async fn guesses_that_come_together_are_no_more_than_those_that_come_in_turn() {
    let mut house = House::start(&format!("{AUTH}verifications = 1\n")).await;
    house.write("users.toml", &users(false));
    house.reload().await;
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(submission(&house).await.0);
    }
    for session in &mut sessions {
        session.write(format!("{}\r\n", plain("\0alice\0guess")).as_bytes()).await;
    }
    let mut told = 0;
    for session in &mut sessions {
        let reply = session.reply().await;
        assert!(reply.starts_with("535 ") || reply.starts_with("454 4.7.0 "), "{reply}");
        told += usize::from(reply.starts_with("535 "));
    }
    assert_eq!(told, 3);
    house.stop().await;
}

#[tokio::test]
async fn whose_login_is_taken_away_sends_no_more() {
    let mut house = house(false).await;
    let (mut session, _) = submission(&house).await;
    assert!(session.ask(&plain("\0alice\0wonderland")).await.starts_with("235 "));
    assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("250 "));
    house.write("users.toml", &users(false).replace("[alice]", "[alice]\n[carol]"));
    house.reload().await;
    let reply = session.ask("RCPT TO:<someone@example.net>").await;
    assert!(reply.starts_with("250 "), "what has begun goes on: {reply}");
    session.ask("RSET").await;
    let reply = session.ask("MAIL FROM:<alice@example.org>").await;
    assert!(reply.starts_with("530 5.7.0 "), "{reply}");
    house.stop().await;
}

/// As after a theft: what the old password has opened is shut, by whichever mechanism it was shown.
#[tokio::test]
async fn a_new_password_ends_what_the_old_one_permits() {
    let mut house = house(true).await;
    let (mut by_plain, _) = submission(&house).await;
    let (mut by_scram, _) = submission(&house).await;
    assert!(by_plain.ask(&plain("\0alice\0wonderland")).await.starts_with("235 "));
    assert!(scram(&mut by_scram).await.0.starts_with("235 "));
    // Not by a reload that leaves it as it was.
    house.reload().await;
    for session in [&mut by_plain, &mut by_scram] {
        assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("250 "));
        session.ask("RSET").await;
    }
    let new = PasswordHash::make(&prepare_password(b"looking-glass").unwrap());
    house.write("users.toml", &format!("[alice]\npassword = \"{}\"\n[bob]\n", new.expose()));
    house.reload().await;
    for session in [&mut by_plain, &mut by_scram] {
        let reply = session.ask("MAIL FROM:<alice@example.org>").await;
        assert!(reply.starts_with("530 5.7.0 "), "{reply}");
    }
    house.stop().await;
}

#[tokio::test]
async fn who_guesses_too_often_is_locked_out_and_others_are_not() {
    let mut house = house(false).await;
    let (mut session, _) = submission(&house).await;
    for _ in 0..3 {
        assert!(session.ask(&plain("\0alice\0guess")).await.starts_with("535 "));
    }
    let reply = session.ask(&plain("\0alice\0wonderland")).await;
    assert!(reply.starts_with("454 4.7.0 "), "{reply}");
    let stream = connect_from("127.0.0.10", house.address(Service::Submission, true)).await.stream;
    let mut other = Dialogue::new(secure(&house, stream).await);
    other.reply().await;
    other.ask("EHLO client.example").await;
    assert!(other.ask(&plain("\0alice\0wonderland")).await.starts_with("235 "));
    house.stop().await;
}
