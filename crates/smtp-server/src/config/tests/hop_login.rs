//! Who this server is at a next hop.

use std::os::unix::fs::PermissionsExt as _;

use smtp_client::{SecretFile, TlsMode, TlsStart};
use smtp_proto::Mechanism;

use super::*;

fn smart_host(more: &str) -> String {
    format!("hostname = \"mx.example.org\"\n[smart_host]\n{more}\n")
}

const PASSWORD: &str = "password = { file = \"secret\" }";

/// With a secret that nobody else can read.
fn folder(secret: &str) -> Folder {
    let folder = Folder::new();
    folder.write("secret", secret);
    mode(&folder, 0o400);
    folder
}

fn mode(folder: &Folder, mode: u32) {
    fs::set_permissions(folder.0.path().join("secret"), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_user_and_a_secret_are_a_login_under_verified_tls() {
    let folder = folder("wonderland\n");
    let to = "to = \"submission://alice@example.com@smtp.example.net\"\n";
    let config = folder.good(&smart_host(&format!("{to}{PASSWORD}\nmechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]")));
    let hop = config.routes.smart_host.unwrap();
    let login = hop.login.as_deref().unwrap();
    assert_eq!((login.user.as_str(), login.in_clear, hop.chunking), ("alice@example.com", false, true));
    assert_eq!(login.secret, SecretFile::Password(folder.0.path().join("secret")));
    assert_eq!(login.mechanisms, [Mechanism::PLAIN, Mechanism::SCRAM_SHA_256]);
    assert_eq!(hop.to_string(), "smtp://alice@example.com@smtp.example.net:587?tls=verify");
    assert_eq!(hop.tls, TlsMode::Verify(TlsStart::StartTls));

    // In a route too, where TLS is opportunistic otherwise.
    let route = "[[route]]\nrecipients = [\"*\"]\nto = \"submission://a@b.example\"\ntoken = { file = \"secret\" }\nchunking = false\n";
    let config = folder.good(&format!("{GOOD}{route}"));
    let hop = &config.routes.routes[0].to;
    assert_eq!((hop.tls, hop.chunking), (TlsMode::Verify(TlsStart::StartTls), false));
    assert!(matches!(hop.login.as_deref().unwrap().secret, SecretFile::Token(_)));
}

#[test]
fn what_cannot_log_in_is_told() {
    let folder = folder("wonderland\n");
    folder.write("empty", "\n");
    let to = "to = \"submissions://app1@smtp.example.net\"\n";
    for (more, problem) in [
        (to.to_owned(), "c.toml:3:6: this user has no `password = { file = \"…\" }` to log in with, and no `token`"),
        (
            format!("to = \"submissions://smtp.example.net\"\n{PASSWORD}"),
            "c.toml:4:12: there is no user to log in as: name one in `to`, like \"submissions://app1@smtp.example.net\"",
        ),
        (format!("{to}password = {{}}"), "c.toml:4:12: either `file` or `credential` must be written here"),
        (
            format!("{to}{PASSWORD}\ntoken = {{ file = \"secret\" }}"),
            "c.toml:5:9: there is a `password` already: a log-in has one of the two",
        ),
        (format!("{to}password = {{ file = \"empty\" }}"), "c.toml:4:12: empty holds no password: it is empty"),
        (
            format!("{to}password = {{ file = \"missing\" }}"),
            "c.toml:4:12: missing cannot be read: No such file or directory (os error 2)",
        ),
        (format!("{to}password = {{ credential = \"../x\" }}"), "c.toml:4:27: this is no name of a credential"),
        (
            format!("{to}{PASSWORD}\ntls = \"require\"\nmechanisms = [\"XOAUTH2\"]"),
            "c.toml:6:14: none of these is for a password: those are SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN and LOGIN",
        ),
        (
            format!("to = \"smtp://app1@smtp.example.net\"\n{PASSWORD}\ntls = \"opportunistic\""),
            "c.toml:5:7: this server logs in here, and with tls = \"opportunistic\" the password could go in the clear: take \"verify\"",
        ),
    ] {
        assert_eq!(folder.problem(&smart_host(&more)), problem);
    }
}

#[test]
fn terms_of_a_log_in_that_there_is_none_of_are_warned_of() {
    let folder = folder("wonderland\n");
    let warnings = folder
        .warnings(&smart_host("to = \"smtp://smtp.example.net\"\nmechanisms = [\"PLAIN\"]\nlogin_in_clear = true"));
    assert_eq!(
        warnings,
        [
            "c.toml:4:14: `mechanisms` changes nothing: there is no user in `to` to log in as",
            "c.toml:3:6: `login_in_clear` changes nothing: there is no user in `to` to log in as",
        ]
    );
}

#[test]
fn what_others_can_see_is_warned_of() {
    let folder = folder("wonderland\n");
    let to = "to = \"smtp://app1@smtp.example.net\"\n";
    let warning = folder.warning(&smart_host(&format!("{to}{PASSWORD}\ntls = \"require\"")));
    assert!(warning.starts_with("c.toml:5:7: this server logs in under TLS with any certificate"), "{warning}");
    assert!(folder.warnings(&smart_host(&format!("{to}{PASSWORD}\ntls = \"none\"\nlogin_in_clear = true"))).is_empty());
    for bits in [0o440, 0o604, 0o644] {
        mode(&folder, bits);
        let warning = folder.warning(&smart_host(&format!("{to}{PASSWORD}")));
        assert!(warning.contains(&format!("secret has mode {bits:04o}: others can read the secret")), "{warning}");
    }
    mode(&folder, 0o600);
    folder.good(&smart_host(&format!("{to}{PASSWORD}")));
}
