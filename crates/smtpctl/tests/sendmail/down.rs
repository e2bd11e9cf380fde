//! While the server is down.

use std::fs;

use smtp_server::metrics::AttemptResult::Delivered;

use crate::ended::Ended;
use crate::house::{House, until};
use crate::support::sendmail;

#[tokio::test]
async fn a_message_waits_in_the_maildrop_until_the_server_is_back() {
    let mut house = House::down("").await;
    let input = "Subject: hello\nTo: alice\n\nHello.\n";
    assert_eq!(sendmail(&house, &["-t", "-i", "-f", "<>"], input).await, Ended::silent());
    assert_eq!(fs::read_dir(house.path("queue-maildrop")).unwrap().count(), 2);
    house.start_daemon().await;
    house.attempt("alice@example.org", Delivered).await;
    assert!(house.maildir("alice")[0].ends_with("\r\nSubject: hello\r\nTo: alice\r\n\r\nHello.\r\n"));
    until("the maildrop is empty", || fs::read_dir(house.path("queue-maildrop")).unwrap().count() == 1).await;
    house.stop().await;
}

#[tokio::test]
async fn without_a_maildrop_the_caller_must_try_again() {
    let house = House::down("").await;
    fs::remove_dir_all(house.path("queue-maildrop")).unwrap();
    let ended = sendmail(&house, &["alice"], "x\n").await;
    assert_eq!((ended.code, &*ended.output), (75, ""));
    let lines: Vec<&str> = ended.errors.lines().collect();
    assert!(lines[0].starts_with("sendmail: no server answers at "), "{ended:?}");
    assert!(lines[1].starts_with("sendmail: the maildrop "), "{ended:?}");
}

#[tokio::test]
async fn those_who_speak_smtp_are_told() {
    let house = House::down("").await;
    let ended = sendmail(&house, &["-bs"], "").await;
    assert_eq!((ended.code, &*ended.output), (75, "421 4.3.2 The server is not running; try again later\r\n"));
}

#[tokio::test]
async fn what_is_wrong_is_told_at_once() {
    let house = House::down("").await;
    assert_eq!(sendmail(&house, &["-t"], "To: John Doe\n\nx\n").await.code, 65);
    assert_eq!(fs::read_dir(house.path("queue-maildrop")).unwrap().count(), 1);
}
