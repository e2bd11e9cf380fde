//! Case C27: a server that is killed in the middle of deliveries leaves nothing half-written where readers look.

#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use bytes::Bytes;
use smtp_delivery::maildir::{MaildirConfig, Maildirs};
use smtp_mail::{Attempt, AttemptRecipient, Body, Content, DeliveryResult, LocalUser, MessageId};
use smtp_proto::{ContentFacts, Mail, Rcpt};

const BASE: &str = "MAILDIR_KILL_BASE";
const LINES: usize = 10_000;

fn maildirs(base: &str) -> Maildirs {
    Maildirs::new(MaildirConfig {
        template: format!("{base}/{{user}}").parse().unwrap(),
        hostname: "mx.example.org".into(),
        users: HashMap::from([(LocalUser::new("alice"), "example.org".parse().unwrap())]),
    })
}

fn attempt(number: u64) -> Attempt {
    let body = Bytes::from(format!("line of message {number}\r\n").repeat(LINES));
    Attempt {
        id: MessageId::from_raw(number),
        mail: Mail::new("<sender@example.net>".parse().unwrap()),
        recipients: vec![AttemptRecipient {
            number: 1,
            rcpt: Rcpt::new("<alice@example.org>".parse().unwrap()),
            original: None,
            user: Some(LocalUser::new("alice")),
        }],
        content: Content::new(Bytes::from(format!("Subject: {number}\r\n\r\n")), Body::Memory(body)),
        facts: ContentFacts::default(),
        received_at: SystemTime::now(),
    }
}

#[test]
#[ignore = "the test beside it runs this one in a process of its own, and kills it"]
fn deliver_until_killed() {
    let Ok(base) = std::env::var(BASE) else { return };
    let maildirs = maildirs(&base);
    for number in (0_u64..).step_by(4) {
        let attempts: Vec<_> = (number..number + 4).map(attempt).collect();
        for outcomes in maildirs.deliver(&attempts.iter().collect::<Vec<_>>()) {
            assert!(matches!(outcomes[0].result, DeliveryResult::Delivered(_)), "{outcomes:?}");
        }
    }
}

fn start(base: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "deliver_until_killed"])
        .env(BASE, base)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn check(path: &Path) {
    let content = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with(&format!(",S={}", content.len())), "{name} has {} octets", content.len());
    let body = content.split_once("\r\n\r\n").unwrap().1;
    let lines: HashSet<_> = body.lines().collect();
    assert_eq!((body.lines().count(), lines.len()), (LINES, 1), "{name}");
}

#[test]
fn a_kill_leaves_whole_messages_only() {
    let base = tempfile::tempdir().unwrap();
    let new = base.path().join("alice/new");
    let mut names: HashSet<OsString> = HashSet::new();
    for round in 1..=5 {
        let wanted = names.len() + round;
        let mut child = start(base.path());
        while files(&new).len() < wanted {
            assert!(child.try_wait().unwrap().is_none(), "the deliveries have failed");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let found = files(&new);
        for path in &found {
            check(path);
        }
        names.extend(found.iter().map(|path| path.file_name().unwrap().to_owned()));
        assert_eq!(names.len(), found.len(), "no name is used twice, none is gone");
    }
}
