//! A disk that fails under the queue of the whole program.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;
use smtp_testkit::peer::{Answer, Gate, Peer, Script, Stage};
use tokio::net::TcpStream;

use super::Mounted;
use crate::house::{Dialogue, House};
use crate::support::{SOON, in_time, message, routed};

const EXIT_INPUT_OUTPUT: i32 = 74;

/// The program, until it ends by itself or the test is over.
struct Program {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Program {
    fn start(house: &House) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smtp-server"));
        command.arg("--config").arg(house.path("c.toml")).env_remove("NOTIFY_SOCKET");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut program = Self { child, log, address: ([127, 0, 0, 1], 0).into() };
        let started = program.event("started");
        let mx = started["addresses"].as_str().unwrap().split(' ').next().unwrap();
        program.address = mx.parse().unwrap();
        program
    }

    fn event(&mut self, event: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the server ended before it logged {event}");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["event"] == event {
                return line;
            }
        }
    }

    /// The reply to a message, which is empty where the server is gone.
    async fn send(&self, content: &str) -> String {
        let Ok(stream) = TcpStream::connect(self.address).await else { return String::new() };
        let mut dialogue = Dialogue::new(stream);
        dialogue.reply().await;
        dialogue.ask("EHLO client.example").await;
        dialogue.try_send("alice@example.org", "x@example.net", content).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The blocks of the disk lie in memory that runs out, as on storage that promises more than it has: the file system takes the
/// write, and the sync fails. What was answered with 250 is there when the disk is well again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "mounts a file system: needs root"]
async fn a_sync_that_fails_ends_the_program_and_loses_nothing() {
    let gate = Gate::new();
    let peer =
        Peer::start(Script::new().on(Stage::Dot, Answer::Wait(gate.clone(), Box::new("250 2.0.0 taken".into()))));
    let more = routed(SOON, &[("example.net", &peer)]) + "[delivery]\nsessions_per_next_hop = 1\n";
    let house = House::down(&more).await;
    std::fs::create_dir(house.path("blocks")).unwrap();
    let blocks = Mounted::at(&house.path("blocks"), "size=48m");
    let image = house.path("blocks/image");
    File::create(&image).unwrap().set_len(256 << 20).unwrap();
    // With its journal: without one ext4 calls durable what it could not write.
    let mut make = Command::new("mkfs.ext4");
    assert!(make.args(["-q", "-F"]).arg(&image).status().unwrap().success());
    let disk = Mounted::image(&house.path("queue"), &image);

    let mut program = Program::start(&house);
    let mut accepted = Vec::new();
    for number in 0..5 {
        let subject = format!("before-{number}");
        let reply = program.send(&message(&subject)).await;
        assert!(reply.starts_with("250 "), "{reply}");
        accepted.push(subject);
    }
    let filler = blocks.fill("filler");
    let mut refused = None;
    for number in 0..1_000 {
        let subject = format!("during-{number}");
        // Long enough to need blocks that the disk has not yet had to find.
        let reply = program.send(&(message(&subject) + &"x\r\n".repeat(20_000))).await;
        if !reply.starts_with("250 ") {
            refused = Some(reply);
            break;
        }
        accepted.push(subject);
    }
    let refused = refused.expect("the disk is full");
    assert!(refused.starts_with("451 4.3.0 ") || refused.is_empty(), "{refused}");
    let fatal = program.event("fatal");
    assert!(fatal["text"].as_str().unwrap().contains("could not be synced"), "{fatal}");
    assert_eq!(program.child.wait().unwrap().code(), Some(EXIT_INPUT_OUTPUT));

    std::fs::remove_file(filler).unwrap();
    drop(disk);
    let _disk = Mounted::image(&house.path("queue"), &image);
    gate.open();
    let program = Program::start(&house);
    let reply = program.send(&message("after")).await;
    assert!(reply.starts_with("250 "), "{reply}");
    accepted.push("after".to_owned());
    in_time("all of it", async {
        loop {
            let arrived = peer.messages();
            let has =
                |subject: &String| arrived.iter().any(|one| String::from_utf8_lossy(&one.content).contains(subject));
            if accepted.iter().all(has) {
                return;
            }
            peer.wait_for_messages(arrived.len() + 1).await;
        }
    })
    .await;
}
