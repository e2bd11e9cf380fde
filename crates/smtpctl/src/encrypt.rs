//! `smtpctl encrypt`: what a users file keeps of a password.

use std::future::poll_fn;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::task::Poll;

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use smtp_sasl::{PASSWORD_OCTETS_MAX, PasswordHash, ScramKeys, prepare_password};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Encrypt;
use crate::failure::Failure;

/// Asks for the password, hashes it and prints the two lines of the users file. No server is needed.
pub(crate) async fn encrypt(arguments: Encrypt, json: bool) -> Result<(), Failure> {
    let written = match arguments.password {
        Some(_) if !arguments.insecure_argv => {
            let text = "a password on the command line can be seen by every user of this machine: leave it out and it is asked for, or \
                        say --insecure-argv";
            return Err(Failure::Usage(text.to_owned()));
        }
        Some(password) => password,
        None if io::stdin().is_terminal() => ask_in_the_dark().await?,
        None => read_line()?,
    };
    let refused = |error| Failure::Usage(format!("this cannot be a password: {error}"));
    let password = prepare_password(written.as_bytes()).map_err(refused)?;
    let (hash, keys) = (PasswordHash::make(&password), ScramKeys::make(&password).expose());
    let mut output = io::stdout().lock();
    if json {
        writeln!(output, "{}", serde_json::json!({ "password": hash.expose(), "scram_sha_256": keys }))?;
    } else {
        writeln!(output, "password = \"{}\"\nscram_sha_256 = \"{keys}\"", hash.expose())?;
    }
    Ok(())
}

/// The first line of standard input.
fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    // One octet more than is taken, and a line end: what is too long is told, and not cut.
    let longest = u64::try_from(PASSWORD_OCTETS_MAX).unwrap_or(u64::MAX) + 3;
    io::stdin().lock().take(longest).read_line(&mut line).map_err(unreadable)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks while the terminal does not show what is typed; whoever ends the program meanwhile finds the terminal as it was.
async fn ask_in_the_dark() -> Result<String, Failure> {
    let mut ends = [SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate(), SignalKind::hangup()]
        .into_iter()
        .map(|kind| Ok((kind, signal(kind)?)))
        .collect::<io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    let echo_off = EchoOff::begin().map_err(unreadable)?;
    let ended = poll_fn(|context| {
        let ended = ends.iter_mut().find_map(|(kind, signal)| signal.poll_recv(context).is_ready().then_some(*kind));
        ended.map_or(Poll::Pending, Poll::Ready)
    });
    tokio::select! {
        asked = tokio::task::spawn_blocking(ask_twice) => {
            drop(echo_off);
            asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        }
        kind = ended => {
            drop(echo_off);
            // Nobody can be called back from a read that waits for the terminal. The code is the one that a shell gives it.
            std::process::exit(128 + kind.as_raw_value())
        }
    }
}

/// Typed twice, so that a slip is found.
fn ask_twice() -> Result<String, Failure> {
    let first = ask("Password: ")?;
    let second = ask("The same again: ")?;
    if first == second { Ok(first) } else { Err(Failure::Usage("the two are not the same".to_owned())) }
}

fn ask(prompt: &str) -> Result<String, Failure> {
    let mut error = io::stderr();
    write!(error, "{prompt}").and_then(|()| error.flush()).map_err(unreadable)?;
    let line = read_line();
    // The line end that was typed was not shown either.
    writeln!(error).map_err(unreadable)?;
    line
}

fn unreadable(error: io::Error) -> Failure {
    Failure::Failed(anyhow::Error::new(error).context("the password could not be read"))
}

/// While it lives the terminal does not show what is typed.
struct EchoOff(Termios);

impl EchoOff {
    fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        // The terminal may be gone, and then nothing is left to set back.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
