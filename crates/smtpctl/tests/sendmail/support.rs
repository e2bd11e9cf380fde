//! Runs the tool by one of its names.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::ended::{Ended, to_the_end};
use crate::house::House;

/// The tool under that name, with the configuration of that server.
pub(crate) fn program(house: &House, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smtpctl"));
    command.arg0(format!("/usr/sbin/{name}")).args(arguments).env("SMTP_SERVER_CONFIG", house.path("c.toml"));
    command
}

/// Runs it to its end. The server goes on meanwhile.
pub(crate) async fn run(command: Command, input: &str) -> Ended {
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || to_the_end(command, &input)).await.unwrap()
}

/// `sendmail` with these arguments.
pub(crate) async fn sendmail(house: &House, arguments: &[&str], input: &str) -> Ended {
    run(program(house, "sendmail", arguments), input).await
}
