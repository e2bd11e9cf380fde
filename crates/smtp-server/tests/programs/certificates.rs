//! Programs that log in by their certificate (EXTERNAL, RFC 4422 appendix A), without a password.

use std::fs;
use std::process::{Command, Stdio};

use super::house::{House, Security};
use super::logins::assert_hides_the_client;
use super::run;
use super::wire::{CONTENT, trace_fields};

/// Logs in by both listeners. Who shows mallory's certificate, which is nobody's, is offered no EXTERNAL; alice's brings the
/// content as it was sent.
async fn by_both_listeners(program: fn(&House, Security, &str) -> Command) {
    let house = House::open_for_certificates();
    fs::write(house.path("content.eml"), CONTENT).unwrap();
    for (before, security) in [Security::StartTls, Security::Implicit].into_iter().enumerate() {
        let told = program(&house, security, "mallory").output().unwrap();
        assert!(!told.status.success(), "{security:?}: {told:?}");
        run(&mut program(&house, security, "alice"));
        let line = house.event("authenticated", before).await;
        assert_eq!((&line["mechanism"], &line["login"]), (&"EXTERNAL".into(), &"alice".into()), "{line}");
        let stored = house.take_message().await;
        let what = format!("content by {security:?}");
        assert_hides_the_client(&trace_fields(&stored, CONTENT, &what), &what);
    }
    house.event("received", 1).await;
    let times = |event: &str| house.events(event).len();
    assert_eq!((times("received"), times("authenticated"), times("authentication_failed")), (2, 2, 0));
    assert_eq!(times("tls"), 4, "both certificates are good");
}

#[tokio::test]
#[ignore = "needs Debian's msmtp"]
async fn msmtp_logs_in_by_its_certificate() {
    by_both_listeners(|house, security, name| {
        let address = house.address(security);
        let file = |suffix: &str| house.path(&format!("{name}.{suffix}")).display().to_string();
        let mut msmtp = Command::new("msmtp");
        msmtp.arg(format!("--host={}", address.ip())).arg(format!("--port={}", address.port()));
        msmtp.args([
            "--domain=client.test",
            "--from=alice@example.test",
            "--tls=on",
            "--auth=external",
            "--user=alice",
        ]);
        msmtp.arg(format!("--tls-starttls={}", if security == Security::StartTls { "on" } else { "off" }));
        msmtp.arg(format!("--tls-trust-file={}", house.authority().display()));
        msmtp.arg(format!("--tls-cert-file={}", file("pem"))).arg(format!("--tls-key-file={}", file("key")));
        msmtp.arg("alice@example.test").stdin(Stdio::from(fs::File::open(house.path("content.eml")).unwrap()));
        msmtp
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Debian's curl"]
async fn curl_logs_in_by_its_certificate() {
    by_both_listeners(|house, security, name| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--ssl-reqd", "--cacert"]).arg(house.authority());
        curl.arg("--cert").arg(house.path(&format!("{name}.pem")));
        curl.arg("--key").arg(house.path(&format!("{name}.key")));
        curl.args(["--user", "alice:", "--login-options", "AUTH=EXTERNAL"]);
        curl.args(["--mail-from", "alice@example.test", "--mail-rcpt", "alice@example.test"]);
        curl.arg("--upload-file").arg(house.path("content.eml"));
        let scheme = if security == Security::Implicit { "smtps" } else { "smtp" };
        curl.arg(format!("{scheme}://{}/client.test", house.address(security)));
        curl
    })
    .await;
}
