//! Logging in at a next hop (RFC 4954).

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use smtp_client::{Client, ClientSettings, ClientTls, ConnectError, HopLogin, NextHop, SecretFile, TlsMode, TlsStart};
use smtp_mail::Stage as At;
use smtp_proto::client::ClientTimeouts;
use smtp_proto::{AuthIdentity, Mechanism, Secret};
use smtp_sasl::Login;
use smtp_testkit::peer::{Answer, Peer, Script, Stage};
use smtp_testkit::tls::Authority;
use tempfile::TempDir;

use crate::support::{attempt, hop, result_summary, settings_with, summary};

const VERIFY: TlsMode = TlsMode::Verify(TlsStart::StartTls);

/// Peers with a certificate, and a folder for a secret.
struct Place {
    authority: Authority,
    directory: TempDir,
}

impl Place {
    fn new(secret: &str) -> Self {
        let place = Self { authority: Authority::new(), directory: tempfile::tempdir().unwrap() };
        fs::write(place.secret(), secret).unwrap();
        place
    }

    fn secret(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    fn settings(&self) -> Arc<ClientSettings> {
        settings_with(ClientTls::new(self.authority.roots()), ClientTimeouts::default())
    }

    /// A peer with STARTTLS that offers AUTH by these.
    fn script(&self, mechanisms: &str) -> Script {
        let auth = format!("AUTH {mechanisms}");
        Script::new().extensions(&["PIPELINING", &auth]).starttls(self.authority.issue(&["mx.test"]).server_config())
    }

    fn login(&self) -> HopLogin {
        HopLogin {
            user: Login::prepare(b"alice").unwrap(),
            secret: SecretFile::Password(self.secret()),
            mechanisms: Vec::new(),
            in_clear: false,
        }
    }

    async fn connect(&self, peer: &Peer, tls: TlsMode, login: HopLogin) -> Result<Client, ConnectError> {
        let hop = NextHop { login: Some(Arc::new(login)), ..hop(peer.address(), tls) };
        // The same address twice: a log-in that fails is not tried again.
        Client::connect(&hop, &[peer.address(), peer.address()], &self.settings()).await
    }

    async fn failure(&self, peer: &Peer, tls: TlsMode, login: HopLogin) -> ConnectError {
        let error = self.connect(peer, tls, login).await.expect_err("there is no log-in");
        assert_eq!((error.stage, peer.count_commands("MAIL")), (At::Auth, 0));
        let shown = format!("{error} {error:?} {}", error.result().report());
        assert!(!shown.contains("wonderland") && !shown.contains(&base64("\0alice\0wonderland")), "{shown}");
        error
    }
}

fn base64(text: &str) -> String {
    let mut encoded = bytes::BytesMut::new();
    Secret::new(text.as_bytes().to_vec()).encode_base64(&mut encoded);
    String::from_utf8(encoded.to_vec()).unwrap()
}

/// What the peer was told from AUTH on, up to QUIT.
fn told(peer: &Peer) -> Vec<String> {
    peer.commands().into_iter().skip_while(|line| !line.starts_with("AUTH")).collect()
}

#[tokio::test]
async fn the_client_says_who_it_is_and_mail_follows() {
    let place = Place::new("wonderland\n");
    let plain = format!("AUTH PLAIN {}", base64("\0alice\0wonderland"));
    for (mechanisms, used, lines) in [
        ("PLAIN", Mechanism::PLAIN, vec![plain.clone()]),
        ("LOGIN PLAIN", Mechanism::PLAIN, vec![plain]),
        ("LOGIN", Mechanism::LOGIN, vec!["AUTH LOGIN".to_owned(), base64("alice"), base64("wonderland")]),
    ] {
        let script = place.script(mechanisms).on_each(Stage::AuthResponse, ["334 UGFzc3dvcmQ6", "235 2.7.0 welcome"]);
        let peer = Peer::start(script);
        let mut client = place.connect(&peer, VERIFY, place.login()).await.unwrap();
        assert_eq!(client.login(), Some(used));
        let outcomes = client.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
        assert_eq!(summary(&outcomes), ["delivered 2.0.0"]);
        let told = told(&peer);
        assert_eq!(told[..lines.len()], lines);
        assert!(told[lines.len()].starts_with("MAIL FROM:<a@example.org>"), "{told:?}");
    }
}

/// Providers take the token that some other program has renewed.
#[tokio::test]
async fn the_secret_is_read_anew_for_each_session() {
    let place = Place::new("first\n");
    let peer = Peer::start(place.script("XOAUTH2"));
    let login = HopLogin { secret: SecretFile::Token(place.secret()), ..place.login() };
    for token in ["first", "second"] {
        fs::write(place.secret(), format!("{token}\n")).unwrap();
        let client = place.connect(&peer, VERIFY, login.clone()).await.unwrap();
        assert_eq!(client.login(), Some(Mechanism::XOAUTH2));
        let line = format!("AUTH XOAUTH2 {}", base64(&format!("user=alice\x01auth=Bearer {token}\x01\x01")));
        assert_eq!(told(&peer).last(), Some(&line));
    }
}

/// RFC 4954 §4: a command line has 512 octets.
#[tokio::test]
async fn a_long_initial_response_follows_the_command() {
    let token = "x".repeat(2000);
    let place = Place::new(&token);
    let peer = Peer::start(place.script("OAUTHBEARER"));
    let login = HopLogin { secret: SecretFile::Token(place.secret()), ..place.login() };
    place.connect(&peer, VERIFY, login).await.unwrap();
    let told = told(&peer);
    assert_eq!(told[0], "AUTH OAUTHBEARER");
    let response = Secret::from_base64(told[1].as_bytes()).unwrap();
    let response = String::from_utf8(response.as_bytes().to_vec()).unwrap();
    assert!(response.starts_with("n,a=alice,\x01") && response.contains(&format!("auth=Bearer {token}\x01")));
}

/// A failure of ours: the mail waits, whatever the host says.
#[tokio::test]
async fn a_refused_log_in_defers_and_is_not_tried_at_another_address() {
    let place = Place::new("wonderland");
    for (reply, status) in [
        ("535 5.7.8 bad credentials", "4.7.8"),
        ("535 no", "4.7.8"),
        ("454 4.7.0 try later", "4.7.0"),
        ("454 later", "4.3.2"),
        ("534 5.7.9 application-specific password required", "4.7.8"),
    ] {
        let peer = Peer::start(place.script("PLAIN").on(Stage::Auth, reply));
        let result = place.failure(&peer, VERIFY, place.login()).await.result();
        assert_eq!(result_summary(&result), format!("deferred {status}"), "{reply}");
        assert_eq!(result.report().reply.as_ref().map(|reply| reply.escaped(100)).as_deref(), Some(reply));
        peer.wait_until_idle().await;
        assert_eq!((peer.connections(), peer.count_commands("AUTH")), (1, 1));
    }
}

/// RFC 7628 §3.2.3, and the same with XOAUTH2: the failure is explained by a challenge, which awaits an answer.
#[tokio::test]
async fn the_explanation_of_a_refused_token_is_answered() {
    let place = Place::new("token");
    for (mechanism, answer) in [("OAUTHBEARER", base64("\x01")), ("XOAUTH2", String::new())] {
        let explained = format!("334 {}", base64("{\"status\":\"invalid_token\"}"));
        let script = place.script(mechanism).on(Stage::Auth, &*explained).on(Stage::AuthResponse, "535 5.7.8 expired");
        let peer = Peer::start(script);
        let login = HopLogin { secret: SecretFile::Token(place.secret()), ..place.login() };
        let result = place.failure(&peer, VERIFY, login).await.result();
        assert_eq!(result_summary(&result), "deferred 4.7.8");
        assert_eq!(told(&peer)[1], answer, "{mechanism}");
    }
}

#[tokio::test]
async fn without_tls_nothing_is_said_unless_that_is_permitted() {
    let place = Place::new("wonderland");
    let clear = || Peer::start(Script::new().extensions(&["AUTH PLAIN"]));
    for tls in [TlsMode::None, TlsMode::Opportunistic] {
        let peer = clear();
        let result = place.failure(&peer, tls, place.login()).await.result();
        assert_eq!(result_summary(&result), "deferred 4.7.11");
        assert_eq!(peer.count_commands("AUTH"), 0);
        let peer = clear();
        let client = place.connect(&peer, tls, HopLogin { in_clear: true, ..place.login() }).await.unwrap();
        assert_eq!(client.login(), Some(Mechanism::PLAIN));
    }
}

#[tokio::test]
async fn only_what_is_offered_and_permitted_is_used() {
    let place = Place::new("wonderland");
    let only = |mechanisms: &[Mechanism]| HopLogin { mechanisms: mechanisms.to_vec(), ..place.login() };
    for (offered, login) in [
        ("CRAM-MD5 GSSAPI", place.login()),
        ("PLAIN LOGIN", only(&[Mechanism::SCRAM_SHA_256])),
        ("OAUTHBEARER XOAUTH2", place.login()),
    ] {
        let peer = Peer::start(place.script(offered));
        let error = place.failure(&peer, VERIFY, login).await;
        assert_eq!(result_summary(&error.result()), "deferred 4.7.4");
        assert!(error.to_string().contains(&offered.replace(' ', ", ")), "{error}");
        assert_eq!(peer.count_commands("AUTH"), 0);
    }
    let peer = Peer::start(Script::new().starttls(place.authority.issue(&["mx.test"]).server_config()));
    let result = place.failure(&peer, VERIFY, place.login()).await.result();
    assert_eq!(result_summary(&result), "deferred 4.7.4");

    let script = place.script("PLAIN LOGIN").on_each(Stage::AuthResponse, ["334 ", "235 2.7.0 welcome"]);
    let peer = Peer::start(script);
    let client = place.connect(&peer, VERIFY, only(&[Mechanism::LOGIN])).await.unwrap();
    assert_eq!(client.login(), Some(Mechanism::LOGIN));
}

/// 504: offered, and not known after all (RFC 4954 §4).
#[tokio::test]
async fn the_next_mechanism_is_tried_where_one_is_unknown() {
    let place = Place::new("wonderland");
    let script = place.script("PLAIN LOGIN").on_each(Stage::Auth, ["504 5.5.4 unknown", "334 VXNlcm5hbWU6"]);
    let peer = Peer::start(script.on_each(Stage::AuthResponse, ["334 UGFzc3dvcmQ6", "235 2.7.0 welcome"]));
    let client = place.connect(&peer, VERIFY, place.login()).await.unwrap();
    assert_eq!(client.login(), Some(Mechanism::LOGIN));

    let peer = Peer::start(place.script("PLAIN").on(Stage::Auth, "504 5.5.4 unknown"));
    let result = place.failure(&peer, VERIFY, place.login()).await.result();
    assert_eq!(result_summary(&result), "deferred 4.7.8");
}

#[tokio::test]
async fn a_host_that_does_not_know_the_password_is_found_out() {
    let place = Place::new("wonderland");
    for (script, status) in [
        // It says yes without a proof of its own.
        (place.script("SCRAM-SHA-256"), "4.7.5"),
        // r=x,s=AAAA,i=4096: a nonce that is not ours.
        (place.script("SCRAM-SHA-256").on(Stage::Auth, "334 cj14LHM9QUFBQSxpPTQwOTY="), "4.7.5"),
        // No base64: the engine has given it up before, and the host's word for that is a refusal.
        (place.script("SCRAM-SHA-256").on(Stage::Auth, "334 *"), "4.7.8"),
    ] {
        let peer = Peer::start(script.on(Stage::AuthResponse, "501 5.7.0 cancelled"));
        let result = place.failure(&peer, VERIFY, place.login()).await.result();
        assert_eq!(result_summary(&result), format!("deferred {status}"));
    }
}

#[tokio::test]
async fn without_a_secret_no_connection_is_made() {
    let place = Place::new("");
    let peer = Peer::start(place.script("PLAIN"));
    let error = place.failure(&peer, VERIFY, place.login()).await;
    assert_eq!(result_summary(&error.result()), "deferred 4.3.5");
    fs::remove_file(place.secret()).unwrap();
    let error = place.failure(&peer, VERIFY, place.login()).await;
    assert_eq!(result_summary(&error.result()), "deferred 4.3.5");
    assert!(error.to_string().contains("secret cannot be read"), "{error}");
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn a_host_that_goes_away_meanwhile_is_a_lost_connection() {
    let place = Place::new("wonderland");
    for (answer, status) in [(Answer::Close, "4.4.2"), (Answer::ReplyAndClose("421 4.3.2 down".into()), "4.3.2")] {
        let peer = Peer::start(place.script("PLAIN").on(Stage::Auth, answer));
        let error = place.connect(&peer, VERIFY, place.login()).await.unwrap_err();
        assert_eq!((error.stage, result_summary(&error.result())), (At::Auth, format!("deferred {status}")));
        // It has not refused the log-in, so that the other address is tried.
        assert_eq!((peer.connections(), peer.count_commands("AUTH")), (2, 2));
    }
}

/// RFC 4954 §5: whom the client before us named, or has not named, is not vouched for; the host is told that nobody is.
#[tokio::test]
async fn the_submitter_is_passed_on_as_unknown() {
    let place = Place::new("wonderland");
    let mut named = attempt(&["<b@b.test>"]);
    named.mail.parameters.auth = Some(AuthIdentity::Mailbox(Box::new("a@example.org".parse().unwrap())));
    let peer = Peer::start(place.script("PLAIN"));
    let mut client = place.connect(&peer, VERIFY, place.login()).await.unwrap();
    for attempt in [named, attempt(&["<b@b.test>"])] {
        client.deliver(&attempt).await.unwrap();
    }
    let mails: Vec<String> = peer.messages().into_iter().map(|message| message.mail).collect();
    assert_eq!(mails, ["<a@example.org> AUTH=<>"; 2]);
}

/// RFC 4954 §6: nobody has said who we are, since the configuration does not: that is no fault of the message.
#[tokio::test]
async fn a_host_that_asks_who_we_are_defers() {
    for stage in [Stage::Mail, Stage::Rcpt] {
        let peer = Peer::start(Script::new().on(stage, "530 5.7.0 Authentication required"));
        let mut client = crate::support::connect(&peer).await;
        let outcomes = client.deliver(&attempt(&["<b@b.test>"])).await.unwrap();
        assert_eq!(summary(&outcomes), ["deferred 4.7.0"]);
    }
}
