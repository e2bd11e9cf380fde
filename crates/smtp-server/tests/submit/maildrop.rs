//! Files that were left in the maildrop while the server was down.

use std::fs;

use smtp_server::metrics::AttemptResult;

use crate::house::{House, until};

const FILE: &str =
    "smtp-server-maildrop 1\nfrom:\nname:Alice\nto:alice\n\nSubject: hello\r\nBcc: bob\r\n\r\n.Hello.\r\n";

#[tokio::test]
async fn what_was_left_is_taken_at_the_start_and_removed() {
    let mut house = House::down("").await;
    house.write("queue-maildrop/0001", FILE);
    house.start_daemon().await;
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    let message = &house.maildir("alice")[0];
    let uid = rustix::process::geteuid().as_raw();
    assert!(message.contains(&format!("Received: from localhost (uid {uid})\r\n\tby mx.example.org with ESMTP\r\n")));
    assert!(message.contains("\r\nFrom: Alice <MAILER-DAEMON@example.org>\r\n"), "{message}");
    assert!(message.ends_with("\r\nSubject: hello\r\n\r\n.Hello.\r\n"), "{message}");
    until("the file is removed", || !house.path("queue-maildrop/0001").exists()).await;
    house.stop().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_put_aside_and_the_rest_is_taken() {
    let mut house = House::down("").await;
    house.write("queue-maildrop/0001", "Subject: no envelope\r\n\r\n");
    house.write("queue-maildrop/0002", &FILE.replace("to:alice", "to:nobody"));
    house.write("queue-maildrop/0003", FILE);
    house.write("queue-maildrop/0004", &FILE.replace(".Hello.", "a\rb"));
    house.start_daemon().await;
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    for name in ["0001", "0002", "0004"] {
        let refused = house.path(&format!("queue-maildrop/refused/{name}"));
        until("the file is put aside", || refused.exists()).await;
    }
    assert_eq!(house.maildir("alice").len(), 1);
    let files = || fs::read_dir(house.path("queue-maildrop")).unwrap().count();
    until("what was taken is removed", || files() == 1).await;
    house.stop().await;
}

/// C30, by the other way in: the limit is no way around, and what must wait stays.
#[tokio::test]
async fn what_is_too_much_waits_in_the_maildrop() {
    let mut house = House::down("[submit]\nmessages_per_hour = 2\n").await;
    for number in 0..4 {
        house.write(&format!("queue-maildrop/{number}"), FILE);
    }
    house.start_daemon().await;
    for _ in 0..2 {
        house.attempt("alice@example.org", AttemptResult::Delivered).await;
    }
    let maildrop = house.path("queue-maildrop");
    let files = || fs::read_dir(&maildrop).unwrap().count();
    until("two are taken", || files() == 3).await;
    house.stop().await;
    assert_eq!(files(), 3);
    assert_eq!(house.maildir("alice").len(), 2);
}

/// RFC 5321 §4.5.3.1.10. sendmail has told its caller that they all will have the message.
#[tokio::test]
async fn what_has_too_many_recipients_for_one_message_goes_in_several() {
    let mut house = House::down("[limits]\nrecipients_per_message = 2\n").await;
    house.write("aliases", "postmaster: alice\nothers: bob\n");
    house.write("queue-maildrop/0001", &FILE.replace("to:alice\n", "to:alice\nto:bob\nto:postmaster\nto:others\n"));
    house.start_daemon().await;
    until("the file is gone", || !house.path("queue-maildrop/0001").exists()).await;
    assert_eq!(fs::read_dir(house.path("queue-maildrop/refused")).unwrap().count(), 0);
    until("both have it twice", || (house.maildir("alice").len(), house.maildir("bob").len()) == (2, 2)).await;
    house.stop().await;
}

/// It would be tried again and again, for those who were taken too.
#[tokio::test]
async fn what_must_wait_when_some_have_it_is_put_aside() {
    let limits = "[limits]\nrecipients_per_message = 2\n[submit]\nmessages_per_hour = 1\n";
    let mut house = House::down(limits).await;
    house.write("queue-maildrop/0001", &FILE.replace("to:alice\n", "to:alice\nto:bob\nto:postmaster\n"));
    house.start_daemon().await;
    let ends = ["alice@example.org", "bob@example.org"].map(|recipient| (recipient, AttemptResult::Delivered));
    house.attempts(&ends).await;
    let refused = house.path("queue-maildrop/refused/0001");
    until("the file is put aside", || refused.exists()).await;
    assert_eq!((house.maildir("alice").len(), house.maildir("bob").len()), (1, 1));
    house.stop().await;
}

/// What stands in the way, in the maildrop or among what was refused, is in nobody's way.
#[tokio::test]
async fn what_cannot_be_put_aside_stays_and_the_rest_is_taken() {
    let mut house = House::down("").await;
    fs::create_dir_all(house.path("queue-maildrop/0000/full")).unwrap();
    fs::create_dir_all(house.path("queue-maildrop/refused/0001/full")).unwrap();
    house.write("queue-maildrop/0001", "Subject: no envelope\r\n\r\n");
    house.write("queue-maildrop/0002", FILE);
    house.start_daemon().await;
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    let refused = house.path("queue-maildrop/refused");
    until("the file is put aside", || fs::read_dir(&refused).unwrap().count() == 2).await;
    until("the rest is taken", || fs::read_dir(house.path("queue-maildrop")).unwrap().count() == 2).await;
    assert!(house.path("queue-maildrop/0000").exists());
    house.stop().await;
}
