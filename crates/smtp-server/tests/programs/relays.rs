//! Postfix in front of us: as an LMTP client (RFC 2033), as swaks is too, and as one that logs in to submit (RFC 6409).

use std::process::Command;

use smtp_server::metrics::AttemptResult::Delivered;
use smtp_server::metrics::Service;

use super::house::{self, PASSWORD, Security};
use super::inside;
use super::postfix::Postfix;
use super::wire::send_from;

const CONTENT: &str = "From: <dora@example.org>\r\nTo: several@example.org\r\nSubject: by Postfix\r\n\
    Date: Tue, 25 Nov 2025 10:00:00 +0000\r\nMessage-ID: <1@client.test>\r\n\r\nhello\r\n.\r\nend\r\n";

const LMTP: &str = "[[listener]]\nservice = \"lmtp\"\naddresses = [\"127.0.0.5:0\"]\ntls = \"none\"\n";

#[tokio::test]
#[ignore = "needs Debian's postfix, and root"]
async fn postfix_delivers_by_lmtp_and_hears_of_each_recipient() {
    let mut house = inside::House::start(LMTP).await;
    house.write("users.toml", "[alice]\n[bob]\n[dora]\n");
    house.reload().await;
    let lmtp = house.address(Service::Lmtp, false);
    let settings = format!("relay_domains = example.org\nrelay_transport = lmtp:inet:{lmtp}\n");
    let postfix = Postfix::start(&settings).await;
    let to = ["alice@example.org", "nobody@example.org", "bob@example.org"];
    send_from("dora@example.org", postfix.address, &to, CONTENT.as_bytes());
    house
        .attempts(&[("alice@example.org", Delivered), ("bob@example.org", Delivered), ("dora@example.org", Delivered)])
        .await;
    postfix.until("it has nothing left", |postfix| postfix.queue().is_empty()).await;
    for user in ["alice", "bob"] {
        let messages = house.maildir(user);
        let [message] = &messages[..] else { panic!("{user}: {messages:?}") };
        assert!(message.contains(" with LMTP\r\n") && message.ends_with(CONTENT), "{user}: {message}");
    }
    let reports = house.maildir("dora");
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert!(report.contains("nobody@example.org") && report.contains("550 5.1.1 "), "{report}");
    let log = postfix.log();
    for (recipient, answer) in [
        ("alice", "status=sent (250 2.0.0 Ok: queued as "),
        ("bob", "status=sent (250 2.0.0 Ok: queued as "),
        ("nobody", "status=bounced (host 127.0.0.5[127.0.0.5] said: 550 5.1.1 "),
    ] {
        let told = log.lines().filter(|line| line.contains(&format!("to=<{recipient}@example.org>")));
        let told: Vec<&str> = told.collect();
        assert!(told.len() == 1 && told[0].contains(answer), "{recipient}: {told:?}");
    }
    drop(postfix);
    house.stop().await;
}

#[tokio::test]
#[ignore = "needs Debian's swaks"]
async fn swaks_speaks_lmtp_and_hears_of_each_recipient() {
    let mut house = inside::House::start(LMTP).await;
    let content = CONTENT.trim_end();
    house.write("content.eml", content);
    let mut swaks = Command::new("swaks");
    swaks.args(["--protocol", "LMTP", "--server", &house.address(Service::Lmtp, false).to_string()]);
    swaks.args(["--helo", "client.test", "--from", "sender@client.test"]);
    swaks.args(["--to", "alice@example.org,nobody@example.org,bob@example.org"]);
    swaks.arg("--data").arg(format!("@{}", house.path("content.eml").display()));
    let told = tokio::task::spawn_blocking(move || swaks.output().unwrap()).await.unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told.matches("250 2.0.0 Ok: queued as ").count(), 2, "{told}");
    assert_eq!(told.matches("550 5.1.1 ").count(), 1, "{told}");
    house.attempts(&[("alice@example.org", Delivered), ("bob@example.org", Delivered)]).await;
    for user in ["alice", "bob"] {
        let messages = house.maildir(user);
        let [message] = &messages[..] else { panic!("{user}: {messages:?}") };
        assert!(message.contains(" with LMTP\r\n") && message.ends_with(CONTENT), "{user}: {message}");
    }
    house.stop().await;
}

/// One that logs in as alice, with this password and nothing but this mechanism.
async fn submitter(house: &house::House, security: Security, mechanism: &str, password: &str) -> Postfix {
    let port = house.address(security).port();
    let implicit = if security == Security::Implicit { "yes" } else { "no" };
    Postfix::start(&format!(
        "relayhost = [localhost]:{port}\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = static:alice:{password}\n\
         smtp_sasl_security_options = noanonymous\nsmtp_sasl_mechanism_filter = {mechanism}\nsmtp_tls_security_level = secure\n\
         smtp_tls_secure_cert_match = hostname\nsmtp_tls_CAfile = {}\nsmtp_tls_wrappermode = {implicit}\n",
        house.authority().display()
    ))
    .await
}

#[tokio::test]
#[ignore = "needs Debian's postfix and libsasl2-modules, and root"]
async fn postfix_logs_in_and_submits() {
    let house = house::House::open_for_people();
    let content = CONTENT.replace("dora@example.org", "alice@example.test");
    let ways = [
        (Security::StartTls, "PLAIN"),
        (Security::StartTls, "LOGIN"),
        (Security::StartTls, "SCRAM-SHA-256"),
        (Security::Implicit, "PLAIN"),
        (Security::Implicit, "SCRAM-SHA-256"),
    ];
    for (before, (security, mechanism)) in ways.into_iter().enumerate() {
        let postfix = submitter(&house, security, mechanism, PASSWORD).await;
        send_from("alice@example.test", postfix.address, &["alice@example.test"], content.as_bytes());
        let stored = String::from_utf8(house.take_message().await).unwrap();
        let ours = "\r\nReceived: from localhost\r\n\tby mx.example.test with ESMTPSA\r\n";
        assert!(stored.contains(ours) && stored.ends_with(&content), "{stored}");
        let line = house.event("authenticated", before).await;
        assert_eq!((&line["mechanism"], &line["login"]), (&mechanism.into(), &"alice".into()), "{line}");
        postfix.until("it has nothing left", |postfix| postfix.queue().is_empty()).await;
    }
}

#[tokio::test]
#[ignore = "needs Debian's postfix and libsasl2-modules, and root"]
async fn postfix_keeps_what_a_wrong_password_does_not_submit() {
    let house = house::House::open_for_people();
    let content = CONTENT.replace("dora@example.org", "alice@example.test");
    let postfix = submitter(&house, Security::StartTls, "PLAIN", "looking-glass-91c2").await;
    send_from("alice@example.test", postfix.address, &["alice@example.test"], content.as_bytes());
    house.event("authentication_failed", 0).await;
    postfix.until("it hears of it", |postfix| postfix.log().contains("said: 535 5.7.8 ")).await;
    postfix.until("it is deferred", |postfix| postfix.log().contains("status=deferred ")).await;
    assert_eq!(house.events("received").len(), 0);
    assert!(!house.log().contains("looking-glass-91c2"));
}
