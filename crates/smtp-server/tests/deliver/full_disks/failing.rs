//! A disk that fails under the queue of the whole program.

use std::fs::File;
use std::process::{Command, Stdio};

use smtp_testkit::peer::{Answer, Gate, Peer, Script, Stage};
use tokio::net::TcpStream;

use super::Mounted;
use crate::house::{Dialogue, House};
use crate::process::Server;
use crate::support::{SOON, in_time, message, routed};

const EXIT_INPUT_OUTPUT: i32 = 74;

fn start(house: &House) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smtp-server"));
    command.arg("--config").arg(house.path("c.toml")).env_remove("NOTIFY_SOCKET");
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    Server::of(command)
}

/// The reply of its mx listener to a message, which is empty where the server is gone.
async fn send(server: &Server, content: &str) -> String {
    let mx = server.address.split(' ').next().unwrap();
    let Ok(stream) = TcpStream::connect(mx).await else { return String::new() };
    let mut dialogue = Dialogue::new(stream);
    dialogue.reply().await;
    dialogue.ask("EHLO client.example").await;
    dialogue.try_send("alice@example.org", "x@example.net", content).await
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

    let mut program = start(&house);
    let mut accepted = Vec::new();
    for number in 0..5 {
        let subject = format!("before-{number}");
        let reply = send(&program, &message(&subject)).await;
        assert!(reply.starts_with("250 "), "{reply}");
        accepted.push(subject);
    }
    let filler = blocks.fill("filler");
    let refused = in_time("the disk fails", async {
        for number in 0.. {
            let subject = format!("during-{number}");
            // Long enough to need blocks that the disk has not yet had to find.
            let reply = send(&program, &(message(&subject) + &"x\r\n".repeat(20_000))).await;
            if reply.starts_with("250 ") {
                accepted.push(subject);
            } else if !reply.starts_with("452 4.3.1 ") {
                return reply;
            }
            // Some writes are refused before they are to be synced: that is want of room.
        }
        unreachable!("numbers do not end")
    })
    .await;
    assert!(refused.starts_with("451 4.3.0 ") || refused.is_empty(), "{refused}");
    let fatal = program.event("fatal");
    assert!(fatal["text"].as_str().unwrap().contains("could not be synced"), "{fatal}");
    assert_eq!(program.child.wait().unwrap().code(), Some(EXIT_INPUT_OUTPUT));

    std::fs::remove_file(filler).unwrap();
    drop(disk);
    let _disk = Mounted::image(&house.path("queue"), &image);
    gate.open();
    let program = start(&house);
    let reply = send(&program, &message("after")).await;
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
