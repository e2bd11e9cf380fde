//! The lines of the tables.

use bytes::BytesMut;
use smtp_proto::Secret;
use smtp_server::metrics::Service;

/// One line.
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) only: Option<Only>,
    pub(crate) state: State,
    pub(crate) steps: Vec<Step>,
}

/// Where a case can be shown at all.
#[derive(Clone, Copy)]
pub(crate) enum Only {
    Clear,
    Tls,
}

/// How far the session has come.
#[derive(Clone, Copy)]
pub(crate) enum State {
    Start,
    Helo,
    /// LHLO, in LMTP.
    Ehlo,
    /// Of submission: where others have a transaction, they have logged in too.
    Login,
    Mail,
    Rcpt,
    Data,
}

/// What is said, and what is heard.
pub(crate) struct Step {
    pub(crate) octets: Vec<u8>,
    pub(crate) replies: Vec<Expected>,
    pub(crate) closed: bool,
}

/// A reply that is told by how it begins, and by what is in its text.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) begin: String,
    text: String,
}

impl Expected {
    fn parse(text: &str) -> Self {
        let (begin, text) = text.split_once('~').unwrap_or((text, ""));
        Self { begin: begin.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is(&self, reply: &str) -> bool {
        reply.starts_with(&self.begin) && reply.contains(&self.text)
    }
}

impl State {
    fn of(word: &str) -> Self {
        match word {
            "start" => Self::Start,
            "helo" => Self::Helo,
            "ehlo" | "lhlo" => Self::Ehlo,
            "login" => Self::Login,
            "mail" => Self::Mail,
            "rcpt" => Self::Rcpt,
            "data" => Self::Data,
            word => panic!("{word:?} is no state"),
        }
    }

    /// What leads there.
    pub(crate) fn commands(self, service: Service) -> &'static [&'static str] {
        const LOGIN: &str = "AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=";
        let all: &'static [&'static str] = match service {
            Service::Mx => {
                &["EHLO client.example", "MAIL FROM:<sender@example.net>", "RCPT TO:<alice@example.org>", "DATA"]
            }
            Service::Lmtp => {
                &["LHLO client.example", "MAIL FROM:<sender@example.net>", "RCPT TO:<alice@example.org>", "DATA"]
            }
            Service::Submission => {
                &["EHLO client.example", LOGIN, "MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>", "DATA"]
            }
        };
        let logins = usize::from(service == Service::Submission);
        match self {
            Self::Start => &[],
            Self::Helo => &["HELO client.example"],
            Self::Ehlo => &all[..1],
            Self::Login => &all[..2],
            Self::Mail => &all[..2 + logins],
            Self::Rcpt => &all[..3 + logins],
            Self::Data => all,
        }
    }
}

impl Case {
    pub(crate) fn ends_in_mail_data(&self) -> bool {
        let last = self.steps.last().and_then(|step| step.replies.last());
        last.is_some_and(|reply| reply.begin == "354")
    }
}

/// Reads a table.
pub(crate) fn parse(table: &str) -> Vec<Case> {
    let lines = table.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| parse_line(index + 1, line)).collect()
}

fn parse_line(number: usize, text: &str) -> Case {
    let (state, steps) = text.split_once(": ").or_else(|| text.split_once(':')).unwrap();
    let (only, state) = match state.split_once(' ') {
        Some(("clear", state)) => (Some(Only::Clear), state),
        Some(("tls", state)) => (Some(Only::Tls), state),
        Some(_) => panic!("line {number}: {state:?}"),
        None => (None, state),
    };
    let steps = steps.split(" ;; ").map(parse_step).collect();
    Case { line: number, text: text.to_owned(), only, state: State::of(state), steps }
}

fn parse_step(text: &str) -> Step {
    let (said, heard) = text.rsplit_once("=> ").unwrap_or_else(|| panic!("no replies in {text:?}"));
    let mut octets = expand(said.strip_suffix(' ').unwrap_or(said));
    octets.extend_from_slice(b"\r\n");
    let (replies, closed) = match heard.strip_suffix(" closed") {
        Some(replies) => (replies, true),
        None => (heard, false),
    };
    Step { octets, replies: replies.split(',').map(Expected::parse).collect(), closed }
}

/// The octets: `{x*9}` is nine times x, `{=x}` is x in base64, and other braces are what they are.
fn expand(text: &str) -> Vec<u8> {
    let Some((before, (inside, after))) =
        text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return unescape(text);
    };
    let inside = match inside.rsplit_once('*').map(|(what, times)| (what, times.parse())) {
        Some((what, Ok(times))) => unescape(what).repeat(times),
        _ => match inside.strip_prefix('=') {
            Some(what) => base64(unescape(what)),
            None => format!("{{{inside}}}").into_bytes(),
        },
    };
    [unescape(before), inside, expand(after)].concat()
}

fn base64(octets: Vec<u8>) -> Vec<u8> {
    let mut encoded = BytesMut::new();
    Secret::new(octets).encode_base64(&mut encoded);
    encoded.to_vec()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match characters.next().unwrap() {
            'r' => octets.push(b'\r'),
            'n' => octets.push(b'\n'),
            's' => octets.push(b' '),
            't' => octets.push(b'\t'),
            '\\' => octets.push(b'\\'),
            'x' => {
                let digits: String = characters.by_ref().take(2).collect();
                octets.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            other => panic!("\\{other} means nothing"),
        }
    }
    octets
}
