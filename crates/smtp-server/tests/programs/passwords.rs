//! Dovecot knows the passwords, and is asked at its socket for authentication clients.

use std::fs;
use std::process::{Command, Output, Stdio};

use super::dovecot::Dovecot;
use super::house::{House, Security};

const CONTENT: &str = "From: <alice@example.test>\nSubject: x\n\nx\n";

/// The one of the helper's static passdb.
const PASSWORD: &str = "secret";

fn msmtp(house: &House, mechanism: &str, password: &str) -> Output {
    let address = house.address(Security::Implicit);
    let mut msmtp = Command::new("msmtp");
    msmtp.arg(format!("--host={}", address.ip())).arg(format!("--port={}", address.port()));
    msmtp.args(["--domain=client.test", "--from=alice@example.test", "--user=alice", "--tls=on", "--tls-starttls=off"]);
    msmtp.arg(format!("--auth={mechanism}")).arg(format!("--passwordeval=echo {password}"));
    msmtp.arg(format!("--tls-trust-file={}", house.authority().display())).arg("alice@example.test");
    fs::write(house.path("content"), CONTENT).unwrap();
    msmtp.stdin(Stdio::from(fs::File::open(house.path("content")).unwrap())).output().unwrap()
}

#[tokio::test]
#[ignore = "needs Debian's dovecot-imapd and msmtp, and root"]
async fn dovecot_says_who_may_log_in() {
    let house = House::open_asking("dovecot/run/auth-smtp");
    let away = msmtp(&house, "plain", PASSWORD);
    let told = String::from_utf8_lossy(&away.stderr).into_owned();
    assert!(!away.status.success() && told.contains("454 4.7.0"), "{told}");
    let _dovecot = Dovecot::start(&house.path("dovecot"), |address, _| {
        format!(
            "protocols = imap\nauth_mechanisms = plain login scram-sha-256 digest-md5\nauth_failure_delay = 0\n\
             service imap-login {{\n  inet_listener imap {{\n    port = {}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n\
             service auth {{\n  unix_listener auth-smtp {{\n    mode = 0666\n  }}\n}}\n",
            address.port()
        )
    })
    .await;
    let before = house.events("authentication_failed").len();
    for (index, mechanism) in ["plain", "login", "scram-sha-256"].into_iter().enumerate() {
        let refused = msmtp(&house, mechanism, "guess");
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && told.contains("535 5.7.8"), "{mechanism}: {told}");
        let line = house.event("authentication_failed", before + index).await;
        assert_eq!(line["mechanism"], mechanism.to_uppercase());

        let taken = msmtp(&house, mechanism, PASSWORD);
        assert!(taken.status.success(), "{mechanism}: {}", String::from_utf8_lossy(&taken.stderr));
        let line = house.event("authenticated", index).await;
        assert_eq!((&line["mechanism"], &line["login"]), (&mechanism.to_uppercase().into(), &"alice".into()));
        assert!(String::from_utf8(house.take_message().await).unwrap().contains("with ESMTPSA"), "{mechanism}");
    }
}
