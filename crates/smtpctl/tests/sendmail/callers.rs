//! Callers as they are, and what they get.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use smtp_server::metrics::AttemptResult::Delivered;

use crate::ended::Ended;
use crate::house::House;
use crate::support::{program, run, sendmail};

/// A server where root is alice.
async fn house(more: &str) -> House {
    let mut house = House::start(more).await;
    house.write("aliases", "postmaster: alice\nroot: alice\n");
    house.reload().await;
    house
}

/// The one message that has come to a user, without the fields that delivery and this server have put on top.
async fn delivered(house: &mut House, user: &str) -> String {
    house.attempt(&format!("{user}@example.org"), Delivered).await;
    let messages = house.maildir(user);
    let [message] = &messages[..] else { panic!("{messages:?}") };
    let (_, rest) = message.split_once("\r\nReceived: ").unwrap();
    let folds = rest.split_inclusive("\r\n").skip(1).skip_while(|line| line.starts_with('\t'));
    folds.collect()
}

#[tokio::test]
async fn php_sends_by_its_header_and_blind_copies_stay_blind() {
    let mut house = house("").await;
    let input = "To: Alice <alice@example.org>\r\nSubject: hello\nBcc: bob@example.org\nFrom: www@example.org\n\
                 Date: x\nMessage-ID: <1@x>\n\nLine\n.\nEnd";
    assert_eq!(sendmail(&house, &["-t", "-i"], input).await, Ended::silent());
    let expected = "To: Alice <alice@example.org>\r\nSubject: hello\r\nFrom: www@example.org\r\n\
                    Date: x\r\nMessage-ID: <1@x>\r\n\r\nLine\r\n.\r\nEnd\r\n";
    assert_eq!(delivered(&mut house, "alice").await, expected);
    house.attempt("bob@example.org", Delivered).await;
    assert_eq!(house.maildir("bob").len(), 1);
    house.stop().await;
}

#[tokio::test]
async fn cron_writes_to_a_user_of_the_machine() {
    let mut house = house("").await;
    let line = ["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"];
    let input = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> /bin/true\n\nout\n";
    assert_eq!(sendmail(&house, &line, input).await, Ended::silent());
    house.attempt("root@example.org", Delivered).await;
    let message = &house.maildir("alice")[0];
    assert!(message.starts_with("Return-Path: <root@example.org>\r\n"), "{message}");
    assert!(message.ends_with(&format!("\r\n{}", input.replace('\n', "\r\n"))), "{message}");
    house.stop().await;
}

#[tokio::test]
async fn a_message_without_from_gets_the_name_of_its_user() {
    let mut house = house("").await;
    let line = ["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "-r", "<>", "alice"];
    assert_eq!(sendmail(&house, &line, "Grüße\n").await, Ended::silent());
    let message = delivered(&mut house, "alice").await;
    assert!(message.contains("From: CronDaemon <MAILER-DAEMON@example.org>\r\n\r\nGrüße\r\n"), "{message}");
    house.stop().await;
}

#[tokio::test]
async fn a_lone_dot_ends_what_is_written_by_hand() {
    let mut house = house("").await;
    assert_eq!(sendmail(&house, &["alice"], "Date: x\nMessage-ID: y\nFrom: z\n\na\n.\nb\n").await, Ended::silent());
    assert_eq!(delivered(&mut house, "alice").await, "Date: x\r\nMessage-ID: y\r\nFrom: z\r\n\r\na\r\n");
    house.stop().await;
}

#[tokio::test]
async fn those_who_speak_smtp_do_so_with_the_server() {
    let mut house = house("").await;
    let input = "EHLO symfony.test\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";
    let ended = sendmail(&house, &["-bs"], input).await;
    assert_eq!((ended.code, &*ended.errors), (0, ""));
    let codes: Vec<&str> = ended.output.lines().map(|line| &line[..4]).filter(|code| code.ends_with(' ')).collect();
    assert_eq!(codes, ["220 ", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "], "{}", ended.output);
    delivered(&mut house, "alice").await;
    house.stop().await;
}

#[tokio::test]
async fn refusals_have_the_codes_of_sysexits() {
    let mut house = house("").await;
    for (line, input, code, text) in [
        (&["nobody@example.org"][..], "x\n", 67, "sendmail: 550 5.1.1 "),
        (&["-i"], "x\n", 64, "sendmail: nobody is named"),
        (&["-t"], "Subject: x\n\nx\n", 64, "sendmail: nobody is named"),
        (&["-t"], "To: John Doe\n\nx\n", 65, "sendmail: To: John Doe: this is no list of addresses"),
        (&["-k"], "x\n", 64, "sendmail: -k is no option"),
        (&["alice"], "a\rb\n", 65, "sendmail: "),
    ] {
        let ended = sendmail(&house, line, input).await;
        assert_eq!(ended.code, code, "{line:?}: {ended:?}");
        assert!(ended.errors.starts_with(text), "{line:?}: {ended:?}");
        assert_eq!(ended.output, "");
    }
    assert_eq!(house.maildir("alice").len(), 0);
    house.stop().await;
}

/// Those whom one transaction does not take come in the next, whether the server tells the number before or not.
#[tokio::test]
async fn more_recipients_than_one_transaction_takes_are_sent_to_in_several() {
    for more in [
        "[limits]\nrecipients_per_message = 2\n",
        "[limits]\nrecipients_per_message = 2\n[extensions]\nlimits = false\n",
    ] {
        let mut house = house(more).await;
        let line = ["-i", "alice", "bob", "nobody", "root", "postmaster"];
        let ended = sendmail(&house, &line, "x\n").await;
        assert_eq!(ended.code, 67, "{ended:?}");
        assert!(ended.errors.starts_with("sendmail: 550 5.1.1 ") && ended.errors.lines().count() == 1, "{ended:?}");
        let ends = ["alice@example.org", "bob@example.org", "root@example.org", "postmaster@example.org"];
        house.attempts(&ends.map(|recipient| (recipient, Delivered))).await;
        assert_eq!((house.maildir("alice").len(), house.maildir("bob").len()), (3, 1));
        house.stop().await;
    }
}

/// What is wrong with the message is told once, however many it is for.
#[tokio::test]
async fn a_message_that_is_refused_is_refused_once() {
    let mut house = house("[limits]\nrecipients_per_message = 2\n").await;
    let input = "Received: x\n".repeat(101) + "\nx\n";
    let ended = sendmail(&house, &["-i", "alice", "bob", "root", "postmaster", "alice@example.org"], &input).await;
    assert_eq!((ended.code, ended.errors.lines().count()), (69, 1), "{ended:?}");
    assert!(ended.errors.starts_with("sendmail: 554 5.4.6 "), "{ended:?}");
    assert_eq!((house.maildir("alice").len(), house.maildir("bob").len()), (0, 0));
    house.stop().await;
}

#[tokio::test]
async fn a_configuration_that_is_named_must_be_one() {
    let mut house = house("").await;
    let missing = house.path("missing.toml");
    house.write("wrong.toml", "hostnam = \"mx.example.org\"\n");
    for file in [missing, house.path("wrong.toml")] {
        for line in [&["-C", file.to_str().unwrap(), "alice"][..], &["-bs", "-C", file.to_str().unwrap()]] {
            let ended = sendmail(&house, line, "x\n").await;
            // Only root may say -C at all.
            let code = if rustix::process::geteuid().is_root() { 78 } else { 77 };
            assert_eq!((ended.code, &*ended.output), (code, ""), "{ended:?}");
        }
    }
    assert_eq!(house.maildir("alice").len(), 0);
    house.stop().await;
}

/// C30: 200 times as one user, once as another.
#[tokio::test]
#[ignore = "needs root: only root can be two users"]
async fn one_user_cannot_use_up_what_another_may_send() {
    let mut house = house("[submit]\nmessages_per_hour = 3\n").await;
    set_permissions(house.directory.path(), Permissions::from_mode(0o755)).unwrap();
    let as_user = |uid: u32| {
        let mut command = program(&house, "sendmail", &["-f", "<>", "alice"]);
        command.uid(uid);
        command
    };
    let mut codes = Vec::new();
    for _ in 0..200 {
        codes.push(run(as_user(60_001), "x\n").await.code);
    }
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 3);
    assert!(codes[3..].iter().all(|code| *code == 75), "{codes:?}");
    assert_eq!(run(as_user(60_002), "x\n").await, Ended::silent());
    house.stop().await;
}

#[tokio::test]
#[ignore = "needs root: only root can be two users"]
async fn only_those_who_are_trusted_send_as_somebody_else() {
    let mut house = house("[submit]\ntrusted_users = [\"60002\"]\n").await;
    set_permissions(house.directory.path(), Permissions::from_mode(0o755)).unwrap();
    for (uid, sender, code) in [
        (60_001, "bob@example.org", 77),
        (60_001, "60001", 0),
        (60_001, "60001+tag@mx.example.org", 0),
        (60_001, "60001@example.com", 77),
        (60_002, "bob@example.org", 0),
        (0, "bob@example.com", 0),
    ] {
        let mut command = program(&house, "sendmail", &["-f", sender, "alice"]);
        command.uid(uid);
        let ended = run(command, "x\n").await;
        assert_eq!(ended.code, code, "{uid} as {sender}: {ended:?}");
    }
    // Without -f the sender is the user, known to the system or not.
    let mut command = program(&house, "sendmail", &["alice"]);
    command.uid(60_001);
    assert_eq!(run(command, "x\n").await, Ended::silent());
    house.stop().await;
}

#[tokio::test]
async fn the_other_names_do_what_is_expected_of_them() {
    let mut house = house("").await;
    for (name, line) in [("mailq", &[][..]), ("sendmail", &["-bp"])] {
        let ended = run(program(&house, name, line), "").await;
        assert_eq!((ended.code, &*ended.output), (0, "The queue is empty.\n"), "{ended:?}");
    }
    for (name, line) in [("newaliases", &[][..]), ("sendmail", &["-bi"])] {
        let ended = run(program(&house, name, line), "").await;
        assert!(ended.code == 0 && ended.output.contains("no database"), "{ended:?}");
    }
    let ended = run(program(&house, "smtpctl", &["sendmail", "--help"]), "").await;
    assert!(ended.code == 0 && ended.output.starts_with("sendmail [OPTIONS]"), "{ended:?}");
    house.stop().await;
}
