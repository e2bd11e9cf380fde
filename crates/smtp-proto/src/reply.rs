//! Replies that we send (RFC 5321 §4.2, RFC 2034).

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use bytes::BytesMut;

use crate::limits::REPLY_LINE_OCTETS;
use crate::status::EnhancedStatus;

/// What a reply says about the command, by the first digit of its code (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyClass {
    /// `2yz`: done.
    Completion,
    /// `3yz`: more is awaited.
    Intermediate,
    /// `4yz`: not done; the same may succeed later.
    Transient,
    /// `5yz`: not done; the same will not succeed.
    Permanent,
}

/// A reply code: three digits, the first of them 2 to 5 (RFC 5321 §4.2).
///
/// Codes that no RFC names are taken too: a client goes by the first digit (RFC 5321 §4.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// 211: system status.
    pub const SYSTEM_STATUS: Self = Self(211);
    /// 214: help.
    pub const HELP: Self = Self(214);
    /// 220: the service is ready.
    pub const SERVICE_READY: Self = Self(220);
    /// 221: the channel is being closed, as asked for.
    pub const CLOSING: Self = Self(221);
    /// 235: authentication succeeded (RFC 4954 §6).
    pub const AUTHENTICATION_SUCCEEDED: Self = Self(235);
    /// 250: done.
    pub const OK: Self = Self(250);
    /// 251: user not local, the message will be forwarded.
    pub const WILL_FORWARD: Self = Self(251);
    /// 252: the user cannot be verified, but the message is taken.
    pub const CANNOT_VERIFY: Self = Self(252);
    /// 253: what waits for a node is started (RFC 1985 §5.1).
    pub const PENDING_STARTED: Self = Self(253);
    /// 354: the mail data may come.
    pub const START_MAIL_INPUT: Self = Self(354);
    /// 421: the service is not available, the channel is being closed.
    pub const SERVICE_NOT_AVAILABLE: Self = Self(421);
    /// 450: mailbox unavailable for now.
    pub const MAILBOX_BUSY: Self = Self(450);
    /// 451: error on this side.
    pub const LOCAL_ERROR: Self = Self(451);
    /// 452: not enough storage, or too many recipients.
    pub const INSUFFICIENT_STORAGE: Self = Self(452);
    /// 454: TLS not available for now (RFC 3207 §4).
    pub const TLS_NOT_AVAILABLE: Self = Self(454);
    /// 455: the parameters cannot be accommodated for now.
    pub const CANNOT_ACCOMMODATE: Self = Self(455);
    /// 458: what waits for a node cannot be started (RFC 1985 §5.1).
    pub const NODE_UNAVAILABLE: Self = Self(458);
    /// 459: a node may not be asked for (RFC 1985 §5.1).
    pub const NODE_NOT_ALLOWED: Self = Self(459);
    /// 500: syntax error, or command not recognized.
    pub const UNRECOGNIZED: Self = Self(500);
    /// 501: syntax error in parameters or arguments.
    pub const PARAMETER_SYNTAX: Self = Self(501);
    /// 502: command not implemented.
    pub const NOT_IMPLEMENTED: Self = Self(502);
    /// 503: bad sequence of commands.
    pub const BAD_SEQUENCE: Self = Self(503);
    /// 504: parameter not implemented.
    pub const PARAMETER_NOT_IMPLEMENTED: Self = Self(504);
    /// 521: the host accepts no mail (RFC 7504).
    pub const ACCEPTS_NO_MAIL: Self = Self(521);
    /// 530: something must come first, such as STARTTLS (RFC 3207 §4).
    pub const MUST_DO_FIRST: Self = Self(530);
    /// 535: the credentials are not right (RFC 4954 §6).
    pub const CREDENTIALS_INVALID: Self = Self(535);
    /// 550: mailbox unavailable.
    pub const MAILBOX_UNAVAILABLE: Self = Self(550);
    /// 551: user not local.
    pub const USER_NOT_LOCAL: Self = Self(551);
    /// 552: the content is greater than what is taken.
    pub const EXCEEDED_STORAGE: Self = Self(552);
    /// 553: mailbox name not allowed.
    pub const NAME_NOT_ALLOWED: Self = Self(553);
    /// 554: transaction failed; or, as a greeting, no SMTP service here.
    pub const TRANSACTION_FAILED: Self = Self(554);
    /// 555: parameters of MAIL or RCPT not recognized.
    pub const PARAMETERS_NOT_RECOGNIZED: Self = Self(555);
    /// 556: the domain accepts no mail (RFC 7504).
    pub const DOMAIN_ACCEPTS_NO_MAIL: Self = Self(556);

    /// The code of this number, if it is one: 200 to 599.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            200..=599 => Some(Self(number)),
            _ => None,
        }
    }

    /// The code as a number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The code in ASCII.
    pub(crate) fn digits(self) -> [u8; 3] {
        [self.0 / 100, self.0 / 10 % 10, self.0 % 10].map(|digit| b"0123456789"[usize::from(digit)])
    }

    /// The class, by the first digit.
    pub const fn class(self) -> ReplyClass {
        match self.0 {
            ..300 => ReplyClass::Completion,
            300..400 => ReplyClass::Intermediate,
            400..500 => ReplyClass::Transient,
            500.. => ReplyClass::Permanent,
        }
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A reply that we send: code, enhanced status code, text (RFC 5321 §4.2, RFC 2034 §4).
///
/// The text is printable ASCII; `'\n'` starts a further line. So nothing that is put into it can make a second reply of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: ReplyCode,
    status: Option<EnhancedStatus>,
    text: Cow<'static, str>,
}

impl Reply {
    /// A reply with an enhanced status code.
    ///
    /// # Panics
    ///
    /// If the class of the status is not that of the code, or if the text holds anything but printable ASCII and `'\n'`. In a constant that is an error
    /// of the build. Text that is not a literal goes through [`Reply::with_text`].
    pub const fn new(code: ReplyCode, status: EnhancedStatus, text: &'static str) -> Self {
        assert!(
            status.class().agrees_with(code.class()),
            "the status must be of the code's class (RFC 2034 section 4)"
        );
        Self::checked(code, Some(status), text)
    }

    /// A reply without an enhanced status code: for the greeting, EHLO and 354 (RFC 2034 §4).
    ///
    /// # Panics
    ///
    /// If the text holds anything but printable ASCII and `'\n'`. In a constant that is an error of the build.
    pub const fn without_status(code: ReplyCode, text: &'static str) -> Self {
        Self::checked(code, None, text)
    }

    const fn checked(code: ReplyCode, status: Option<EnhancedStatus>, text: &'static str) -> Self {
        assert!(first_bad_octet(text).is_none(), "the text of a reply is printable ASCII");
        Self { code, status, text: Cow::Borrowed(text) }
    }

    /// The same reply with another text. `'\n'` starts a further line.
    ///
    /// # Errors
    ///
    /// Where the text holds anything but printable ASCII and `'\n'`: UTF-8 may be sent only to clients that asked for it (RFC 6531 §3.7.4).
    pub fn with_text(self, text: impl Into<String>) -> Result<Self, ReplyError> {
        let text = text.into();
        match first_bad_octet(&text) {
            Some(offset) => Err(ReplyError { offset }),
            None => Ok(Self { text: Cow::Owned(text), ..self }),
        }
    }

    /// The code.
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code.
    pub const fn status(&self) -> Option<EnhancedStatus> {
        self.status
    }

    /// The text, its lines parted by `'\n'`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the reply says about the command (RFC 5321 §4.2.1).
    pub const fn class(&self) -> ReplyClass {
        self.code.class()
    }

    /// Writes the reply: all its lines, each with the enhanced status code, each ended by CRLF and at most 512 octets long.
    ///
    /// A line of text that is longer is continued on the next, at a space where there is one.
    pub fn encode(&self, output: &mut BytesMut) {
        let status_octets = self.status.map_or(0, |status| status.encoded_octets() + 1);
        let text_octets = REPLY_LINE_OCTETS - "250-\r\n".len() - status_octets;
        let mut rest = &*self.text;
        loop {
            let (line, following) = cut_line(rest, text_octets);
            self.encode_line(line, following.is_none(), output);
            match following {
                Some(following) => rest = following,
                None => break,
            }
        }
    }

    fn encode_line(&self, text: &str, last: bool, output: &mut BytesMut) {
        let after_code = match (last, self.status.is_none() && text.is_empty()) {
            (false, _) => "-",
            (true, false) => " ",
            (true, true) => "",
        };
        let written = match self.status {
            Some(status) if text.is_empty() => {
                write!(output, "{}{after_code}{status}\r\n", self.code)
            }
            Some(status) => write!(output, "{}{after_code}{status} {text}\r\n", self.code),
            None => write!(output, "{}{after_code}{text}\r\n", self.code),
        };
        written.expect("a BytesMut grows as it is written to");
    }
}

impl fmt::Display for Reply {
    /// The reply on one line, for logs: `550 5.1.1 No such user`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.code, f)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        self.text.split('\n').try_for_each(|line| write!(f, " {line}"))
    }
}

/// The text for a reply holds something else than printable ASCII and `'\n'`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text of a reply must be printable ASCII (at octet {offset})")]
pub struct ReplyError {
    /// Where: octets from the start of the text.
    pub offset: usize,
}

/// A loop without iterators, so that it can run at compile time.
const fn first_bad_octet(text: &str) -> Option<usize> {
    let octets = text.as_bytes();
    let mut at = 0;
    while at < octets.len() {
        if !matches!(octets[at], b' '..=b'~' | b'\n') {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The first line of the text, at most so long, and what follows it.
fn cut_line(text: &str, octets: usize) -> (&str, Option<&str>) {
    let (line, following) = match text.split_once('\n') {
        Some((line, following)) => (line, Some(following)),
        None => (text, None),
    };
    if line.len() <= octets {
        return (line, following);
    }
    // The text is ASCII, so every octet is a boundary.
    let end = line[..=octets].rfind(' ').filter(|&space| space > 0).unwrap_or(octets);
    let rest = &text[end..];
    (&line[..end], Some(rest.strip_prefix(' ').unwrap_or(rest)))
}

#[cfg(test)]
mod tests;
