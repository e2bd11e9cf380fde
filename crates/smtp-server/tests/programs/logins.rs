//! The programs that people send mail with log in, under STARTTLS and under TLS from the first octet.

use std::fs;
use std::process::{Command, Stdio};

use bytes::BytesMut;
use smtp_proto::Secret;

use super::house::{House, PASSWORD, Security};
use super::run;
use super::wire::{CONTENT, trace_fields, with_crlf};

const WRONG: &str = "looking-glass-91c2";

/// What programs get that write the header themselves.
const TEXT: &str = "A line.\n.\n..two dots\n\nThe end.\n";

/// One log-in of one program.
struct Login<'a> {
    house: &'a House,
    security: Security,
    mechanism: &'a str,
    password: &'a str,
}

impl Login<'_> {
    fn is_implicit(&self) -> bool {
        self.security == Security::Implicit
    }

    fn port(&self) -> String {
        self.house.address(self.security).port().to_string()
    }

    fn host(&self) -> String {
        self.house.address(self.security).ip().to_string()
    }

    /// `choices.1` where TLS comes before SMTP.
    fn either<T>(&self, choices: (T, T)) -> T {
        if self.is_implicit() { choices.1 } else { choices.0 }
    }
}

/// Logs in with each mechanism by both listeners. A wrong password gets 535 and brings nothing; with the right one the content
/// arrives as it was sent, the trace fields hide where it came from, and no secret is in the log.
async fn every_way(mechanisms: &[&str], program: fn(&Login<'_>) -> Command, sent: fn(&House, &[u8]) -> Vec<u8>) {
    let house = House::open_for_people();
    fs::write(house.path("content.eml"), CONTENT).unwrap();
    fs::write(house.path("text"), TEXT).unwrap();
    let mut messages = 0;
    for security in [Security::StartTls, Security::Implicit] {
        for mechanism in mechanisms {
            let what = format!("{mechanism} by {security:?}");
            let login = |password| Login { house: &house, security, mechanism, password };
            is_refused(&login(WRONG), program, &what).await;
            sent_copies_are_gone(&house);
            run(&mut program(&login(PASSWORD)));
            is_logged(&house, "authenticated", messages, mechanism).await;
            let stored = house.take_message().await;
            let trace = trace_fields(&stored, &sent(&house, &stored), &what);
            assert_hides_the_client(&trace, &what);
            messages += 1;
        }
    }
    house.event("received", messages - 1).await;
    assert_eq!(house.events("received").len(), messages, "what came with a wrong password");
    assert_no_secret_in_log(&house);
}

async fn is_refused(login: &Login<'_>, program: fn(&Login<'_>) -> Command, what: &str) {
    let (failed, refused) = (login.house.events("authentication_failed").len(), login.house.events("refused").len());
    let told = program(login).output().unwrap();
    assert!(!told.status.success(), "{what}: a wrong password is no success");
    // Some try their next mechanism by themselves.
    is_logged(login.house, "authentication_failed", failed, login.mechanism).await;
    let refused = login.house.event("refused", refused).await;
    assert_eq!((&refused["stage"], &refused["code"]), (&"auth".into(), &535.into()), "{what}: {refused}");
}

/// Asserts that the line with that event behind the first `before` ones is this log-in.
async fn is_logged(house: &House, event: &str, before: usize, mechanism: &str) {
    let line = house.event(event, before).await;
    assert_eq!((&line["mechanism"], &line["login"]), (&mechanism.into(), &"alice".into()), "{line}");
}

pub(crate) fn assert_hides_the_client(trace: &str, what: &str) {
    assert!(trace.starts_with("Return-Path: <alice@example.test>\r\n"), "{what}: {trace}");
    assert!(trace.contains("\r\nReceived: from localhost\r\n\tby mx.example.test with ESMTPSA\r\n"), "{what}: {trace}");
    assert!(!trace.contains("127.0.0.1") && !trace.contains("client.test"), "{what}: {trace}");
}

/// Neither the passwords, as they are and as they are sent, nor what the users file has of them.
fn assert_no_secret_in_log(house: &House) {
    let log = house.log();
    let users = fs::read_to_string(house.path("users.toml")).unwrap();
    let kept = users.split('"').filter(|text| text.contains('$')).flat_map(|text| text.split(['$', ':']));
    let mut secrets: Vec<String> = kept.filter(|part| part.len() >= 20).map(str::to_owned).collect();
    assert_eq!(secrets.len(), 5, "salt and hash, salt and two keys: {users}");
    for password in [PASSWORD, WRONG] {
        secrets.extend([password.to_owned(), base64(password), base64(&format!("\0alice\0{password}"))]);
    }
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

fn base64(text: &str) -> String {
    let mut encoded = BytesMut::new();
    Secret::new(text.as_bytes().to_vec()).encode_base64(&mut encoded);
    String::from_utf8(encoded.to_vec()).unwrap()
}

/// What programs keep of what they have sent.
const MAILDIR_OF_SENT: &str = "sent";
const MBOX_OF_SENT: &str = "sent.mbox";

fn sent_copies_are_gone(house: &House) {
    // They are there only after a program has made them.
    let _ = fs::remove_dir_all(house.path(MAILDIR_OF_SENT));
    let _ = fs::remove_file(house.path(MBOX_OF_SENT));
}

fn the_content(_: &House, _: &[u8]) -> Vec<u8> {
    CONTENT.to_vec()
}

#[tokio::test]
#[ignore = "needs Debian's swaks"]
async fn swaks_logs_in() {
    let swaks = |login: &Login<'_>| {
        let house = login.house;
        // It ends the last line itself.
        fs::write(house.path("unended"), CONTENT.trim_ascii_end()).unwrap();
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", &house.address(login.security).to_string(), "--helo", "client.test"]);
        swaks.args(["--from", "alice@example.test", "--to", "alice@example.test"]);
        swaks.arg("--data").arg(format!("@{}", house.path("unended").display()));
        swaks
            .args([login.either(("--tls", "--tls-on-connect")), "--tls-verify", "--tls-ca-path"])
            .arg(house.authority());
        swaks.args(["--auth", login.mechanism, "--auth-user", "alice", "--auth-password", login.password]);
        swaks
    };
    every_way(&["PLAIN", "LOGIN"], swaks, the_content).await;
}

#[tokio::test]
#[ignore = "needs Debian's curl"]
async fn curl_logs_in() {
    let curl = |login: &Login<'_>| {
        let house = login.house;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--verbose", "--ssl-reqd", "--cacert"]).arg(house.authority());
        curl.args(["--user", &format!("alice:{}", login.password)]);
        curl.args(["--login-options", &format!("AUTH={}", login.mechanism)]);
        curl.args(["--mail-from", "alice@example.test", "--mail-rcpt", "alice@example.test"]);
        curl.arg("--upload-file").arg(house.path("content.eml"));
        let scheme = login.either(("smtp", "smtps"));
        curl.arg(format!("{scheme}://{}/client.test", house.address(login.security)));
        curl
    };
    every_way(&["PLAIN", "LOGIN"], curl, the_content).await;
}

#[tokio::test]
#[ignore = "needs Debian's msmtp"]
async fn msmtp_logs_in() {
    let msmtp = |login: &Login<'_>| {
        let house = login.house;
        let mut msmtp = Command::new("msmtp");
        msmtp.arg(format!("--host={}", login.host())).arg(format!("--port={}", login.port()));
        msmtp.args(["--domain=client.test", "--from=alice@example.test", "--user=alice", "--tls=on"]);
        msmtp.arg(format!("--auth={}", login.mechanism.to_lowercase()));
        msmtp.arg(format!("--passwordeval=echo {}", login.password));
        msmtp.arg(format!("--tls-starttls={}", login.either(("on", "off"))));
        msmtp.arg(format!("--tls-trust-file={}", house.authority().display()));
        msmtp.arg("alice@example.test").stdin(Stdio::from(fs::File::open(house.path("content.eml")).unwrap()));
        msmtp
    };
    every_way(&["PLAIN", "LOGIN", "SCRAM-SHA-256"], msmtp, the_content).await;
}

/// Arguments: starttls or implicit; host; port; file of the authority; file of the content; mechanism; password. PLAIN is what
/// it chooses itself.
const SMTPLIB: &str = r#"
import smtplib, ssl, sys
security, host, port, authority, content, mechanism, password = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
if security == "implicit":
    client = smtplib.SMTP_SSL(host, int(port), local_hostname="client.test", context=context)
else:
    client = smtplib.SMTP(host, int(port), local_hostname="client.test")
    client.starttls(context=context)
if mechanism == "PLAIN":
    client.login("alice", password)
else:
    client.ehlo()
    client.user, client.password = "alice", password
    client.auth(mechanism, client.auth_login)
with open(content, "rb") as file:
    client.sendmail("alice@example.test", ["alice@example.test"], file.read())
client.quit()
"#;

#[tokio::test]
#[ignore = "needs Debian's python3"]
async fn smtplib_logs_in() {
    let python = |login: &Login<'_>| {
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", SMTPLIB, login.either(("starttls", "implicit")), &login.host(), &login.port()]);
        python.arg(login.house.authority()).arg(login.house.path("content.eml"));
        python.args([login.mechanism, login.password]);
        python
    };
    every_way(&["PLAIN", "LOGIN"], python, the_content).await;
}

#[tokio::test]
#[ignore = "needs Debian's mutt"]
async fn mutt_logs_in() {
    let mutt = |login: &Login<'_>| {
        let house = login.house;
        let settings = [
            format!("smtp_url=\"{}://alice@{}/\"", login.either(("smtp", "smtps")), house.address(login.security)),
            format!("smtp_pass={}", login.password),
            format!("smtp_authenticators={}", login.mechanism.to_lowercase()),
            format!("ssl_ca_certificates_file=\"{}\"", house.authority().display()),
            format!("record=\"{}\"", house.path(MAILDIR_OF_SENT).display()),
        ];
        let always =
            ["ssl_force_tls=yes", "from=alice@example.test", "hostname=client.test", "copy=yes", "mbox_type=Maildir"];
        let settings = settings.iter().map(String::as_str).chain(always).map(|setting| format!("set {setting}"));
        let mut mutt = Command::new("mutt");
        mutt.args(["-n", "-F", "/dev/null", "-e", &settings.collect::<Vec<_>>().join("; ")]);
        mutt.args(["-s", "from a person", "alice@example.test"]).env("HOME", house.path(""));
        mutt.stdin(Stdio::from(fs::File::open(house.path("text")).unwrap()));
        mutt
    };
    let sent = |house: &House, stored: &[u8]| {
        let mut copies = fs::read_dir(house.path(MAILDIR_OF_SENT).join("cur")).unwrap();
        let copy = fs::read_to_string(copies.next().unwrap().unwrap().path()).unwrap();
        assert!(copy.ends_with(TEXT), "{copy}");
        // It dates the copy when it writes it, which may be a second later.
        let date = |text: &str| text.lines().find(|line| line.starts_with("Date: ")).unwrap().to_owned();
        let sent = copy.replacen(&date(&copy), &date(str::from_utf8(stored).unwrap()), 1);
        with_crlf(sent.as_bytes())
    };
    every_way(&["PLAIN", "LOGIN", "SCRAM-SHA-256"], mutt, sent).await;
}

#[tokio::test]
#[ignore = "needs Debian's s-nail"]
async fn s_nail_logs_in() {
    let nail = |login: &Login<'_>| {
        let house = login.house;
        let scheme = login.either(("submission", "submissions"));
        let mut settings = vec![
            "v15-compat".to_owned(),
            // It finds no address of a host in a certificate.
            format!("mta={scheme}://alice:{}@localhost:{}", login.password, login.port()),
            format!("smtp-auth={}", login.mechanism.to_lowercase()),
            format!("tls-ca-file={}", house.authority().display()),
            format!("record={}", house.path(MBOX_OF_SENT).display()),
        ];
        let always =
            ["tls-ca-no-defaults", "smtp-use-starttls", "nosave", "from=alice@example.test", "hostname=client.test"];
        settings.extend(always.map(str::to_owned));
        let mut nail = Command::new("s-nail");
        nail.arg("-:/").args(settings.iter().flat_map(|setting| ["-S", setting]));
        nail.args(["-s", "from a person", "alice@example.test"]).env("HOME", house.path(""));
        nail.stdin(Stdio::from(fs::File::open(house.path("text")).unwrap()));
        nail
    };
    let sent = |house: &House, _: &[u8]| {
        let mbox = fs::read_to_string(house.path(MBOX_OF_SENT)).unwrap();
        let (from, copy) = mbox.split_once('\n').unwrap();
        assert!(from.starts_with("From ") && copy.ends_with(&format!("{TEXT}\n")), "{mbox}");
        with_crlf(copy.strip_suffix('\n').unwrap().as_bytes())
    };
    every_way(&["PLAIN", "LOGIN"], nail, sent).await;
}

const PATCH: &str = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n\
From: Alice <alice@example.test>\n\
Date: Mon, 24 Nov 2025 10:00:00 +0000\n\
Subject: [PATCH] x\n\
\n\
body\n\
---\n \
x | 1 +\n\
.\n";

#[tokio::test]
#[ignore = "needs Debian's git-email, libauthen-sasl-perl and libio-socket-ssl-perl"]
async fn git_send_email_logs_in() {
    let git = |login: &Login<'_>| {
        let house = login.house;
        fs::write(house.path("x.patch"), PATCH).unwrap();
        let mut git = Command::new("/usr/bin/git");
        git.args(["send-email", "--from=alice@example.test", "--to=alice@example.test", "--confirm=never"]);
        git.args(["--suppress-cc=all", "--quiet", "--smtp-domain=client.test", "--smtp-user=alice"]);
        git.args([format!("--smtp-server={}", login.host()), format!("--smtp-server-port={}", login.port())]);
        git.arg(format!("--smtp-encryption={}", login.either(("tls", "ssl"))));
        git.arg(format!("--smtp-ssl-cert-path={}", house.authority().display()));
        git.args([format!("--smtp-auth={}", login.mechanism), format!("--smtp-pass={}", login.password)]);
        git.arg("x.patch").current_dir(house.path("")).env("HOME", house.path(""));
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "Alice").env(format!("GIT_{role}_EMAIL"), "alice@example.test");
        }
        git
    };
    // It keeps no copy. Its header begins with From, and ends in what it says of the text.
    let sent = |_: &House, stored: &[u8]| {
        let stored = str::from_utf8(stored).unwrap();
        let sent = &stored[stored.find("\r\nFrom: ").unwrap() + 2..];
        let begin = "From: alice@example.test\r\nTo: alice@example.test\r\nSubject: [PATCH] x\r\nDate: ";
        let end = "\r\n\r\nFrom: Alice <alice@example.test>\r\n\r\nbody\r\n---\r\n x | 1 +\r\n.\r\n";
        assert!(sent.starts_with(begin) && sent.ends_with(end), "{stored}");
        sent.as_bytes().to_vec()
    };
    every_way(&["PLAIN", "LOGIN"], git, sent).await;
}
