//! Other people's programs that call sendmail: they need Debian's git-email, libmailtools-perl, mutt, s-nail, bsd-mailx,
//! libmime-lite-perl, php8.2-cli and python3, which `cargo xtask ci` installs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use smtp_server::metrics::AttemptResult::Delivered;

use crate::house::House;
use crate::support::run;

/// A server, and a `sendmail` that hands mail to it.
async fn house() -> (House, PathBuf) {
    let house = House::start("").await;
    let sendmail = house.path("sendmail");
    symlink(env!("CARGO_BIN_EXE_smtpctl"), &sendmail).unwrap();
    (house, sendmail)
}

/// Runs the program, and gives the message that alice has got from it.
async fn sent(mut house: House, mut command: Command, input: &str) -> String {
    command.env("SMTP_SERVER_CONFIG", house.path("c.toml")).env("HOME", house.directory.path());
    command.current_dir(house.directory.path());
    let ended = run(command, input).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    house.attempt("alice@example.org", Delivered).await;
    let message = house.maildir("alice").remove(0);
    house.stop().await;
    message
}

#[tokio::test]
#[ignore = "needs Debian's git-email"]
async fn git_sends_a_patch() {
    let (house, sendmail) = house().await;
    let patch = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: Dev <dev@example.org>\n\
                 Date: Mon, 24 Nov 2025 10:00:00 +0000\nSubject: [PATCH] x\n\nbody\n---\n x | 1 +\n.\n";
    fs::write(house.path("x.patch"), patch).unwrap();
    let mut git = Command::new("/usr/bin/git");
    git.args([
        "send-email",
        "--from=dev@example.org",
        "--to=alice@example.org",
        "--confirm=never",
        "--suppress-cc=all",
        "--quiet",
    ]);
    git.arg(format!("--sendmail-cmd={}", sendmail.display())).arg("x.patch");
    for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
        git.env(name, "Dev");
    }
    for email in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
        git.env(email, "dev@example.org");
    }
    let message = sent(house, git, "").await;
    assert!(message.contains("\r\nSubject: [PATCH] x\r\n") && message.ends_with("\r\n x | 1 +\r\n.\r\n"), "{message}");
}

#[tokio::test]
#[ignore = "needs Debian's mutt"]
async fn mutt_sends() {
    let (house, sendmail) = house().await;
    let mut mutt = Command::new("mutt");
    let settings = format!("set sendmail=\"{} -oem -oi\"; set copy=no", sendmail.display());
    mutt.args(["-n", "-F", "/dev/null", "-e", &settings, "-s", "hello", "alice@example.org"]);
    let message = sent(house, mutt, "body\n.\nend\n").await;
    assert!(message.contains("\r\nSubject: hello\r\n") && message.ends_with("\r\nbody\r\n.\r\nend\r\n"), "{message}");
}

#[tokio::test]
#[ignore = "needs Debian's s-nail"]
async fn s_nail_sends() {
    let (house, sendmail) = house().await;
    let mut nail = Command::new("s-nail");
    nail.args(["-:/", "-S", &format!("mta={}", sendmail.display()), "-s", "hello", "alice@example.org"]);
    let message = sent(house, nail, "body\n").await;
    assert!(message.contains("\r\nSubject: hello\r\n") && message.ends_with("\r\nbody\r\n"), "{message}");
}

#[tokio::test]
#[ignore = "needs Debian's python3"]
async fn a_pipe_of_python_sends() {
    const PIPE: &str = "
import subprocess, sys
from email.message import EmailMessage
message = EmailMessage()
message['To'] = 'Alice <alice@example.org>'
message['Subject'] = 'hello'
message.set_content('body')
subprocess.run([sys.argv[1], '-t', '-oi'], input=message.as_bytes(), check=True)
";
    let (house, sendmail) = house().await;
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", PIPE]).arg(sendmail);
    let message = sent(house, python, "").await;
    assert!(message.contains("\r\nTo: Alice <alice@example.org>\r\n") && message.contains("\r\nFrom: "), "{message}");
}

#[tokio::test]
#[ignore = "needs Debian's bsd-mailx"]
async fn mailx_sends() {
    let (house, sendmail) = house().await;
    fs::write(house.path("mailrc"), format!("set sendmail={}\n", sendmail.display())).unwrap();
    let mut mailx = Command::new("bsd-mailx");
    mailx.args(["-n", "-s", "hello", "-a", "X-Job: 1", "-b", "bob@example.org", "alice@example.org"]);
    mailx.env("MAILRC", house.path("mailrc"));
    let message = sent(house, mailx, "body\n.\nend\n").await;
    assert!(message.contains("\r\nSubject: hello\r\n") && message.contains("\r\nX-Job: 1\r\n"), "{message}");
    assert!(!message.contains("bob@example.org"), "{message}");
    assert!(message.ends_with("\r\nbody\r\n.\r\nend\r\n"), "{message}");
}

#[tokio::test]
#[ignore = "needs Debian's php8.2-cli"]
async fn mail_of_php_sends() {
    const MAIL: &str = r#"
exit(mail("Alice <alice@example.org>", "hello", "body\n.\nend", "From: www@example.org\r\nBcc: bob@example.org",
          "-fbob@example.org") ? 0 : 1);
"#;
    let (house, sendmail) = house().await;
    let mut php = Command::new("php8.2");
    php.args(["-n", "-d", &format!("sendmail_path={} -t -i", sendmail.display()), "-r", MAIL]);
    let message = sent(house, php, "").await;
    assert!(message.starts_with("Return-Path: <bob@example.org>\r\n"), "{message}");
    assert!(message.contains("\r\nTo: Alice <alice@example.org>\r\nSubject: hello\r\n"), "{message}");
    assert!(message.contains("\r\nFrom: www@example.org\r\n") && !message.contains("Bcc"), "{message}");
    assert!(message.ends_with("\r\n\r\nbody\r\n.\r\nend\r\n"), "{message}");
}

#[tokio::test]
#[ignore = "needs Debian's libmime-lite-perl"]
async fn mime_lite_sends() {
    const SEND: &str = r#"
use MIME::Lite;
my $message = MIME::Lite->new(From => 'bob@example.org', To => 'Alice <alice@example.org>', Subject => 'hello',
                              Type => 'TEXT', Data => "body\n.\nend\n");
$message->send('sendmail', "$ARGV[0] -t -oi -oem -f bob\@example.org") or die;
"#;
    let (house, sendmail) = house().await;
    let mut perl = Command::new("/usr/bin/perl");
    perl.args(["-e", SEND]).arg(sendmail);
    let message = sent(house, perl, "").await;
    assert!(message.starts_with("Return-Path: <bob@example.org>\r\n"), "{message}");
    assert!(message.contains("\r\nTo: Alice <alice@example.org>\r\n"), "{message}");
    assert!(message.ends_with("\r\n\r\nbody\r\n.\r\nend\r\n"), "{message}");
}
