//! Postfix as our next hop. The server is in this process, so that each attempt is seen; behind Postfix is another.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use smtp_server::metrics::AttemptResult::{Delivered, Failed};

use super::dovecot::Dovecot;
use super::house::{self, Security};
use super::inside::House;
use super::postfix::Postfix;

/// All that Postfix would add, octets above 127, and dots alone.
const CONTENT: &str = "From: Alice <alice@example.org>\r\nTo: several@example.test\r\nSubject: by Postfix\r\n\
    Date: Tue, 25 Nov 2025 10:00:00 +0000\r\nMessage-ID: <1@client.test>\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n.\r\n..\r\nend\r\n";

/// The settings of one that takes mail for alice@example.test by TLS and sends it on to `behind`, as a file and a key that
/// the authority of `house` vouches for.
fn settings(house: &House, behind: SocketAddr) -> String {
    let identity = house.authority.issue(&["localhost"]);
    house.write("postfix.pem", &format!("{}{}", identity.key_pem(), identity.chain_pem()));
    format!(
        "relay_domains = example.test\nrelay_transport = smtp:[{}]:{}\nrelay_recipient_maps = inline:{{alice@example.test=x}}\n\
         smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {}\nsmtp_tls_security_level = may\n",
        behind.ip(),
        behind.port(),
        house.path("postfix.pem").display()
    )
}

/// Configures the route to it; `more` is for that table.
async fn route_by(house: &mut House, scheme: &str, postfix: &Postfix, more: &str) {
    let port = postfix.address.port();
    house.configure(&format!(
        "[relay]\nnetworks = [\"127.0.0.0/8\"]\n\
         [[route]]\nrecipients = [\"example.test\"]\nto = \"{scheme}localhost:{port}\"\ntls = \"verify\"\n{more}"
    ));
    house.reload().await;
}

/// Content goes by STARTTLS and BDAT and comes out behind Postfix as it went in; whom Postfix does not know the sender hears of.
#[tokio::test]
#[ignore = "needs Debian's postfix, and root"]
async fn postfix_takes_content_in_chunks_and_answers_for_each_recipient() {
    let last = house::House::open();
    let mut house = House::start("").await;
    let postfix = Postfix::start(&settings(&house, last.address(Security::Plain))).await;
    route_by(&mut house, "smtp://", &postfix, "").await;
    let stuffed = CONTENT.replace("\r\n.", "\r\n..");
    let reply = house.send("alice@example.org", &["alice@example.test", "nobody@example.test"], &stuffed).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house
        .attempts(&[
            ("alice@example.test", Delivered),
            ("nobody@example.test", Failed),
            ("alice@example.org", Delivered),
        ])
        .await;
    let stored = String::from_utf8(last.take_message().await).unwrap();
    assert!(stored.ends_with(CONTENT), "{stored}");
    let ours = "by mx.example.org with ESMTP\r\n";
    assert!(stored.contains(ours) && stored.contains("by postfix.test (Postfix) with ESMTPS "), "{stored}");
    let report = house.maildir("alice").remove(0);
    assert!(report.contains("\r\nFinal-Recipient: rfc822; nobody@example.test\r\n"), "{report}");
    assert!(report.contains("\r\nRemote-MTA: dns; localhost\r\n") && report.contains("550 5.1.1 "), "{report}");
    postfix.until("it has nothing left", |postfix| postfix.queue().is_empty()).await;
    house.stop().await;
    postfix.until("the session has ended", |postfix| postfix.log().contains(" bdat=")).await;
    let log = postfix.log();
    let sessions: Vec<&str> = log.lines().filter(|line| line.contains(": disconnect from ")).collect();
    let ours = sessions.iter().find(|line| line.contains(" bdat=1 ")).unwrap_or_else(|| panic!("{sessions:?}"));
    assert!(ours.contains(" starttls=1 ") && ours.contains(" mail=1 ") && ours.contains(" rcpt=1/2 "), "{ours}");
    assert!(!ours.contains(" data="), "{ours}");
    assert!(fs::read_dir(last.maildir().join("new")).unwrap().next().is_none(), "once");
}

/// What Postfix asks about log-ins: it knows everybody, with one password.
async fn logins(house: &House) -> Dovecot {
    let text = |address: SocketAddr, _: &Path| {
        format!(
            "protocols = none\nauth_mechanisms = plain login scram-sha-256\nuserdb {{\n  driver = static\n  args = uid=1 gid=1 home=/\n}}\n\
             service auth {{\n  inet_listener auth {{\n    address = {}\n    port = {}\n  }}\n}}\n",
            address.ip(),
            address.port()
        )
    };
    Dovecot::start(&house.path("dovecot"), text).await
}

/// Without a log-in it takes nothing; the strongest mechanism that may be used is.
#[tokio::test]
#[ignore = "needs Debian's postfix and dovecot-core, and root"]
async fn postfix_lets_us_log_in() {
    let last = house::House::open();
    let mut house = House::start("").await;
    let dovecot = logins(&house).await;
    let settings = settings(&house, last.address(Security::Plain))
        + &format!(
            "mynetworks =\nsmtpd_recipient_restrictions = permit_sasl_authenticated, reject\nsmtpd_sasl_auth_enable = yes\n\
             smtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:{}\nsmtpd_tls_auth_only = yes\n",
            dovecot.address
        );
    let postfix = Postfix::start(&settings).await;
    house.write("secret", "secret\n");
    let stuffed = CONTENT.replace("\r\n.", "\r\n..");
    for (mechanisms, taken) in
        [("\"PLAIN\"", "PLAIN"), ("\"LOGIN\"", "LOGIN"), ("\"PLAIN\", \"SCRAM-SHA-256\"", "SCRAM-SHA-256")]
    {
        let more = format!("password = {{ file = \"secret\" }}\nmechanisms = [{mechanisms}]\n");
        route_by(&mut house, "submission://app1@", &postfix, &more).await;
        let reply = house.send("alice@example.org", &["alice@example.test"], &stuffed).await;
        assert!(reply.starts_with("250 "), "{reply}");
        house.attempt("alice@example.test", Delivered).await;
        let stored = String::from_utf8(last.take_message().await).unwrap();
        assert!(stored.ends_with(CONTENT), "{stored}");
        let login = format!("sasl_method={taken}, sasl_username=app1");
        postfix.until("it logs the log-in", |postfix| postfix.log().contains(&login)).await;
    }
    house.stop().await;
}
