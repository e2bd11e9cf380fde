//! Log-ins that are bound to the channel, as GNU SASL understands them.

use std::process::{Command, Output, Stdio};

use super::house::{House, PASSWORD, Security};

fn gsasl(house: &House, mechanism: &str, password: &str, more: &[&str]) -> Output {
    let address = house.address(Security::StartTls);
    let mut gsasl = Command::new("gsasl");
    gsasl.args(["--smtp", "--mechanism", mechanism, "--authentication-id", "alice", "--authorization-id", ""]);
    gsasl.args(["--password", password, "--x509-ca-file"]).arg(house.authority());
    gsasl.args(more).arg(address.ip().to_string()).arg(address.port().to_string());
    gsasl.stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// RFC 9266: it takes tls-exporter under TLS 1.3. A wrong password is told from a channel that does not agree.
#[tokio::test]
#[ignore = "needs Debian's gsasl"]
async fn gsasl_logs_in_bound_to_the_channel() {
    let house = House::open_for_people();
    let bound = "SCRAM-SHA-256-PLUS";
    let done = gsasl(&house, bound, PASSWORD, &[]);
    assert!(said(&done).contains("235 2.7.0"), "{}", said(&done));
    let line = house.event("authenticated", 0).await;
    assert_eq!((&line["mechanism"], &line["login"]), (&bound.into(), &"alice".into()));
    let refused = gsasl(&house, bound, "guess", &[]);
    assert!(said(&refused).contains("535 5.7.8"), "{}", said(&refused));
    let line = house.event("authentication_failed", 0).await;
    assert_eq!(line["reason"], "no such login, or not its password", "and not the binding");
}
