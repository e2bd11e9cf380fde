//! Certificates of clients: who is asked for one, what is refused, and who logs in by one (EXTERNAL).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SignatureScheme};
use smtp_io::certificate::Certificate;
use smtp_server::metrics::{AttemptResult, Service};
use smtp_testkit::tls::{Authority, Identity};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{OTHER, connect_from, hello_from};
use crate::handshake::handshake;
use crate::house::{Dialogue, House, until};
use crate::lines::Lines;
use crate::tls::look_at_certificates;

const CONTENT: &str = "From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n";

type Session = Dialogue<TlsStream<TcpStream>>;

/// A server whose listeners ask for certificates of `clients` in this way, with these users.
async fn house(clients: &Authority, way: &str, users: &str) -> House {
    let mut house = House::start("[auth]\nfailure_delay = \"0s\"\n").await;
    house.write("clients.pem", &clients.certificate_pem());
    house.write("users.toml", users);
    let text = std::fs::read_to_string(house.path("c.toml")).unwrap();
    let text = text.replacen("[tls]\n", "[tls]\nclient_authorities = \"clients.pem\"\n", 1);
    let asking = |tls: &str| format!("tls = \"{tls}\"\nclient_certificates = \"{way}\"\n");
    let text = text.replace("tls = \"starttls\"\n", &asking("starttls"));
    house.write("c.toml", &text.replace("tls = \"implicit\"\n", &asking("implicit")));
    house.reload().await;
    house
}

fn presenting(house: &House, identity: &Identity) -> Arc<ClientConfig> {
    house.authority.client_config_of(rustls::DEFAULT_VERSIONS, identity)
}

/// A session on 465, from an address that is no client network; None where the handshake has failed. Under TLS 1.3 the
/// client learns only then that its certificate was refused.
async fn implicit(house: &House, config: &Arc<ClientConfig>) -> Option<Session> {
    let tcp = connect_from(OTHER, house.address(Service::Submission, true)).await.stream;
    let mut session = Dialogue::new(handshake(Arc::clone(config), tcp).await.ok()?);
    session.reply().await.starts_with("220 ").then_some(session)
}

/// The same by STARTTLS.
async fn upgraded(house: &House, service: Service, config: &Arc<ClientConfig>) -> Option<Session> {
    let mut clear = hello_from(OTHER, house.address(service, false)).await;
    assert!(clear.ask("STARTTLS").await.starts_with("220 "));
    let mut session = Dialogue::new(handshake(Arc::clone(config), clear.stream).await.ok()?);
    session.write(b"NOOP\r\n").await;
    session.reply().await.starts_with("250 ").then_some(session)
}

async fn offered(session: &mut Session) -> String {
    session.ask("EHLO laptop.example").await
}

fn count(house: &House, reason: &str) -> String {
    let text = house.metrics();
    let start = format!("smtp_server_tls_failures_total{{dir=\"in\",reason=\"{reason}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
}

/// A client without a certificate, which remembers whether it was asked for one.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// RFC 8314 §4.2.
#[tokio::test]
async fn nobody_is_asked_where_the_configuration_says_nothing() {
    let clients = Authority::new();
    for is_asked in [false, true] {
        let mut house = if is_asked { house(&clients, "request", USERS).await } else { House::start("").await };
        let asked = Arc::new(Asked::default());
        let mut config = ClientConfig::clone(&house.authority.client_config());
        config.client_auth_cert_resolver = Arc::clone(&asked) as Arc<dyn ResolvesClientCert>;
        let config = Arc::new(config);
        assert!(implicit(&house, &config).await.is_some() && upgraded(&house, Service::Mx, &config).await.is_some());
        assert_eq!(asked.0.load(Ordering::Relaxed), is_asked);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_good_ends_the_handshake_and_one_that_is_good_is_logged() {
    let lines = Lines::capture();
    let (clients, others) = (Authority::new(), Authority::new());
    let good = clients.issue_client("laptop", &[]);
    let bad = [
        (clients.issue_expired_client("laptop"), "expired"),
        // The other authority has the same name.
        (others.issue_client("laptop", &[]), "BadSignature"),
        (Identity::self_signed(&["laptop.example"]), "UnknownIssuer"),
    ];
    let mut house = house(&clients, "request", "[alice]\n[bob]\n").await;
    for version in [&TLS12, &TLS13] {
        let config = |identity| house.authority.client_config_of(&[version], identity);
        let none = house.authority.client_config_with(&[version]);
        assert!(implicit(&house, &none).await.is_some(), "who has none is served");
        assert!(upgraded(&house, Service::Mx, &config(&good)).await.is_some());
        assert!(implicit(&house, &config(&good)).await.is_some());
        for (identity, _) in &bad {
            assert!(upgraded(&house, Service::Submission, &config(identity)).await.is_none());
            assert!(implicit(&house, &config(identity)).await.is_none());
        }
    }
    until("all are logged", || lines.of("tls_failed").len() == 12 && lines.of("tls").len() == 6).await;
    for (index, line) in lines.of("tls_failed").iter().enumerate() {
        let (_, expected) = bad[index / 2 % 3];
        assert!(line["text"].as_str().unwrap().contains(expected), "{line}");
        assert_eq!(line["reason"], "peer_certificate");
        assert!(line["advice"].as_str().unwrap().contains("[tls] client_authorities"), "{line}");
    }
    assert_eq!(count(&house, "peer_certificate"), "12");
    let shown: Vec<_> = lines.of("tls").into_iter().filter(|line| !line["client_certificate"].is_null()).collect();
    assert_eq!(shown.len(), 4);
    let fingerprint = Certificate::parse(good.leaf()).unwrap().peer().fingerprint_hex();
    assert_eq!(shown[0]["client_certificate"], format!("sha256:{fingerprint}"));
    assert_eq!(shown[0]["client_name"], "laptop");
    assert!(house.metrics().contains("verified=\"yes\"} 2\n"), "{}", house.metrics());
    assert!(lines.grave().is_empty(), "{:?}", lines.grave());
    house.stop().await;
}

#[tokio::test]
async fn who_has_none_is_refused_where_one_is_required() {
    let lines = Lines::capture();
    let clients = Authority::new();
    let mut house = house(&clients, "require", "[alice]\n[bob]\n").await;
    let good = presenting(&house, &clients.issue_client("laptop", &[]));
    let none = house.authority.client_config();
    assert!(implicit(&house, &none).await.is_none());
    assert!(upgraded(&house, Service::Mx, &none).await.is_none());
    assert!(implicit(&house, &good).await.is_some() && upgraded(&house, Service::Mx, &good).await.is_some());
    until("both are logged", || lines.of("tls_failed").len() == 2).await;
    let failed = &lines.of("tls_failed")[0];
    assert_eq!(failed["reason"], "peer_certificate");
    assert!(failed["text"].as_str().unwrap().contains("peer sent no certificates"), "{failed}");
    house.stop().await;
}

/// What was shown once may have ended since; so each session shows it.
#[tokio::test]
async fn no_session_is_resumed_where_certificates_are_asked_for() {
    let clients = Authority::new();
    let identity = clients.issue_client("laptop", &["laptop.example.org"]);
    let mut house = house(&clients, "request", "[alice]\ncertificates = [\"laptop.example.org\"]\n").await;
    for version in [&TLS12, &TLS13] {
        let config = house.authority.client_config_of(&[version], &identity);
        for _ in 0..2 {
            let mut session = implicit(&house, &config).await.unwrap();
            assert_eq!(
                session.stream.get_ref().1.handshake_kind().map(|kind| kind == HandshakeKind::Resumed),
                Some(false)
            );
            assert!(offered(&mut session).await.contains("EXTERNAL"));
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn who_vouches_for_clients_is_read_again_when_the_file_changes() {
    let lines = Lines::capture();
    let (before, after) = (Authority::new(), Authority::new());
    let mut house = house(&before, "require", "[alice]\n[bob]\n").await;
    let (old, new) =
        (presenting(&house, &before.issue_client("old", &[])), presenting(&house, &after.issue_client("new", &[])));
    let mut open = implicit(&house, &old).await.unwrap();
    assert!(implicit(&house, &new).await.is_none());
    house.write("next", &after.certificate_pem());
    std::fs::rename(house.path("next"), house.path("clients.pem")).unwrap();
    look_at_certificates().await;
    until("it is read", || !lines.of("certificates_reloaded").is_empty()).await;
    assert!(implicit(&house, &old).await.is_none() && implicit(&house, &new).await.is_some());
    assert!(upgraded(&house, Service::Submission, &old).await.is_none());
    house.write("clients.pem", "no certificate at all");
    look_at_certificates().await;
    until("it is noticed", || !lines.of("certificates_not_reloaded").is_empty()).await;
    assert!(implicit(&house, &new).await.is_some(), "the last good file counts");
    assert!(open.ask("NOOP").await.starts_with("250 "), "what is open goes on");
    drop(open);
    house.stop().await;
}

#[tokio::test]
async fn a_trace_field_names_the_certificate_of_a_server() {
    let clients = Authority::new();
    let mut house = house(&clients, "request", "[alice]\n[bob]\n").await;
    let config = presenting(&house, &clients.issue_client("relay.example.net", &[]));
    let mut session = upgraded(&house, Service::Mx, &config).await.unwrap();
    offered(&mut session).await;
    let reply = session.send("a@example.net", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    assert!(house.maildir("alice")[0].contains("(client certificate \"relay.example.net\")"));
    house.stop().await;
}

const USERS: &str = "[alice]\ncertificates = [\"alice@example.org\"]\n[bob]\ncertificates = [\"laptop.example.org\"]\n";

/// RFC 4422 appendix A.
#[tokio::test]
async fn external_logs_in_whom_the_certificate_names() {
    let lines = Lines::capture();
    let clients = Authority::new();
    let mut house = house(&clients, "request", USERS).await;
    let config = presenting(&house, &clients.issue_client("whoever", &["alice@example.org"]));
    let mut session = implicit(&house, &config).await.unwrap();
    let offered = offered(&mut session).await;
    assert!(
        offered.contains("AUTH EXTERNAL\n") || offered.ends_with("AUTH EXTERNAL"),
        "only it can succeed: {offered}"
    );
    assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("530 5.7.0 "));
    // bob, who is another; NUL, which is no name.
    for identity in ["Ym9i", "AA=="] {
        let reply = session.ask(&format!("AUTH EXTERNAL {identity}")).await;
        assert!(reply.starts_with("535 5.7.8 "), "{identity}: {reply}");
    }
    assert_eq!(session.ask("AUTH EXTERNAL").await.trim_end(), "334");
    assert!(session.ask("").await.starts_with("235 2.7.0 "));
    let refused = session.ask("MAIL FROM:<bob@example.org>").await;
    assert!(refused.starts_with("553 5.7.1 "), "{refused}");
    let reply = session.send("alice@example.org", &["bob@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("250 "));
    assert!(session.ask("RCPT TO:<someone@example.net>").await.starts_with("250 "), "as any login");
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    let mail = house.maildir("bob").remove(0);
    assert!(mail.contains("with ESMTPSA") && !mail.contains("certificate") && !mail.contains("whoever"), "{mail}");
    let line = &lines.of("authenticated")[0];
    assert_eq!((&line["mechanism"], &line["login"]), (&"EXTERNAL".into(), &"alice".into()));
    let reasons: Vec<_> = lines.of("authentication_failed").iter().map(|line| line["reason"].to_string()).collect();
    assert_eq!(reasons, ["\"the login may not act for another\""; 2]);
    assert!(house.metrics().contains("auth_total{mechanism=\"EXTERNAL\",result=\"ok\"} 1\n"));
    drop(session);
    house.stop().await;
}

#[tokio::test]
async fn the_authorization_identity_may_be_any_login_of_the_same_user() {
    let clients = Authority::new();
    let mut house = house(&clients, "request", USERS).await;
    let config = presenting(&house, &clients.issue_client("", &["alice@example.org"]));
    // "=", alice, ALICE@example.org
    for identity in ["=", "YWxpY2U=", "QUxJQ0VAZXhhbXBsZS5vcmc="] {
        let mut session = upgraded(&house, Service::Submission, &config).await.unwrap();
        offered(&mut session).await;
        let reply = session.ask(&format!("AUTH EXTERNAL {identity}")).await;
        assert!(reply.starts_with("235 "), "{identity}: {reply}");
    }
    house.stop().await;
}

/// The certificate is that of the peer: it logs in none of the clients that the peer names by XCLIENT.
#[tokio::test]
async fn external_is_not_for_whom_a_peer_speaks() {
    let clients = Authority::new();
    let mut house = house(&clients, "request", USERS).await;
    let text = std::fs::read_to_string(house.path("c.toml")).unwrap();
    let trusting = format!("xclient_from = [\"{OTHER}\"]\nservice = \"submission\"\n");
    house.write("c.toml", &text.replace("service = \"submission\"\n", &trusting));
    house.reload().await;
    let config = presenting(&house, &clients.issue_client("filter", &["alice@example.org"]));
    let mut session = implicit(&house, &config).await.unwrap();
    assert!(offered(&mut session).await.contains("EXTERNAL"));
    let greeting = session.ask("XCLIENT ADDR=192.0.2.1").await;
    assert!(greeting.starts_with("220 "), "{greeting}");
    assert!(!offered(&mut session).await.contains("EXTERNAL"));
    let reply = session.ask("AUTH EXTERNAL =").await;
    assert!(reply.starts_with("503 5.5.1 ") || reply.starts_with("504 5.5.4 "), "{reply}");
    assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("530 5.7.0 "));
    house.stop().await;
}

#[tokio::test]
async fn external_is_offered_to_nobody_else() {
    let clients = Authority::new();
    let mut house = house(&clients, "request", USERS).await;
    let both = clients.issue_client("alice", &["alice@example.org", "laptop.example.org"]);
    let unknown = clients.issue_client("alice", &["carol@example.org", "Alice@example.org"]);
    let none = house.authority.client_config();
    for (config, who) in [
        (presenting(&house, &both), "two users"),
        (presenting(&house, &unknown), "nobody, but by the common name"),
        (none, "nobody"),
    ] {
        let mut session = implicit(&house, &config).await.unwrap();
        let offered = offered(&mut session).await;
        assert!(!offered.contains("AUTH"), "{who}: {offered}");
        let reply = session.ask("AUTH EXTERNAL =").await;
        assert!(reply.starts_with('5'), "{who}: {reply}");
    }
    let named = presenting(&house, &clients.issue_client("", &["alice@example.org"]));
    let mut mx = upgraded(&house, Service::Mx, &named).await.unwrap();
    assert!(!offered(&mut mx).await.contains("AUTH"), "where mail of others comes in nobody logs in");
    house.stop().await;
}

#[tokio::test]
async fn whose_certificate_is_taken_out_of_the_users_file_sends_no_more() {
    let clients = Authority::new();
    let mut house = house(&clients, "require", USERS).await;
    let config = presenting(&house, &clients.issue_client("", &["alice@example.org"]));
    let mut session = implicit(&house, &config).await.unwrap();
    offered(&mut session).await;
    assert!(session.ask("AUTH EXTERNAL =").await.starts_with("235 "));
    house.write("users.toml", &USERS.replace("\"alice@example.org\"", "\"other@example.org\""));
    house.reload().await;
    let reply = session.ask("MAIL FROM:<alice@example.org>").await;
    assert!(reply.starts_with("530 5.7.0 "), "{reply}");
    house.stop().await;
}
