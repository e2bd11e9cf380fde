#![allow(clippy::unwrap_used)]

use super::*;
use bytes::Bytes;
use smtp_mail::{Body, MessageId};
use smtp_proto::{ContentFacts, Domain, ForwardPath, Mail, Rcpt, ReversePath};
use std::collections::HashSet;
use std::fs;
use std::io::Seek as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

struct House {
    directory: TempDir,
    maildirs: Maildirs,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let template = format!("{}/{{domain}}/{{user}}", directory.path().display());
        let config =
            MaildirConfig { template: template.parse().unwrap(), hostname: "mx:1/a".into(), users: users().collect() };
        Self { directory, maildirs: Maildirs::new(config) }
    }

    fn mailbox(&self, user: &str) -> PathBuf {
        self.maildirs.path_of(&LocalUser::new(user)).unwrap().unwrap()
    }

    fn files(&self, user: &str, folder: &str) -> Vec<PathBuf> {
        list(&self.mailbox(user).join(folder))
    }

    fn only(&self, user: &str) -> Vec<u8> {
        let files = self.files(user, "new");
        assert_eq!(files.len(), 1, "{files:?}");
        fs::read(&files[0]).unwrap()
    }

    fn deliver(&self, attempt: &Attempt) -> Vec<DeliveryResult> {
        let outcomes = self.maildirs.deliver(&[attempt]);
        outcomes.into_iter().flatten().map(|outcome| outcome.result).collect()
    }
}

/// alice and others at example.org, and bob, whose first address is elsewhere.
fn users() -> impl Iterator<Item = (LocalUser, Domain)> {
    let names =
        ["alice", "carol", ".."].map(str::to_owned).into_iter().chain((0..10).map(|number| format!("u{number}")));
    let at_home = names.map(|name| (LocalUser::new(&name), "example.org".parse().unwrap()));
    at_home.chain([(LocalUser::new("bob"), "Other.example".parse().unwrap())])
}

fn list(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn recipient(number: u32, path: &str, user: Option<&str>) -> AttemptRecipient {
    AttemptRecipient { number, rcpt: Rcpt::new(path.parse().unwrap()), original: None, user: user.map(LocalUser::new) }
}

fn attempt(header: &str, body: Body, recipients: Vec<AttemptRecipient>) -> Attempt {
    Attempt {
        id: MessageId::from_raw(1),
        mail: Mail::new("<sender@example.net>".parse().unwrap()),
        recipients,
        content: Content::new(Bytes::copy_from_slice(header.as_bytes()), body),
        facts: ContentFacts::default(),
        received_at: SystemTime::UNIX_EPOCH,
    }
}

fn to_alice(header: &str, body: &str) -> Attempt {
    let body = Body::Memory(Bytes::copy_from_slice(body.as_bytes()));
    attempt(header, body, vec![recipient(1, "<alice@example.org>", Some("alice"))])
}

fn deferred(result: &DeliveryResult) -> &Report {
    let DeliveryResult::Deferred(report) = result else { panic!("{result:?}") };
    report
}

#[test]
fn a_message_arrives_octet_for_octet_under_its_fields() {
    let house = House::new();
    let results = house.deliver(&to_alice("Subject: x\r\n\r\n", "a\r\n.dot\r\n\u{e9}\0\r\n"));
    let DeliveryResult::Delivered(report) = &results[0] else { panic!("{results:?}") };
    assert_eq!((report.text(), report.stage), ("delivered to the mailbox of alice", Some(Stage::Mailbox)));
    let expected = "Return-Path: <sender@example.net>\r\nDelivered-To: alice@example.org\r\nSubject: x\r\n\r\na\r\n.dot\r\n\u{e9}\0\r\n";
    assert_eq!(house.only("alice"), expected.as_bytes());
    assert!(house.files("alice", "tmp").is_empty());
    let name = house.files("alice", "new").remove(0).file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.ends_with(&format!(".mx\\0721\\057a,S={}", expected.len())), "{name}");
}

#[test]
fn a_maildir_is_made_for_its_owner_alone() {
    let house = House::new();
    house.deliver(&to_alice("\r\n", "x\r\n"));
    let mailbox = house.mailbox("alice");
    assert_eq!(mailbox, house.directory.path().join("example.org/alice"));
    for path in [&mailbox, &mailbox.join("tmp"), &mailbox.join("new"), &mailbox.join("cur")] {
        let metadata = fs::metadata(path).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.is_dir()), (0o700, true), "{path:?}");
    }
    assert_eq!(fs::metadata(&house.files("alice", "new")[0]).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_maildir_that_is_there_is_left_as_it_is() {
    let house = House::new();
    house.deliver(&to_alice("\r\n", "x\r\n"));
    let mailbox = house.mailbox("alice");
    fs::set_permissions(&mailbox, fs::Permissions::from_mode(0o750)).unwrap();
    fs::remove_dir(mailbox.join("cur")).unwrap();
    house.deliver(&to_alice("\r\n", "y\r\n"));
    assert_eq!(fs::metadata(&mailbox).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(house.files("alice", "new").len(), 2);
    assert!(mailbox.join("cur").is_dir());
}

#[test]
fn the_null_reverse_path_and_postmaster_are_written_too() {
    let house = House::new();
    let mut attempt = to_alice("\r\n", "x\r\n");
    attempt.mail = Mail::new(ReversePath::Null);
    attempt.recipients[0].rcpt = Rcpt::new(ForwardPath::Postmaster);
    house.deliver(&attempt);
    assert_eq!(house.only("alice"), b"Return-Path: <>\r\nDelivered-To: postmaster\r\n\r\nx\r\n");
}

#[test]
fn bodies_in_files_stream_through_whatever_their_size() {
    let house = House::new();
    let body: Vec<u8> = (0..CHUNK_OCTETS * 2 + 77).map(|at| b"0123456789\r\n"[at % 12]).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"skip").unwrap();
    file.write_all(&body).unwrap();
    file.rewind().unwrap();
    let body_file = Body::File { file: Arc::new(file), offset: 4, octets: body.len() as u64 };
    house.deliver(&attempt("A: b\r\n\r\n", body_file, vec![recipient(1, "<alice@example.org>", Some("alice"))]));
    assert!(house.only("alice").ends_with(&[&b"A: b\r\n\r\n"[..], &body].concat()));
}

#[test]
fn a_body_that_cannot_be_read_leaves_nothing_behind() {
    let house = House::new();
    let body = Body::File { file: Arc::new(tempfile::tempfile().unwrap()), offset: 0, octets: 10 };
    let results = house.deliver(&attempt("\r\n", body, vec![recipient(1, "<alice@example.org>", Some("alice"))]));
    assert!(deferred(&results[0]).text().contains("smtpctl check"), "{results:?}");
    assert!(house.files("alice", "new").is_empty() && house.files("alice", "tmp").is_empty());
}

#[test]
fn many_recipients_of_many_messages_in_one_call() {
    let house = House::new();
    let recipients = || {
        (1..=50)
            .map(|number| recipient(number, &format!("<u{number}@example.org>"), Some(&format!("u{}", number % 10))))
    };
    let attempts: Vec<_> = (0..3)
        .map(|message| attempt("\r\n", Body::Memory(format!("{message}\r\n").into()), recipients().collect()))
        .collect();
    let outcomes = house.maildirs.deliver(&attempts.iter().collect::<Vec<_>>());
    assert_eq!(outcomes.len(), 3);
    for outcomes in &outcomes {
        let numbers: Vec<_> = outcomes.iter().map(|outcome| outcome.recipient).collect();
        assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
        assert!(outcomes.iter().all(|outcome| matches!(outcome.result, DeliveryResult::Delivered(_))));
    }
    for user in 0..10 {
        assert_eq!(house.files(&format!("u{user}"), "new").len(), 15);
    }
}

#[test]
fn the_domain_is_that_of_the_user() {
    let house = House::new();
    let attempt = attempt("\r\n", Body::Memory("x\r\n".into()), vec![recipient(1, "<b@example.org>", Some("bob"))]);
    house.deliver(&attempt);
    assert_eq!(list(&house.directory.path().join("other.example/bob/new")).len(), 1);
}

#[test]
fn mail_for_a_user_who_is_gone_fails() {
    let house = House::new();
    let user = Some("dave");
    let attempt = attempt("\r\n", Body::Memory("x\r\n".into()), vec![recipient(1, "<dave@example.org>", user)]);
    let results = house.deliver(&attempt);
    assert!(
        matches!(&results[0], DeliveryResult::Failed(report) if report.status.to_string() == "5.1.1"),
        "{results:?}"
    );
    assert!(!house.directory.path().join("example.org").exists());
}

#[test]
fn one_bad_mailbox_does_not_stop_the_others() {
    let house = House::new();
    fs::create_dir_all(house.directory.path().join("example.org")).unwrap();
    fs::write(house.mailbox("carol"), "a file").unwrap();
    let recipients = vec![
        recipient(1, "<x@example.org>", None),
        recipient(2, "<carol@example.org>", Some("carol")),
        recipient(3, "<dots@example.org>", Some("..")),
        recipient(4, "<alice@example.org>", Some("alice")),
    ];
    let results = house.deliver(&attempt("\r\n", Body::Memory("x\r\n".into()), recipients));
    assert!(matches!(&results[0], DeliveryResult::Failed(report) if report.status.to_string() == "5.1.1"));
    assert!(deferred(&results[1]).text().contains("no directory"));
    assert!(deferred(&results[2]).text().contains("cannot be part of a path"));
    assert!(matches!(results[3], DeliveryResult::Delivered(_)));
    assert_eq!(list(&house.directory.path().join("example.org")).len(), 2);
}

#[test]
fn links_are_not_followed() {
    for link in ["example.org", "example.org/alice", "example.org/alice/tmp", "example.org/alice/new"] {
        let house = House::new();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = house.directory.path().join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(elsewhere.path(), &link).unwrap();
        let results = house.deliver(&to_alice("\r\n", "x\r\n"));
        let report = deferred(&results[0]);
        assert!(report.text().contains("symbolic link"), "{report:?}");
        assert_eq!(report.status.to_string(), "4.3.5");
        assert!(list(elsewhere.path()).is_empty());
    }
}

#[test]
fn a_base_that_is_missing_is_not_made() {
    let house = House::new();
    fs::remove_dir(house.directory.path()).unwrap();
    let results = house.deliver(&to_alice("\r\n", "x\r\n"));
    assert!(deferred(&results[0]).text().contains("local.deliver.maildir"), "{results:?}");
    assert!(!house.directory.path().exists());
}

#[test]
fn a_loop_ends_here() {
    let house = House::new();
    let results = house.deliver(&to_alice("Delivered-To: ALICE@example.org\r\n\r\n", "x\r\n"));
    let DeliveryResult::Failed(report) = &results[0] else { panic!("{results:?}") };
    assert_eq!(report.status.to_string(), "5.4.6");
    let passed_on = to_alice("Delivered-To: team@example.org\r\n\r\n", "x\r\n");
    assert!(matches!(house.deliver(&passed_on)[0], DeliveryResult::Delivered(_)));
}

// Case C27: parallel deliveries to one user never clash, and nothing half-written is in `new`.
#[test]
fn two_thousand_parallel_deliveries_are_two_thousand_files() {
    let house = House::new();
    std::thread::scope(|scope| {
        for thread in 0..20 {
            let house = &house;
            scope.spawn(move || {
                for message in 0..100 {
                    let results = house.deliver(&to_alice("\r\n", &format!("{thread} {message}\r\n")));
                    assert!(matches!(results[0], DeliveryResult::Delivered(_)), "{results:?}");
                }
            });
        }
    });
    let files = house.files("alice", "new");
    assert_eq!(files.len(), 2_000);
    let contents: HashSet<_> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert_eq!(contents.len(), 2_000);
    assert!(contents.iter().all(|content| content.ends_with("\r\n")));
    assert!(house.files("alice", "tmp").is_empty());
}
