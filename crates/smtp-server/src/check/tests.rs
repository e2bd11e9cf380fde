use std::fs;

use super::*;

/// A folder with these files, and the report on its `c.toml`, with the folder's own path left out.
fn report(files: &[(&str, &str)], now: SystemTime) -> (String, u8) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let report = check(&folder.path().join("c.toml"), now);
    assert_eq!(report.is_usable(), report.exit_code() == 0);
    (report.to_string().replace(&format!("{}/", folder.path().display()), ""), report.exit_code())
}

/// A certificate for mx.example.org that ends on 2026-12-01, and its key.
fn certificate() -> (String, String) {
    let mut parameters = rcgen::CertificateParams::new(vec!["mx.example.org".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2026, 12, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn on(date: &str) -> SystemTime {
    format!("{date}T12:00:00Z").parse::<Timestamp>().unwrap().into()
}

const MAIL_EXCHANGER: &str = r#"hostname = "mx.example.org"

[tls]
certificates = [{ chain = "mx.pem", key = "mx.key" }]

[local]
domains = ["example.org", "example.com"]
users = "users.toml"
aliases = "aliases"
deliver = { maildir = "mail/{user}" }

[[listener]]
service = "mx"
addresses = ["127.0.0.1:25", "[::1]:0"]

[relay]
networks = ["10.0.0.0/8"]
domains = ["corp.example", "*.corp.example"]

[[route]]
recipients = ["corp.example", "*.corp.example"]
to = "smtp://10.0.0.5"
tls = "require"

[smart_host]
to = "submissions://relay.example.net"

[queue]
directory = "queue"

[admin]
socket = "control.sock"
"#;

fn mail_exchanger(now: SystemTime) -> (String, u8) {
    let (chain, key) = certificate();
    let files = [
        ("c.toml", MAIL_EXCHANGER),
        ("mx.pem", chain.as_str()),
        ("mx.key", key.as_str()),
        ("users.toml", "[alice]\n[bob]\n"),
        ("aliases", "postmaster: root\nroot: alice, far@example.net\n"),
    ];
    report(&files, now)
}

#[test]
fn a_good_configuration_is_told_in_short() {
    let (text, exit_code) = mail_exchanger(on("2026-11-01"));
    assert_eq!(
        text,
        "c.toml can be used.\n\
         \n\
         hostname      mx.example.org\n\
         listeners     mx on 127.0.0.1:25, tls starttls\n              \
                       mx on ::1, a free port, tls starttls\n\
         certificates  mx.pem, until 2026-12-01 (29 days)\n\
         local         example.com, example.org; users: 2\n              \
                       postmaster is alice, far@example.net\n\
         relay         to anywhere: 10.0.0.0/8\n              \
                       to *.corp.example, corp.example: anybody\n\
         next hops     corp.example by smtp://10.0.0.5:25?tls=require\n              \
                       *.corp.example by smtp://10.0.0.5:25?tls=require\n              \
                       * by submissions://relay.example.net:465\n\
         queue         queue\n\
         admin         control.sock\n"
    );
    assert_eq!(exit_code, 0);
}

#[test]
fn a_certificate_that_ends_soon_or_has_ended_is_warned_of() {
    let first_line = |date| {
        let (text, exit_code) = mail_exchanger(on(date));
        (text.lines().next().unwrap().to_owned(), exit_code)
    };
    let advice = "clients that verify it turn away from one that has ended; renew it";
    let warning = format!("warning: mx.pem: the certificate is valid until 2026-12-01 (5 days): {advice}");
    assert_eq!(first_line("2026-11-25"), (warning, 0));
    let warning = format!("warning: mx.pem: the certificate is valid no more, it ended on 2026-12-01: {advice}");
    assert_eq!(first_line("2026-12-25"), (warning, 0));
}

#[test]
fn who_logs_in_by_a_certificate_is_told() {
    let (chain, key) = certificate();
    let text = MAIL_EXCHANGER
        .replace("[tls]\n", "[tls]\nclient_authorities = \"ca.pem\"\n")
        .replace("service = \"mx\"", "service = \"submission\"\nclient_certificates = \"require\"");
    let files = [
        ("c.toml", text.as_str()),
        ("mx.pem", chain.as_str()),
        ("ca.pem", chain.as_str()),
        ("mx.key", key.as_str()),
        ("users.toml", "[alice]\ncertificates = [\"alice@example.org\"]\n"),
        ("aliases", "postmaster: alice\n"),
    ];
    let (text, exit_code) = report(&files, on("2026-11-01"));
    for line in [
        "listeners     submission on 127.0.0.1:25, tls starttls, client certificates require\n",
        "              ca.pem vouches for clients\n",
        "log-in        1 user, by EXTERNAL\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(exit_code, 0);
}

#[test]
fn dovecot_that_is_not_there_is_warned_of() {
    let text = "hostname = \"app1.example.com\"\n[smart_host]\nto = \"smtp://relay.example.net\"\n[auth]\ndovecot_socket = \"auth.sock\"\n";
    let (text, exit_code) = report(&[("c.toml", text)], on("2026-11-25"));
    let warning = "warning: auth.sock: there is no socket here now: while Dovecot does not listen AUTH is answered with 454 4.7.0\n";
    assert!(text.contains(warning), "{text}");
    let line = "log-in        whom Dovecot knows at auth.sock, and 0 users of the users file; mechanisms as Dovecot has them\n";
    assert!(text.contains(line), "{text}");
    assert_eq!(exit_code, 0);
}

#[test]
fn a_null_client_is_told_in_short() {
    let text = "hostname = \"app1.example.com\"\n[smart_host]\nto = \"smtp://relay.example.net\"\ntls = \"none\"\n";
    let (text, exit_code) = report(&[("c.toml", text)], on("2026-11-25"));
    assert_eq!(
        text,
        "c.toml can be used.\n\
         \n\
         hostname      app1.example.com\n\
         listeners     submission on 127.0.0.1:25, tls none\n              \
                       submission on [::1]:25, tls none\n\
         certificates  none: no TLS\n\
         local         nothing: no mail ends here\n\
         relay         to anywhere: 127.0.0.0/8, ::1/128\n\
         next hops     * by smtp://relay.example.net:25?tls=none\n\
         queue         /var/spool/smtp-server\n\
         admin         /run/smtp-server/control.sock\n"
    );
    assert_eq!(exit_code, 0);
}

#[test]
fn what_cannot_be_used_is_told_with_its_places_and_exits_78() {
    let text = "hostname = \"a b\"\n[smart_host]\nto = \"smtp://a\"\n[limits]\nsessions = 0\n";
    let (text, exit_code) = report(&[("c.toml", text)], on("2026-11-25"));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("c.toml:1:12: \"a b\" is no domain name: "), "{text}");
    assert_eq!(lines[4], "c.toml:5:12: `sessions` must be at least 1");
    assert_eq!(lines[9], "c.toml cannot be used: 2 problems.");
    assert_eq!(exit_code, 78);
}

#[test]
fn a_file_that_is_not_there_is_told_in_one_line_and_exits_78() {
    assert_eq!(report(&[], on("2026-11-25")), ("c.toml does not exist\n".to_owned(), 78));
}

#[test]
fn warnings_are_shown_with_their_places() {
    let text = MAIL_EXCHANGER.replace("certificates = [{ chain = \"mx.pem\", key = \"mx.key\" }]", "");
    let files = [("c.toml", text.as_str()), ("users.toml", "[alice]\n"), ("aliases", "postmaster: alice\nx: nosuch\n")];
    let (text, exit_code) = report(&files, on("2026-11-25"));
    assert!(
        text.starts_with(
            "warning: aliases:2:1: alias \"x\" leads to nobody: mail for it is refused\n  \
               |\n\
             2 | x: nosuch\n  \
               | ^\n\
             \n\
             c.toml can be used.\n"
        ),
        "{text}"
    );
    assert_eq!(exit_code, 0);
}
