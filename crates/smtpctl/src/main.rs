//! The admin tool: asks the daemon, waits, prints text for people or JSON for programs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

mod act;
mod args;
mod encrypt;
mod failure;
mod offline;
mod place;
mod render;
mod route;
mod selection;
mod sendmail;
mod show;

use self::args::{Arguments, Command};
use self::failure::Failure;
use self::place::Place;

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let mut called = words.next().as_deref().and_then(sendmail::Name::of);
    if called.is_none() {
        // So that they can be tried before they are installed.
        called = words.next().as_deref().and_then(sendmail::Name::of);
    }
    if let Some(name) = called {
        return sendmail::main(name, words);
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _ = error.print();
            return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    answer(arguments)
}

/// Does what is asked for, and says what went wrong.
fn answer(arguments: Arguments) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has had enough, as `head` does.
        Err(Failure::Failed(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "smtpctl: {failure}");
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let place = Place::find(&arguments.global);
    let json = arguments.global.json;
    runtime.block_on(async {
        match arguments.command {
            Command::Show(what) => show::show(what, &place, json).await,
            Command::Check(directory) => offline::check(directory.directory, &place, json).await,
            Command::Rebuild(directory) => offline::rebuild(directory.directory, &place, json),
            Command::Route { address } => route::show(address, &place, json).await,
            Command::Encrypt(encrypt) => encrypt::encrypt(encrypt, json).await,
            command => act::act(command, &place, json).await,
        }
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe))
}
