//! Who can log in, and where.

use smtp_sasl::{PasswordHash, ScramKeys, prepare_password};

use super::*;

/// Alice, with a password and with more.
fn alice(more: &str) -> String {
    let hash = PasswordHash::make(&prepare_password(b"wonderland").unwrap());
    format!("[alice]\npassword = \"{}\"\n{more}\n", hash.expose())
}

#[test]
fn people_with_passwords_are_listened_to_where_there_is_tls() {
    let folder = Folder::new();
    folder.write("users.toml", &alice(""));
    assert_eq!(folder.good(GOOD).listeners.len(), 2, "nobody logs in without TLS");
    folder.certificate("mx.example.org");
    let tls = "[tls]\ncertificates = [{ chain = \"mx.example.org.pem\", key = \"mx.example.org.key\" }]";
    let config = folder.good(&good_and(tls));
    let listeners: Vec<_> = config.listeners.iter().map(|one| (one.service, one.address.port(), one.tls)).collect();
    for (service, port, tls) in [
        (Service::Mx, 25, ListenerTls::Starttls),
        (Service::Submission, 587, ListenerTls::Starttls),
        (Service::Submission, 465, ListenerTls::Implicit),
    ] {
        assert_eq!(listeners.iter().filter(|one| **one == (service, port, tls)).count(), 2, "{port}: {listeners:?}");
    }
    folder.write("users.toml", "[alice]\n");
    assert_eq!(folder.good(&good_and(tls)).listeners.len(), 2, "there is nobody who could log in");
}

#[test]
fn an_address_need_not_be_a_login() {
    let folder = Folder::new();
    let others = "[alice]\n[bob]\naddresses = [\"😀@example.org\", \"bob@example.org\"]\n";
    folder.write("users.toml", others);
    assert_eq!(folder.good(GOOD).credentials.people(), 0);
    folder.write("users.toml", &others.replace("[bob]\n", &alice("").replace("[alice]", "[bob]")));
    assert_eq!(
        folder.warning(GOOD),
        "users.toml:2:2: nobody can log in as \"😀@example.org\": it has characters that cannot stand in it (RFC 4013)"
    );
    let bob = |name: &str| smtp_sasl::Login::prepare(name.as_bytes()).unwrap();
    let credentials = &folder.load(GOOD).unwrap().config.credentials;
    for name in ["bob", "bob@example.org"] {
        assert_eq!(credentials.user(&bob(name)).map(smtp_mail::LocalUser::as_str), Some("bob"), "{name}");
    }
}

#[test]
fn scram_is_for_all_or_for_nobody() {
    let folder = Folder::new();
    let keys = ScramKeys::make(&prepare_password(b"wonderland").unwrap()).expose();
    let keys = format!("scram_sha_256 = \"{keys}\"");
    folder.write("users.toml", &format!("{}[bob]\n", alice(&keys)));
    let config = folder.good(GOOD);
    assert_eq!((config.credentials.people(), config.credentials.has_scram()), (1, true));
    let bob = alice("").replace("[alice]", "[bob]");
    folder.write("users.toml", &format!("{}{bob}", alice(&keys)));
    let config = folder.good(GOOD);
    assert_eq!((config.credentials.people(), config.credentials.has_scram()), (2, false));
}

#[test]
fn what_is_no_hash_is_told_at_the_user_and_not_shown() {
    let folder = Folder::new();
    for (users, place, key) in [
        ("[bob]\n[alice]\npassword = \"wonderland\"\n", "users.toml:2:2: ", "`password` of [alice] cannot be used"),
        ("alice = { password = \"wonderland\" }\n", "users.toml:1:1: ", "`password` of [alice] cannot be used"),
        ("alice.password = \"wonderland\"\n", "users.toml:1:1: ", "`password` of [alice] cannot be used"),
        ("[alice]\nscram_sha_256 = \"SCRAM-SHA-256$wonderland\"\n", "users.toml:1:2: ", "`scram_sha_256` of [alice]"),
    ] {
        folder.write("users.toml", users);
        let Err(LoadError::Problems(problems)) = folder.load(GOOD) else { panic!("{users} is taken") };
        let text = folder.short(&problems.to_string());
        assert!(text.starts_with(place) && text.contains(key) && !text.contains("wonderland"), "{text}");
    }
}

const ASKING: &str = r#"[[listener]]
service = "submission"
addresses = ["127.0.0.1:465"]
client_certificates = "request"
[tls]
certificates = [{ chain = "mx.example.org.pem", key = "mx.example.org.key" }]
client_authorities = "mx.example.org.pem"
"#;

#[test]
fn client_certificates_are_asked_for_as_it_is_written() {
    let folder = Folder::new();
    folder.certificate("mx.example.org");
    folder.write("users.toml", "[alice]\ncertificates = [\"alice@example.org\", \"laptop.example.org\"]\n");
    let config = folder.good(&good_and(ASKING));
    assert_eq!(config.listeners[0].client_certificates, ClientCertificates::Request);
    let credentials = &config.credentials;
    assert!(credentials.has_certificates() && credentials.is_for_people());
    assert!(!credentials.has_passwords() && !credentials.has_scram());
    let config = folder.good(&good_and(&ASKING.replace("request", "require")));
    assert_eq!(config.listeners[0].client_certificates, ClientCertificates::Require);
}

#[test]
fn client_certificates_that_cannot_be_used_are_told() {
    let folder = Folder::new();
    folder.certificate("mx.example.org");
    folder.write("no.pem", "no certificate");
    for (from, to, expected) in [
        ("\"request\"", "\"ask\"", "c.toml:11:23: \"ask\" is none of \"off\", \"request\", \"require\""),
        (
            "client_authorities = \"mx.example.org.pem\"\n",
            "",
            "c.toml:11:23: `client_certificates = \"request\"` needs somebody who vouches for clients: name a file in [tls] client_authorities",
        ),
        (
            "client_cert",
            "tls = \"none\"\nclient_cert",
            "c.toml:12:23: `client_certificates = \"request\"` needs TLS, which this listener does not have",
        ),
        ("s = \"mx.example.org.pem\"", "s = \"no.pem\"", "c.toml:14:22: no.pem holds no certificate"),
        (
            "s = \"mx.example.org.pem\"",
            "s = \"missing.pem\"",
            "c.toml:14:22: missing.pem cannot be read: check that it exists and that the server's user may read it: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(folder.problem(&good_and(&ASKING.replace(from, to))), expected);
    }
}

#[test]
fn client_certificates_that_are_of_no_use_are_warned_of() {
    let folder = Folder::new();
    folder.certificate("mx.example.org");
    let asks_nobody = ASKING.replace("client_certificates", "# client_certificates");
    let text = "c.toml:14:22: `client_authorities` is of no use: no [[listener]] has `client_certificates`";
    assert_eq!(folder.warning(&good_and(&asks_nobody)), text);
    folder.write("users.toml", "[alice]\ncertificates = [\"alice@example.org\"]\n");
    let text = "c.toml:4:9: users have `certificates`, and no `submission` [[listener]] has `client_certificates`: nobody can log in by one";
    for nobody in
        [&*asks_nobody.replace("client_authorities", "# client_authorities"), &ASKING.replace("submission", "mx")]
    {
        assert_eq!(folder.warning(&good_and(nobody)), text);
    }
}

#[test]
fn a_certificate_belongs_to_one_user_and_has_a_name() {
    let folder = Folder::new();
    let users = "[alice]\ncertificates = [\"a.example\"]\n[bob]\ncertificates = [\"A.example\"]\n";
    folder.write("users.toml", users);
    assert_eq!(folder.problem(GOOD), "users.toml:3:2: another user logs in by the certificate a.example already");
    for (name, error) in [
        ("CN=alice", "it is neither sha256: and a fingerprint, nor a mailbox, nor a domain name in ASCII"),
        ("a@b@c", "it is no mailbox in ASCII"),
    ] {
        folder.write("users.toml", &format!("[alice]\ncertificates = [\"{name}\"]\n"));
        assert_eq!(folder.problem(GOOD), format!("users.toml:2:17: {name:?} names no certificate: {error}"));
    }
}

#[test]
fn dovecot_is_a_source_for_those_without_a_password() {
    let folder = Folder::new();
    let config = folder.good(&good_and("[auth]\ndovecot_socket = \"run/auth\"\ndovecot_timeout = \"5s\""));
    let credentials = &config.credentials;
    assert_eq!(credentials.dovecot().unwrap().path(), folder.0.path().join("run/auth"));
    assert!(credentials.is_for_people() && credentials.has_passwords());
    let login = |name: &str| smtp_sasl::Login::prepare(name.as_bytes()).unwrap();
    for (name, user) in [
        ("Alice@example.org", "alice"),
        ("b.b@example.org", "bob"),
        ("carol@example.com", "carol@example.com"),
        ("CAROL@Example.com", "carol@example.com"),
    ] {
        assert_eq!(credentials.user_by_dovecot(&login(name)).unwrap().as_str(), user);
    }
    folder.certificate("mx.example.org");
    let tls = "[tls]\ncertificates = [{ chain = \"mx.example.org.pem\", key = \"mx.example.org.key\" }]";
    let config = folder.good(&good_and(&format!("[auth]\ndovecot_socket = \"auth\"\n{tls}")));
    assert!(config.listeners.iter().any(|listener| listener.address.port() == 465));
}

#[test]
fn what_is_said_of_dovecot_must_be_of_use() {
    let folder = Folder::new();
    let problem = folder.problem(&good_and("[auth]\ndovecot_socket = \"a\"\ndovecot_timeout = \"0s\""));
    assert_eq!(problem, "c.toml:10:19: `dovecot_timeout` must be longer than nothing");
    let warning = folder.warning(&good_and("[auth]\ndovecot_timeout = \"5s\""));
    assert_eq!(warning, "c.toml:9:19: `dovecot_timeout` is of no use without `dovecot_socket`");
}

#[test]
fn the_numbers_of_auth_have_their_bounds() {
    let folder = Folder::new();
    for (key, zero, text) in [
        ("verifications", "0", "must be at least 1"),
        ("verifications", "65", "is 64 at most: each takes a processor"),
        ("failures_per_client", "0", "must be at least 1"),
        ("failures_per_login", "0", "must be at least 1"),
        ("lockout", "\"0s\"", "must be longer than nothing"),
    ] {
        let problem = folder.problem(&good_and(&format!("[auth]\n{key} = {zero}")));
        assert!(problem.ends_with(&format!("`{key}` {text}")), "{problem}");
    }
    let config = folder.good(&good_and("[auth]\nfailure_delay = \"0s\"\nclear_on_loopback = true"));
    assert_eq!(config.credentials.limits.failure_delay, Duration::ZERO);
    assert!(config.credentials.clear_on_loopback);
}
