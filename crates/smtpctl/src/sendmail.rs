//! sendmail(1), mailq(1) and newaliases(1): the programs by which others hand in mail.
//!
//! Without setuid or setgid: the message goes to the server by a socket that is open to everybody, and the kernel tells it
//! which user that is. While the server is down the message is left in the maildrop.

mod exit;
mod leave;
mod message;
mod options;
mod session;
mod user;
mod verify;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Parser as _;
use smtp_mail::maildrop::DroppedEnvelope;

use self::exit::{Exit, code};
use self::options::{Mode, Options, Sender};
use self::session::{Failed, Progress, Session};
use self::user::CurrentUser;
use crate::args::{Arguments, Global};
use crate::place::{Place, SubmissionPlace};

const HELP: &str = "\
sendmail [OPTIONS] [--] [ADDRESS]...

Sends the message on standard input to the addresses. What callers of sendmail write is understood:

  -t            to the addresses in To, Cc and Bcc too
  -i, -oi       a line with a dot alone does not end the message
  -f A, -r A    the sender; '<>' is nobody. Left out: your own name
  -F NAME       your full name, for a message without From
  -bm           send (what is done anyway)
  -bv           say of each address where mail to it would go, or why it is refused; send nothing
  -bs           speak SMTP on standard input and output
  -bp           show the queue (mailq)
  -bi, -I       say that aliases need no database (newaliases)
  -q, -qI ID    make all of the queue due now, or one message
  -N WHEN       which reports are wanted: never, or failure, delay, success (with commas)
  -R HOW, -V ID with how much of the message (full, hdrs), and under which name
  -B, -o*, -A, -e, -h, -L, -O, -p, -X, -c, -E, -G, -m, -n, -s, -T, -U, -v, -x
                are taken, and change nothing
  -C FILE       the configuration file of the server; for root
  --            what follows are addresses

An address without a domain is one of this machine. While the server is down messages wait in its maildrop.

Exit codes: 0 the server has the message, or will; 64 the command line is wrong, 65 the message is, 67 an address is unknown,
69 the server refuses, 74 the input cannot be read, 75 try again later, 77 not permitted, 78 the file of -C is wrong.
";

const ALIASES_ARE_LIVE: &str = "The aliases file is read by the server itself: there is no database to build. \
                                After a change say `systemctl reload smtp-server`.\n";

/// The names that the program goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Sendmail,
    Mailq,
    Newaliases,
}

impl Name {
    /// The one that a program was called by, whatever folder it is in.
    pub(crate) fn of(program: &OsStr) -> Option<Self> {
        match Path::new(program).file_name()?.to_str()? {
            "sendmail" => Some(Self::Sendmail),
            "mailq" => Some(Self::Mailq),
            "newaliases" => Some(Self::Newaliases),
            _ => None,
        }
    }
}

/// Does what the command line says, and says what went wrong.
pub(crate) fn main(name: Name, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(name, arguments) {
        Ok(code) => code,
        Err(Exit { code, text }) => {
            for line in text.lines() {
                let _ = writeln!(io::stderr(), "sendmail: {line}");
            }
            ExitCode::from(code)
        }
    }
}

fn run(name: Name, arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, Exit> {
    let mut options = Options::parse(arguments)?;
    if options.configuration.is_some() && !nix::unistd::Uid::effective().is_root() {
        return Err(Exit::new(code::NOPERM, "-C: only root may name another configuration"));
    }
    match name {
        _ if options.mode == Mode::Help => {}
        Name::Sendmail => {}
        Name::Mailq => options.mode = Mode::ShowQueue,
        Name::Newaliases => options.mode = Mode::Aliases,
    }
    let global = Global { json: false, config: options.configuration.take().map(Into::into), socket: None };
    match options.mode {
        Mode::Deliver => deliver(options, &submission(&global)?)?,
        Mode::Smtp => speak(&submission(&global)?.socket)?,
        Mode::Verify => verify::verify(&options.recipients, &global)?,
        Mode::Aliases => print(ALIASES_ARE_LIVE)?,
        Mode::Help => print(HELP)?,
        Mode::ShowQueue => return Ok(smtpctl(global, &["show", "queue"])),
        Mode::RunQueue(None) => return Ok(smtpctl(global, &["schedule", "all"])),
        Mode::RunQueue(Some(id)) => return Ok(smtpctl(global, &["schedule", "--id", &id])),
    }
    Ok(ExitCode::SUCCESS)
}

fn submission(global: &Global) -> Result<SubmissionPlace, Exit> {
    Place::find(global).submission().map_err(|failure| Exit::new(code::CONFIG, failure.to_string()))
}

/// Runs a command of smtpctl.
fn smtpctl(global: Global, words: &[&str]) -> ExitCode {
    let words = std::iter::once("smtpctl").chain(words.iter().copied());
    match Arguments::try_parse_from(words) {
        Ok(arguments) => crate::answer(Arguments { global, ..arguments }),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(code::USAGE)
        }
    }
}

fn print(text: &str) -> Result<(), Exit> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| Exit::new(code::IOERR, error.to_string()))
}

/// Sends the message on standard input, or leaves it in the maildrop.
fn deliver(options: Options, submission: &SubmissionPlace) -> Result<(), Exit> {
    let content = message::read(io::stdin().lock(), options.dot_is_data)?;
    let mut recipients = options.recipients;
    if options.recipients_from_header {
        let (header, _) = smtp_mail::header::HeaderBlock::split(content.clone());
        recipients.extend(message::recipients(&header)?);
    }
    if recipients.is_empty() {
        return Err(Exit::new(code::USAGE, "nobody is named whom the message is for"));
    }
    let user = CurrentUser::find();
    let sender = match options.sender {
        Sender::User => Some(user.address()?),
        Sender::Null => None,
        Sender::Address(address) => Some(address),
    };
    let full_name = options.full_name.or(user.full_name);
    let mut named = HashSet::new();
    recipients.retain(|recipient| named.insert(recipient.clone()));
    let mut envelope = DroppedEnvelope { sender, full_name, recipients, reports: options.reports };
    let mut progress = Progress::new(envelope.recipients.len());
    match send(&submission.socket, envelope.clone(), content.clone(), &mut progress) {
        Ok(()) => {}
        Err(Failed::Refused(exit)) => return Err(exit),
        Err(Failed::Down(why)) => {
            let left = progress.waiting.iter().map(|&place| envelope.recipients[place].clone()).collect();
            envelope.recipients = left;
            leave::leave(&submission.maildrop, &envelope, &content).map_err(|error| {
                let maildrop = submission.maildrop.display();
                Exit::new(code::TEMPFAIL, format!("{why}\nthe maildrop {maildrop} takes nothing either: {error}"))
            })?;
        }
    }
    progress.refusals.into_result()
}

fn send(socket: &Path, envelope: DroppedEnvelope, content: Bytes, progress: &mut Progress) -> Result<(), Failed> {
    let (session, domain) = Session::open(socket)?;
    let completed = envelope.complete(content, &domain);
    let (envelope, content) = completed
        .map_err(|error| Failed::Refused(Exit::new(code::DATAERR, format!("an address is too long: {error}"))))?;
    session.send(&envelope, &content, progress)
}

/// `-bs`: carries octets between standard input and output and the server, which knows the user by the socket.
fn speak(socket: &Path) -> Result<(), Exit> {
    let failed = |error: io::Error| Exit::new(code::IOERR, error.to_string());
    let connected = UnixStream::connect(socket).and_then(|stream| Ok((stream.try_clone()?, stream)));
    let (mut replies, mut commands) = match connected {
        Ok(both) => both,
        Err(error) => {
            print("421 4.3.2 The server is not running; try again later\r\n")?;
            return Err(Exit::new(code::TEMPFAIL, format!("no server answers at {}: {error}", socket.display())));
        }
    };
    // Not awaited: it may wait for input when the server has ended the session.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut commands);
        let _ = commands.shutdown(Shutdown::Write);
    });
    let mut output = io::stdout().lock();
    io::copy(&mut replies, &mut output).and_then(|_| output.flush()).map_err(failed)
}
