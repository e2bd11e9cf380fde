//! Mailboxes here: many at a time, and troubles that an operator mends.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use smtp_server::metrics::AttemptResult::{Deferred, Delivered};

use crate::house::House;
use crate::support::{SOON, accept, accept_many, emptied, in_time, message, queued, status};

fn files_in(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// C27: two thousand messages to one user are two thousand files, whole, and none is left on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deliveries_at_a_time_to_one_user_are_a_file_each() {
    let mut house = House::start("").await;
    accept_many(&house, 2_000, "x@example.net", "alice@example.org").await;
    emptied(&mut house).await;
    house.stop().await;
    let mail = house.maildir("alice");
    let number = |mail: &String| mail.lines().find_map(|line| line.strip_prefix("Subject: ")?.parse::<usize>().ok());
    let numbers: HashSet<_> = mail.iter().filter_map(number).collect();
    assert_eq!((mail.len(), numbers.len()), (2_000, 2_000));
    assert!(mail.iter().all(|mail| mail.ends_with("\r\n\r\nhello\r\n")));
    assert_eq!(files_in(&house.path("Maildir/alice/tmp")), 0);
}

/// The directory of all Maildirs is not there, as when its file system is not mounted: nothing is made in its place.
#[tokio::test]
async fn mail_waits_for_the_directory_of_all_maildirs() {
    let mut house = House::start(SOON).await;
    fs::rename(house.path("Maildir"), house.path("elsewhere")).unwrap();
    accept(&house, "x@example.net", &["alice@example.org", "bob@example.org"], &message("m")).await;
    for _ in 0..2 {
        let deferred = house.next_attempt().await;
        assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.3.5"));
        for words in ["Maildir does not exist: make the directory", "local.deliver.maildir"] {
            assert!(deferred.report.text().contains(words), "{}", deferred.report);
        }
    }
    assert!(!house.path("Maildir").exists());
    fs::rename(house.path("elsewhere"), house.path("Maildir")).unwrap();
    emptied(&mut house).await;
    assert_eq!((house.maildir("alice").len(), house.maildir("bob").len()), (1, 1));
    house.stop().await;
}

/// What is wrong with one Maildir keeps no mail from another, not even the same message.
#[tokio::test]
async fn a_maildir_that_is_none_holds_up_no_other() {
    let mut house = House::start(SOON).await;
    fs::write(house.path("Maildir/alice"), "no directory").unwrap();
    accept(&house, "x@example.net", &["alice@example.org", "bob@example.org"], &message("m")).await;
    let deferred = house.attempt("alice@example.org", Deferred).await;
    assert_eq!(status(&deferred), "4.3.5");
    assert!(deferred.report.text().contains("put a directory in its place"), "{}", deferred.report);
    assert_eq!(house.maildir("bob").len(), 1);
    in_time("what is booked", async { while queued(&house).await.len() > 1 {} }).await;
    assert_eq!(queued(&house).await[0].forward_path, "alice@example.org");
    fs::remove_file(house.path("Maildir/alice")).unwrap();
    house.attempt("alice@example.org", Delivered).await;
    emptied(&mut house).await;
    house.stop().await;
    assert_eq!((house.maildir("alice").len(), house.maildir("bob").len()), (1, 1));
}

/// A link in the place of a Maildir could lead out of them: it is not followed.
#[tokio::test]
async fn no_mail_goes_through_a_link() {
    let mut house = House::start(SOON).await;
    fs::create_dir(house.path("outside")).unwrap();
    std::os::unix::fs::symlink(house.path("outside"), house.path("Maildir/alice")).unwrap();
    accept(&house, "x@example.net", &["alice@example.org"], &message("m")).await;
    let deferred = house.attempt("alice@example.org", Deferred).await;
    assert!(deferred.report.text().contains("symbolic link"), "{}", deferred.report);
    assert_eq!(files_in(&house.path("outside")), 0);
    house.stop().await;
}

/// `[local]` is gone from the configuration: mail that was accepted before waits, and is delivered when it is back.
#[tokio::test]
async fn mail_waits_for_mailboxes_that_the_configuration_has_lost() {
    let mut house = House::start(SOON).await;
    crate::support::pause(&house, smtp_admin::Scope::Mda).await;
    accept(&house, "x@example.net", &["alice@example.org"], &message("m")).await;
    let whole = fs::read_to_string(house.path("c.toml")).unwrap();
    let local = whole.find("[local]").unwrap()..whole.find("[[listener]]").unwrap();
    let mut without = whole.clone();
    without.replace_range(local, "[smart_host]\nto = \"smtp://127.0.0.1:9\"\n");
    house.write("c.toml", &without);
    house.reload().await;
    crate::support::resume(&house, smtp_admin::Scope::Mda).await;
    let deferred = house.attempt("alice@example.org", Deferred).await;
    assert_eq!(status(&deferred), "4.3.5");
    assert!(deferred.report.text().contains("[local]"), "{}", deferred.report);
    house.write("c.toml", &whole);
    house.reload().await;
    house.attempt("alice@example.org", Delivered).await;
    house.stop().await;
}
