//! Dialogues as text files, held against the session engines.
//!
//! Each file is one situation. Its first line is a comment with the section of the RFC; then, in order:
//!
//! | line | meaning |
//! |---|---|
//! | `# text` | a comment |
//! | `L: name value` | a limit of the session, before anything else |
//! | `C: line`, `S: line` | a line of the client, of the server; CRLF is understood |
//! | `c: octets`, `s: octets` | octets of the peer that arrive in one piece in every run |
//! | `E: event` | what the session under test tells its caller |
//! | `A: answer` | what the caller says to the session |
//! | `T: what` | `5m` or `30s`: so much time passes; `tls`: TLS is established; `eof`: the peer's stream ends |
//!
//! Octets are written as `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN`; `{3000*a}` is a repetition.
//!
//! The server's files can also be said to a real server ([`Transcript::replay`]).
//!
//! A file is run line by line, and what comes out must be the file itself. Then it is run whole, octet by octet, and in
//! random cuts, and what the session says must not differ. With `UPDATE_TRANSCRIPTS=1` in the environment the file
//! is rewritten instead.

mod client;
mod octets;
mod replay;
mod run;
mod server;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use smtp_proto::{Limits, Session};

pub use client::{ClientRole, LmtpClientRole};
pub use server::{LmtpServerRole, QueriesServerRole, ServerRole, TrustingServerRole, WatchfulServerRole};

use octets::read_octets;
use run::{Cuts, Run};

/// The side whose session is under test.
pub trait Role {
    /// Its session.
    type Session: Session;
    /// Where its transcripts are, under `transcripts`.
    const DIRECTORY: &str;
    /// The letter of the peer's lines, which are the input.
    const INPUT: char;
    /// The letter of the lines of the session.
    const OUTPUT: char;
    /// The peer says nothing before it has heard what it answers: a server. A client may say all at once.
    const PEER_WAITS: bool;

    /// A session at its beginning.
    fn session(limits: Limits, now: Instant) -> Self::Session;

    /// How an event is written, and whether an answer is due.
    fn show(event: &<Self::Session as Session>::Event) -> Shown;

    /// Says what an `A:` line says to the session; an error is written as an event.
    fn say(session: &mut Self::Session, words: &str, now: Instant) -> Result<(), String>;

    /// Says that TLS is there.
    fn tls_established(session: &mut Self::Session, now: Instant);
}

/// An event in writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// One that tells something.
    Told(String),
    /// One that waits for an answer, with the answer of a willing caller. It is not written where that one is given.
    Asked(String, &'static str),
    /// Content; adjoining pieces are written as one.
    Content(Vec<u8>),
}

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Comment,
    /// Octets of the peer.
    Input {
        octets: Vec<u8>,
        /// They arrive in one piece.
        whole: bool,
    },
    /// What the caller says.
    Answer(String),
    Time(Time),
    /// What the session tells its caller.
    Event,
    /// What the session says to the peer.
    Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    Passes(Duration),
    Tls,
    EndOfStream,
}

/// A transcript as written.
#[derive(Clone, Debug)]
pub struct Transcript {
    name: String,
    limits: Limits,
    lines: Vec<(String, Step)>,
}

impl Transcript {
    /// Reads a transcript for the session of `R`.
    pub fn parse<R: Role>(name: &str, text: &str) -> Self {
        let mut limits = Limits::default();
        let lines = text.lines().map(|line| (line.to_owned(), step::<R>(name, line, &mut limits))).collect();
        Self { name: name.to_owned(), limits, lines }
    }

    /// All that the peer says, in order.
    pub fn said(&self) -> Vec<u8> {
        let said = self.lines.iter().filter_map(|(_, step)| match step {
            Step::Input { octets, .. } => Some(&octets[..]),
            _ => None,
        });
        said.collect::<Vec<_>>().concat()
    }

    /// Runs it line by line, and says how it would be written.
    pub fn written<R: Role>(&self) -> String {
        Run::<R>::by_line(self).text()
    }

    /// Runs it line by line, whole, octet by octet, and in `random_runs` random cuts.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check<R: Role>(&self, random_runs: u64) -> Result<(), String> {
        let by_line = Run::<R>::by_line(self);
        let text: String = self.lines.iter().flat_map(|(line, _)| [line, "\n"]).collect();
        if by_line.text() != text {
            return Err(format!("{}: differs\n{}", self.name, differences(&text, &by_line.text())));
        }
        let cuts = [Cuts::Whole, Cuts::Octets].into_iter().chain((0..random_runs).map(Cuts::Random));
        for cuts in cuts {
            let run = Run::<R>::again(self, &by_line, cuts);
            if run.heard() != by_line.heard() {
                let (expected, found) = (by_line.heard(), run.heard());
                return Err(format!("{}: {cuts:?} differs\n{}", self.name, differences(&expected, &found)));
            }
        }
        Ok(())
    }
}

/// The transcripts for the session of `R` that come with this crate, each with its path, in the order of their names.
pub fn all<R: Role>() -> Vec<(PathBuf, Transcript)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts").join(R::DIRECTORY);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the directory of transcripts can be read")
        .map(|entry| entry.expect("the directory of transcripts can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a transcript can be read");
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let transcript = Transcript::parse::<R>(&name, &text);
        (path, transcript)
    };
    paths.into_iter().map(read).collect()
}

/// Checks all of them, or rewrites them where `UPDATE_TRANSCRIPTS=1`. Returns how many there are.
pub fn check_all<R: Role>(random_runs: u64) -> usize {
    let transcripts = all::<R>();
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some_and(|value| value == "1");
    let mut failures = String::new();
    for (path, transcript) in &transcripts {
        if update {
            std::fs::write(path, transcript.written::<R>()).expect("a transcript can be written");
        } else if let Err(failure) = transcript.check::<R>(random_runs) {
            writeln!(failures, "{failure}").expect("a String grows as it is written to");
        }
    }
    assert!(failures.is_empty(), "{failures}");
    transcripts.len()
}

fn step<R: Role>(name: &str, line: &str, limits: &mut Limits) -> Step {
    if line.is_empty() || line.starts_with('#') {
        return Step::Comment;
    }
    let (letter, rest) = line.split_once(':').unwrap_or_else(|| panic!("{name}: no letter: {line}"));
    let words = rest.strip_prefix(' ').unwrap_or(rest);
    match letter {
        "L" => {
            set_limit(limits, words).unwrap_or_else(|| panic!("{name}: no such limit: {words}"));
            Step::Comment
        }
        "E" => Step::Event,
        "A" => Step::Answer(words.to_owned()),
        "T" => Step::Time(time(words).unwrap_or_else(|| panic!("{name}: no such time: {words}"))),
        _ if letter == R::INPUT.to_string() => {
            Step::Input { octets: [&read_octets(words)[..], b"\r\n"].concat(), whole: false }
        }
        _ if letter == R::INPUT.to_ascii_lowercase().to_string() => {
            Step::Input { octets: read_octets(words), whole: true }
        }
        _ if letter.eq_ignore_ascii_case(&R::OUTPUT.to_string()) => Step::Output,
        _ => panic!("{name}: no such letter: {line}"),
    }
}

fn set_limit(limits: &mut Limits, words: &str) -> Option<()> {
    let (name, value) = words.split_once(' ')?;
    let value: u32 = value.parse().ok()?;
    let size = usize::try_from(value).ok()?;
    match name {
        "command_line_octets" => limits.command_line_octets = size,
        "message_octets" => limits.message_octets = value.into(),
        "recipients_per_message" => limits.recipients_per_message = size,
        "errors_per_session" => limits.errors_per_session = value,
        "commands_per_session" => limits.commands_per_session = value,
        "idle_commands_per_message" => limits.idle_commands_per_message = value,
        "transactions_per_session" => limits.transactions_per_session = value,
        "space_before_path" => limits.space_before_path = value == 1,
        "output_octets" => limits.output_octets = size,
        "reply_octets" => limits.reply_octets = size,
        "reply_lines" => limits.reply_lines = size,
        _ => return None,
    }
    Some(())
}

fn time(words: &str) -> Option<Time> {
    let number = |digits: &str| digits.parse::<u64>().ok();
    match words {
        "tls" => Some(Time::Tls),
        "eof" => Some(Time::EndOfStream),
        _ => {
            let minutes = words.strip_suffix('m').and_then(number).map(|count| count * 60);
            let seconds = words.strip_suffix('s').and_then(number);
            minutes.or(seconds).map(Duration::from_secs).map(Time::Passes)
        }
    }
}

/// The lines that are not in both, from the first difference on.
fn differences(expected: &str, found: &str) -> String {
    let same = expected.lines().zip(found.lines()).take_while(|(expected, found)| expected == found).count();
    let mut text = String::new();
    for (sign, side) in [('-', expected), ('+', found)] {
        for line in side.lines().skip(same.saturating_sub(1)).take(12) {
            writeln!(text, "{sign} {line}").expect("a String grows as it is written to");
        }
    }
    text
}
