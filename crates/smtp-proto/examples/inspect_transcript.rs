//! Reads a dialogue as people paste it (`C: ` what the client said, `S: ` what the server said) and says what is wrong with it.
//!
//! `cargo run -p smtp-proto --example inspect_transcript <dialogue.txt`

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::io::{self, Read as _};

use bytes::BytesMut;
use smtp_proto::{Command, Extensions, Limits, RemoteReply, ReplyReader};

fn main() -> io::Result<()> {
    let mut dialogue = String::new();
    io::stdin().read_to_string(&mut dialogue)?;
    for finding in inspect(&dialogue) {
        println!("{finding}");
    }
    Ok(())
}

/// What there is to say about each line that has something to it.
pub(crate) fn inspect(dialogue: &str) -> Vec<String> {
    let mut inspector = Inspector::default();
    for (index, line) in dialogue.lines().enumerate() {
        match line.split_at_checked(3) {
            Some(("C: ", said)) => inspector.client(index + 1, said),
            Some(("S: ", said)) => inspector.server(index + 1, said),
            _ => {}
        }
    }
    inspector.findings
}

#[derive(Default)]
struct Inspector {
    findings: Vec<String>,
    /// The lines of a reply that is not complete.
    reply: BytesMut,
    /// What the last command was that no reply has come to.
    asked: Option<Command>,
    offered: Extensions,
    in_mail_data: bool,
}

impl Inspector {
    fn client(&mut self, number: usize, said: &str) {
        if self.in_mail_data {
            self.in_mail_data = said != ".";
            return;
        }
        match Command::parse(said.as_bytes()) {
            Err(error) => self.findings.push(format!("{number}: {error}: a server answers {}", error.reply())),
            Ok(command) => {
                let permitted = match &command {
                    Command::Mail(mail) => self.offered.permits_mail(&mail.parameters),
                    Command::Rcpt(rcpt) => self.offered.permits_rcpt(&rcpt.parameters),
                    _ => true,
                };
                if !permitted {
                    self.findings.push(format!("{number}: parameter of an extension that the server does not offer"));
                }
                self.asked = Some(command);
            }
        }
    }

    fn server(&mut self, number: usize, said: &str) {
        self.reply.extend_from_slice(said.as_bytes());
        self.reply.extend_from_slice(b"\r\n");
        match ReplyReader::new(&Limits::default()).read(&mut self.reply.clone()) {
            Ok(None) => return,
            Ok(Some(reply)) => self.answered(number, &reply),
            Err(error) => self.findings.push(format!("{number}: no reply: {error}")),
        }
        self.reply.clear();
    }

    fn answered(&mut self, number: usize, reply: &RemoteReply) {
        match (self.asked.take(), reply.code().number()) {
            (Some(Command::Hello(_)), 250) => {
                self.offered = Extensions::from_reply(reply);
                if !self.offered.starttls {
                    self.findings.push(format!("{number}: no STARTTLS"));
                }
            }
            (Some(Command::Data), 354) => self.in_mail_data = true,
            (Some(command), 400..) => {
                self.findings.push(format!("{number}: {} refused: {}", command.verb(), reply.escaped(200)));
            }
            _ => {}
        }
    }
}
