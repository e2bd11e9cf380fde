//! The tool without a server, on the directory of a queue.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use crate::ended::Ended;
use crate::support::{configuration, put, run};
use smtp_mail::MessageId;
use smtp_queue::{Queue, QueueConfig};
use tempfile::TempDir;

/// A queue that its server has left.
struct Spool {
    directory: TempDir,
    config: PathBuf,
}

impl Spool {
    fn with(messages: &[(&str, &[&str])]) -> (Self, Vec<MessageId>) {
        let directory = tempfile::tempdir().unwrap();
        let config = configuration(directory.path());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (queue, _) = Queue::open(&QueueConfig::new(directory.path().join("queue"))).unwrap();
        let put_all = async {
            let mut ids = Vec::new();
            for (reverse_path, forward_paths) in messages {
                ids.push(put(&queue, reverse_path, forward_paths).await);
            }
            ids
        };
        let ids = runtime.block_on(put_all);
        queue.close();
        (Self { directory, config }, ids)
    }

    fn queue(&self) -> PathBuf {
        self.directory.path().join("queue")
    }

    fn run(&self, line: &str) -> Ended {
        let mut arguments = vec!["--config", self.config.to_str().unwrap()];
        arguments.extend(line.split_whitespace());
        run(&arguments, "")
    }

    /// The output of a success that says on standard error that it worked without the server.
    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let ended = self.run(line);
        let note = format!("smtpctl: the server is not running; this is what is in {}\n", self.queue().display());
        assert_eq!((ended.code, ended.errors.as_str()), (0, note.as_str()), "{ended:?}");
        ended.output
    }
}

#[test]
fn the_queue_is_shown_and_checked_with_the_server_stopped() {
    let (spool, ids) =
        Spool::with(&[("<a@demo.test>", &["<b@away.test>", "<c@far.test>"]), ("<>", &["<b@away.test>"])]);
    let shown = spool.ok("show queue --json --rcpt b@away.test");
    let found: Vec<serde_json::Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = found.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, [format!("{}.1", ids[0]), format!("{}.1", ids[1])]);
    assert!(spool.ok("show queue").ends_with("-- 3 envelopes of 2 messages, 52 B\n"));
    assert_eq!(spool.ok("check"), "2 messages checked: all is well\n");
    let ended = spool.run("show queue --domain nowhere.test");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(spool.ok("show queue --limit 1").lines().count(), 3);
}

#[test]
fn the_index_is_made_anew() {
    let (spool, _) = Spool::with(&[("<a@demo.test>", &["<b@away.test>", "<c@far.test>"])]);
    let shown = spool.run("rebuild").ok();
    assert!(shown.starts_with("the index was made anew: 1 message, 2 deliveries\n"), "{shown}");
    assert!(spool.ok("show queue").ends_with("-- 2 envelopes of 1 message, 26 B\n"));
}

#[test]
fn damage_is_found() {
    let (spool, ids) = Spool::with(&[("<a@demo.test>", &["<b@away.test>"]), ("<a@demo.test>", &["<b@away.test>"])]);
    let segment = find_file(&spool.queue(), b"Hello.\r\n");
    let mut octets = fs::read(&segment).unwrap();
    let place = octets.windows(6).position(|window| window == b"Hello.").unwrap();
    octets[place] ^= 1;
    fs::write(&segment, octets).unwrap();
    let ended = spool.run("check");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.output.contains(&ids[0].to_string()), "{ended:?}");
    assert!(ended.output.ends_with("2 messages checked: not all is well\n"), "{ended:?}");
}

/// The file under a directory that holds these octets.
fn find_file(directory: &Path, octets: &[u8]) -> PathBuf {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if fs::read(&path).unwrap().windows(octets.len()).any(|window| window == octets) {
                return path;
            }
        }
    }
    panic!("no file holds it");
}

#[test]
fn a_queue_that_a_server_holds_is_left_alone() {
    let (spool, _) = Spool::with(&[]);
    let (queue, _) = Queue::open(&QueueConfig::new(spool.queue())).unwrap();
    for line in ["rebuild", "check", "show queue"] {
        let errors = spool.run(line).failed(1);
        assert!(errors.contains("is in use by another process"), "{errors}");
        assert!(errors.ends_with(": stop the server, or say with --socket where it listens\n"), "{errors}");
    }
    queue.close();
}

#[test]
fn no_queue_and_no_server_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let config = configuration(directory.path());
    let errors = run(&["--config", config.to_str().unwrap(), "check"], "").failed(1);
    assert!(errors.starts_with("smtpctl: there is no queue at "), "{errors}");
    assert!(!directory.path().join("queue").exists(), "looking makes nothing");
}

/// Root leaves no file behind that the server could not write.
#[test]
#[ignore = "needs root: nobody else can give files away"]
fn root_becomes_the_owner_of_the_queue() {
    const OWNER: u32 = 65_534;
    let (spool, _) = Spool::with(&[("<a@demo.test>", &["<b@away.test>"])]);
    let give_away = |path: &Path| chown(path, Some(OWNER), Some(OWNER)).unwrap();
    give_away(spool.directory.path());
    every_file(&spool.queue(), &give_away);
    spool.run("rebuild").ok();
    assert_eq!(spool.ok("check"), "1 message checked: all is well\n");
    every_file(&spool.queue(), &|path| assert_eq!(fs::metadata(path).unwrap().uid(), OWNER, "{}", path.display()));
}

fn every_file(path: &Path, visit: &dyn Fn(&Path)) {
    visit(path);
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            every_file(&entry.unwrap().path(), visit);
        }
    }
}
