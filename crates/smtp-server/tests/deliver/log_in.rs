//! Mail by a provider that wants to know who this server is (RFC 4954).

use std::fs;

use smtp_sasl::{PasswordHash, ScramKeys, prepare_password};
use smtp_server::metrics::AttemptResult::{Deferred, Delivered};
use smtp_server::metrics::Service;
use smtp_testkit::peer::{Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, accept, emptied, message, routed, status};

/// A provider where alice can log in by all mechanisms, and that sends what she gives it to the peer.
async fn provider(peer: &Peer) -> House {
    let mut house =
        House::start(&format!("{}[auth]\nfailure_delay = \"0s\"\n", routed("", &[("example.net", peer)]))).await;
    let password = prepare_password(b"wonderland").unwrap();
    let (hash, keys) = (PasswordHash::make(&password), ScramKeys::make(&password).expose());
    house.write("users.toml", &format!("[alice]\npassword = \"{}\"\nscram_sha_256 = \"{keys}\"\n", hash.expose()));
    house.reload().await;
    house
}

/// What belongs behind the configuration of a server that sends all to that host as alice.
fn as_alice(to: &str, more: &str) -> String {
    format!(
        "{}[[route]]\nrecipients = [\"example.net\"]\nto = \"{to}\"\npassword = {{ file = \"secret\" }}\n{more}\n",
        routed(SOON, &[])
    )
}

/// A server with that secret, and that route.
async fn house(secret: &str, to: &str, more: &str) -> House {
    let mut house = House::start(&routed(SOON, &[])).await;
    house.write("secret", secret);
    house.configure(&as_alice(to, more));
    house.reload().await;
    house
}

async fn send(house: &House) {
    accept(house, "alice@example.org", &["x@example.net"], &message("m")).await;
}

fn count(house: &House, result: &str) -> String {
    let name = format!("smtp_server_client_logins_total{{result=\"{result}\"}} ");
    house.metrics().lines().find_map(|line| line.strip_prefix(&name)).unwrap().to_owned()
}

#[tokio::test]
async fn a_provider_is_told_who_we_are_by_every_mechanism() {
    let peer = Peer::start(Script::new());
    let mut provider = provider(&peer).await;
    let address = provider.address(Service::Submission, true);
    for (number, mechanism) in ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"].into_iter().enumerate() {
        let terms = format!("tls = \"require\"\nmechanisms = [\"{mechanism}\"]");
        let mut house = house("wonderland\n", &format!("submissions://alice@{address}"), &terms).await;
        send(&house).await;
        house.attempt("x@example.net", Delivered).await;
        assert_eq!(count(&house, "ok"), "1");
        house.stop().await;
        peer.wait_for_messages(number + 1).await;
        let metrics = provider.metrics();
        let counted = format!("smtp_server_auth_total{{mechanism=\"{mechanism}\",result=\"ok\"}} 1");
        assert!(metrics.contains(&counted), "{mechanism}: {metrics}");
    }
    let content = String::from_utf8(peer.messages()[3].content.clone()).unwrap();
    assert!(content.contains("with ESMTPSA"), "{content}");
    provider.stop().await;
}

/// Nothing comes back to the sender for a fault of this server, and the mail leaves when it is mended.
#[tokio::test]
async fn a_wrong_password_keeps_the_mail_and_the_right_one_sends_it() {
    let peer = Peer::start(Script::new());
    let mut provider = provider(&peer).await;
    let address = provider.address(Service::Submission, true);
    let mut house = house("looking-glass\n", &format!("submissions://alice@{address}"), "tls = \"require\"").await;
    send(&house).await;
    let deferred = house.next_attempt().await;
    assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.7.8"));
    assert!(deferred.report.to_string().contains("535 5.7.8"), "{}", deferred.report);
    assert_eq!(deferred.report.stage, Some(smtp_mail::Stage::Auth));
    // Read anew, without a reload.
    house.write("secret", "wonderland\n");
    house.attempt("x@example.net", Delivered).await;
    assert_eq!(count(&house, "ok"), "1");
    assert_ne!(count(&house, "refused"), "0");
    emptied(&mut house).await;
    assert_eq!(house.maildir("alice"), Vec::<String>::new());
    house.stop().await;
    provider.stop().await;
}

/// However much waits: one message finds out, and the others wait with their lane.
#[tokio::test]
async fn a_host_that_refuses_us_is_not_asked_by_every_message() {
    let mut house = House::start(&routed("", &[])).await;
    let script = Script::new().extensions(&["AUTH PLAIN"]).on(Stage::Auth, "535 5.7.8 who");
    let peer = Peer::start(script.starttls(house.authority.issue(&["localhost"]).server_config()));
    house.write("secret", "wonderland\n");
    let to = format!("smtp://alice@localhost:{}", peer.address().port());
    house.configure(&as_alice(&to, "").replace(SOON, "retry = [\"1h\", \"…\"]\n"));
    house.reload().await;
    send(&house).await;
    let deferred = house.next_attempt().await;
    assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.7.8"));
    for _ in 0..10 {
        send(&house).await;
    }
    // Whoever was to find out more has done so when another domain's mail is through.
    accept(&house, "alice@example.org", &["bob@example.org"], &message("m")).await;
    house.attempt("bob@example.org", Delivered).await;
    assert_eq!((peer.connections(), peer.count_commands("AUTH")), (1, 1));
    house.stop().await;
}

#[tokio::test]
async fn a_token_is_read_anew_for_each_session() {
    let mut house = House::start(&routed("", &[])).await;
    let script = Script::new()
        .extensions(&["AUTH XOAUTH2 OAUTHBEARER"])
        .on_each(Stage::AuthResponse, ["535 5.7.8 expired", "235 2.7.0 welcome"]);
    let script = script.on_each(Stage::Auth, ["334 eyJzdGF0dXMiOiI0MDAifQ==", "235 2.7.0 welcome"]);
    let peer = Peer::start(script.starttls(house.authority.issue(&["localhost"]).server_config()));
    house.write("secret", "old\n");
    let to = format!("submission://alice%40example.org@localhost:{}", peer.address().port());
    house.configure(&as_alice(&to, "").replace("password =", "token ="));
    house.reload().await;
    send(&house).await;
    let deferred = house.next_attempt().await;
    assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.7.8"));
    // As who renews it does.
    house.write("secret.new", "new\n");
    fs::rename(house.path("secret.new"), house.path("secret")).unwrap();
    house.attempt("x@example.net", Delivered).await;
    let auths: Vec<String> = peer.commands().into_iter().filter(|line| line.starts_with("AUTH OAUTHBEARER ")).collect();
    assert!(auths.len() >= 2 && auths[0] != auths[1], "{auths:?}");
    assert!(peer.messages()[0].tls);
    house.stop().await;
}
