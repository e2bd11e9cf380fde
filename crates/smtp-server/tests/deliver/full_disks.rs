//! File systems without room, or without leave to write, under the Maildirs and under the queue.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use smtp_admin::{PauseRequest, ResumeRequest, Scope};
use smtp_server::metrics::AttemptResult::{Deferred, Delivered};
use smtp_testkit::peer::{Answer, Gate, Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, accept, admin, emptied, in_time, message, routed, status, until};

mod failing;

/// A small file system of its own, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: &Path, options: &str) -> Self {
        Self::mount(path, Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]))
    }

    /// ext4 in a file.
    fn image(path: &Path, image: &Path) -> Self {
        Self::mount(path, Command::new("mount").args(["-o", "loop"]).arg(image))
    }

    fn mount(path: &Path, command: &mut Command) -> Self {
        assert!(command.arg(path).status().unwrap().success());
        Self(path.to_owned())
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }

    /// Leaves no room.
    fn fill(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        let mut file = File::create(&path).unwrap();
        let mut octets = 1 << 20;
        while octets > 0 {
            if file.write_all(&vec![0; octets]).is_err() {
                octets /= 2;
            }
        }
        path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Files may still be open, so it goes when they are closed. That it fails would show in the next run of mount.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
#[ignore = "mounts a file system: needs root"]
async fn mail_waits_for_room_under_the_maildirs() {
    let mut house = House::start(SOON).await;
    let disk = Mounted::at(&house.path("Maildir"), "size=1m");
    let filler = disk.fill("filler");
    let content = format!("{}{}", message("big"), "x\r\n".repeat(10_000));
    accept(&house, "x@example.net", &["alice@example.org"], &content).await;
    let deferred = house.attempt("alice@example.org", Deferred).await;
    assert_eq!(status(&deferred), "4.3.1");
    assert!(deferred.report.text().ends_with("make room there"), "{}", deferred.report);
    std::fs::remove_file(filler).unwrap();
    house.attempt("alice@example.org", Delivered).await;
    emptied(&mut house).await;
    house.stop().await;
    assert!(house.maildir("alice")[0].ends_with(&content));
    assert_eq!(std::fs::read_dir(house.path("Maildir/alice/tmp")).unwrap().count(), 0);
}

#[tokio::test]
#[ignore = "mounts a file system: needs root"]
async fn mail_waits_for_maildirs_that_can_be_written() {
    let mut house = House::start(SOON).await;
    let disk = Mounted::at(&house.path("Maildir"), "size=1m");
    disk.remount("ro");
    accept(&house, "x@example.net", &["alice@example.org"], &message("m")).await;
    let deferred = house.attempt("alice@example.org", Deferred).await;
    assert_eq!(status(&deferred), "4.3.0");
    assert!(deferred.report.text().ends_with("is read-only: mount it writable"), "{}", deferred.report);
    disk.remount("rw");
    house.attempt("alice@example.org", Delivered).await;
    emptied(&mut house).await;
    house.stop().await;
    assert_eq!(house.maildir("alice").len(), 1);
}

/// C16: while the queue cannot be written nothing is taken and nothing is tried, since neither could be noted; what was under
/// way is noted as soon as it can be. With room again all goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "mounts a file system: needs root"]
async fn delivering_stops_with_the_queue_and_goes_on_with_it() {
    let gate = Gate::new();
    let held = Answer::Wait(gate.clone(), Box::new("250 2.0.0 taken".into()));
    let peer = Peer::start(Script::new().on_each(Stage::Dot, [held, "250 2.0.0 taken".into()]));
    let more = routed(&format!("{SOON}free_octets_min = \"1 MiB\"\n"), &[("example.net", &peer)])
        + "[delivery]\nsessions_per_next_hop = 1\n";
    let mut house = House::start(&more).await;
    house.stop().await;
    let disk = Mounted::at(&house.path("queue"), "size=48m");
    house.start_daemon().await;
    let mut accepted = 5;
    for _ in 0..accepted {
        accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    }
    in_time("an attempt", gate.reached(1)).await;
    let control = house.daemon().control().clone();
    let ready = || control.readiness(std::time::SystemTime::now()).ready;
    // What is kept for settlements is filled up too, as it is given up little by little. Mail is refused before it is written
    // when no room is seen: what an operator does is written all the same, until it cannot be.
    let mut fillers = Vec::new();
    for number in 0.. {
        if !ready() {
            break;
        }
        assert!(number < 1_000, "the queue can be written without room");
        fillers.push(disk.fill(&format!("filler{number}")));
        let reply = house.send("alice@example.org", &["x@example.net"], &message("m")).await;
        accepted += usize::from(reply.starts_with("250 "));
        assert!(reply.starts_with("250 ") || reply.starts_with("452 4.3.1 "), "{reply}");
        let _ = pause_and_resume(&house).await;
    }
    gate.open();
    in_time("what was on the wire", peer.wait_for_messages(1)).await;
    let refused = house.send("alice@example.org", &["x@example.net"], &message("m")).await;
    assert!(refused.starts_with("452 4.3.1 "), "{refused}");
    assert_eq!(peer.messages().len(), 1, "what cannot be noted is not tried");
    for filler in fillers {
        std::fs::remove_file(filler).unwrap();
    }
    emptied(&mut house).await;
    until("readiness", ready).await;
    assert_eq!(peer.messages().len(), accepted, "each once");
    accept(&house, "alice@example.org", &["x@example.net"], &message("after")).await;
    in_time("what came after", peer.wait_for_messages(accepted + 1)).await;
    emptied(&mut house).await;
    house.stop().await;
}

/// Two records in the log of the queue that change nothing in the end.
async fn pause_and_resume(house: &House) -> Result<(), smtp_admin::ClientError> {
    let scope = Scope::Domain("nobody.example".to_owned());
    admin(house).pause(&PauseRequest { scope: scope.clone(), for_seconds: None, reason: None }).await?;
    admin(house).resume(&ResumeRequest { scope, reason: None }).await.map(drop)
}
