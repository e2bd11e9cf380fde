//! Runs the tool by one of its names.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::house::House;

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    /// A success that says nothing, as callers want it.
    pub(crate) fn silent() -> Self {
        Self { code: 0, output: String::new(), errors: String::new() }
    }
}

/// The tool under that name, with the configuration of that server.
pub(crate) fn program(house: &House, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smtpctl"));
    command.arg0(format!("/usr/sbin/{name}")).args(arguments).env("SMTP_SERVER_CONFIG", house.path("c.toml"));
    command
}

/// Runs it to its end. The server goes on meanwhile.
pub(crate) async fn run(mut command: Command, input: &str) -> Ended {
    let input = input.to_owned();
    let ended = tokio::task::spawn_blocking(move || {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may have ended before it has read all.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    });
    let ended = ended.await.unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Ended { code: ended.status.code().unwrap(), output: text(ended.stdout), errors: text(ended.stderr) }
}

/// `sendmail` with these arguments.
pub(crate) async fn sendmail(house: &House, arguments: &[&str], input: &str) -> Ended {
    run(program(house, "sendmail", arguments), input).await
}
