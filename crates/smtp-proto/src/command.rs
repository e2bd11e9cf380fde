//! Commands (RFC 5321 §4.1.1) and those of extensions: STARTTLS, AUTH, BDAT, ETRN, XCLIENT.

use std::fmt::{self, Write as _};

use bytes::BytesMut;

use crate::auth::{Mechanism, Secret};
use crate::domain::Domain;
use crate::error::{SyntaxError, SyntaxReason};
use crate::limits::Limits;
use crate::parameter::{MailParameters, RcptParameters};
use crate::path::{ForwardPath, ReversePath};
use crate::syntax;
use crate::xclient::XClient;

/// One command line (RFC 5321 §4.1.1, RFC 3207 §4, RFC 4954 §4, RFC 3030 §2, RFC 2033 §4.1, RFC 1985 §5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Command {
    /// EHLO, HELO or LHLO: who the client says it is (RFC 5321 §4.1.1.1).
    Hello(Hello),
    /// MAIL: a transaction begins (RFC 5321 §4.1.1.2).
    Mail(Mail),
    /// RCPT: a recipient (RFC 5321 §4.1.1.3).
    Rcpt(Rcpt),
    /// DATA: the mail data follows (RFC 5321 §4.1.1.4).
    Data,
    /// BDAT: a chunk of the content follows (RFC 3030 §2).
    Bdat {
        /// The octets of the chunk, which begins behind the CRLF of this line.
        octets: u64,
        /// `LAST`: whether the content ends with it.
        last: bool,
    },
    /// RSET: the transaction is given up (RFC 5321 §4.1.1.5).
    Rset,
    /// QUIT: the session ends (RFC 5321 §4.1.1.10).
    Quit,
    /// NOOP. Its argument is checked and dropped (RFC 5321 §4.1.1.9).
    Noop,
    /// HELP (RFC 5321 §4.1.1.8).
    Help(Option<Argument>),
    /// VRFY: is there such a user? (RFC 5321 §4.1.1.6)
    Vrfy(Argument),
    /// EXPN: who is on this list? (RFC 5321 §4.1.1.7)
    Expn(Argument),
    /// STARTTLS: what follows is TLS (RFC 3207 §4).
    StartTls,
    /// AUTH: the client says who it is (RFC 4954 §4).
    Auth {
        /// How it will prove it.
        mechanism: Mechanism,
        /// The initial response; `None` where there was none, which is not the same as an empty one.
        initial: Option<Secret>,
    },
    /// ETRN: send what waits for a domain, or for a node of this server's own naming (RFC 1985 §5).
    Etrn(Argument),
    /// XCLIENT: a peer that is trusted says for which client it speaks (<https://www.postfix.org/XCLIENT_README.html>).
    XClient(Box<XClient>),
}

impl Command {
    /// Reads one command line, given without its CRLF. Any octets may be given.
    ///
    /// White space at the end of the line is ignored (RFC 5321 §4.1.1).
    ///
    /// # Errors
    ///
    /// What is wrong and where; [`SyntaxError::reply`] is the answer to it.
    pub fn parse(line: &[u8]) -> Result<Self, SyntaxError> {
        syntax::whole(syntax::command::without_trailing_space(line), syntax::command::command)
    }

    /// The same, and as lenient as these limits say.
    pub(crate) fn parse_within(line: &[u8], limits: &Limits) -> Result<Self, SyntaxError> {
        Self::parse(line).or_else(|error| {
            let meant = limits.space_before_path.then(|| syntax::command::without_space_before_path(line)).flatten();
            meant.map_or(Err(error), |line| Self::parse(&line))
        })
    }

    /// Writes the command line, without CRLF. [`Command::parse`] gives the same command back.
    pub fn encode(&self, output: &mut BytesMut) {
        match self {
            Self::Hello(hello) => hello.encode(output),
            Self::Mail(mail) => mail.encode(output),
            Self::Rcpt(rcpt) => rcpt.encode(output),
            Self::Help(Some(argument)) => write_line(output, format_args!("HELP {argument}")),
            Self::Vrfy(argument) => write_line(output, format_args!("VRFY {argument}")),
            Self::Expn(argument) => write_line(output, format_args!("EXPN {argument}")),
            Self::Etrn(argument) => write_line(output, format_args!("ETRN {argument}")),
            Self::XClient(xclient) => write_line(output, format_args!("XCLIENT{xclient}")),
            Self::Bdat { octets, last } => {
                write_line(output, format_args!("BDAT {octets}{}", if *last { " LAST" } else { "" }));
            }
            Self::Auth { mechanism, initial } => encode_auth(*mechanism, initial.as_ref(), output),
            Self::Data | Self::Rset | Self::Quit | Self::Noop | Self::Help(None) | Self::StartTls => {
                output.extend_from_slice(self.verb().as_bytes());
            }
        }
    }

    /// The first word of the line, in capitals.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Hello(hello) => hello.kind.verb(),
            Self::Mail(_) => "MAIL",
            Self::Rcpt(_) => "RCPT",
            Self::Data => "DATA",
            Self::Rset => "RSET",
            Self::Quit => "QUIT",
            Self::Noop => "NOOP",
            Self::Help(_) => "HELP",
            Self::Vrfy(_) => "VRFY",
            Self::Expn(_) => "EXPN",
            Self::StartTls => "STARTTLS",
            Self::Bdat { .. } => "BDAT",
            Self::Auth { .. } => "AUTH",
            Self::Etrn(_) => "ETRN",
            Self::XClient(_) => "XCLIENT",
        }
    }
}

fn encode_auth(mechanism: Mechanism, initial: Option<&Secret>, output: &mut BytesMut) {
    write_line(output, format_args!("AUTH {mechanism}"));
    match initial {
        None => {}
        Some(response) if response.is_empty() => output.extend_from_slice(b" ="),
        Some(response) => {
            output.extend_from_slice(b" ");
            response.encode_base64(output);
        }
    }
}

fn write_line(output: &mut BytesMut, line: fmt::Arguments<'_>) {
    output.write_fmt(line).expect("a BytesMut grows as it is written to");
}

/// Which greeting command it was: it decides which extensions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HelloKind {
    /// HELO: SMTP without extensions.
    Helo,
    /// EHLO: SMTP with extensions.
    Ehlo,
    /// LHLO: LMTP (RFC 2033 §4.1).
    Lhlo,
}

impl HelloKind {
    /// The command's first word.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Helo => "HELO",
            Self::Ehlo => "EHLO",
            Self::Lhlo => "LHLO",
        }
    }
}

/// EHLO, HELO or LHLO with the name that the client gave (RFC 5321 §4.1.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hello {
    /// Which of the three commands it was.
    pub kind: HelloKind,
    /// Who the client says it is.
    pub name: HelloName,
}

impl Hello {
    /// Writes the command line, without CRLF.
    pub fn encode(&self, output: &mut BytesMut) {
        write_line(output, format_args!("{} {}", self.kind.verb(), self.name));
    }
}

/// The name that a client gave: printable ASCII without space, 1 to 255 octets, whatever else it is.
///
/// This is the one lenient argument. RFC 5321 §4.1.4 forbids to refuse a client for a name that does not verify, and clients in use send
/// names with underscores, with a hyphen at an end, or with a final dot. Policy may weigh what [`HelloName::domain`] says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HelloName {
    text: Box<str>,
    domain: Option<Domain>,
}

impl HelloName {
    pub(crate) fn from_parsed(text: &str, domain: Option<Domain>) -> Self {
        Self { text: text.into(), domain }
    }

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`SyntaxReason::HelloName`] where it is empty, over 255 octets, or not printable ASCII without space.
    pub fn parse(octets: &[u8]) -> Result<Self, SyntaxError> {
        syntax::whole(octets, syntax::command::hello_name)
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The domain or address literal that it is, where it is one. A final dot is permitted, and left out here.
    pub fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }
}

impl fmt::Display for HelloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for HelloName {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

/// MAIL: a transaction begins (RFC 5321 §4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Mail {
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// The parameters of extensions.
    pub parameters: MailParameters,
}

impl Mail {
    /// A MAIL command without parameters.
    pub fn new(reverse_path: ReversePath) -> Self {
        Self { reverse_path, parameters: MailParameters::default() }
    }

    /// Reads a whole MAIL command line, given without its CRLF.
    pub fn parse(line: &[u8]) -> Result<Self, SyntaxError> {
        syntax::whole(syntax::command::without_trailing_space(line), syntax::command::mail_command)
    }

    /// Writes the command line, without CRLF. [`Mail::parse`] gives the same command back.
    pub fn encode(&self, output: &mut BytesMut) {
        write_line(output, format_args!("MAIL FROM:{}{}", self.reverse_path, self.parameters));
    }
}

/// RCPT: a recipient (RFC 5321 §4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rcpt {
    /// Whom the message is for.
    pub forward_path: ForwardPath,
    /// The parameters of extensions.
    pub parameters: RcptParameters,
}

impl Rcpt {
    /// A RCPT command without parameters.
    pub fn new(forward_path: ForwardPath) -> Self {
        Self { forward_path, parameters: RcptParameters::default() }
    }

    /// Reads a whole RCPT command line, given without its CRLF.
    pub fn parse(line: &[u8]) -> Result<Self, SyntaxError> {
        syntax::whole(syntax::command::without_trailing_space(line), syntax::command::rcpt_command)
    }

    /// Writes the command line, without CRLF. [`Rcpt::parse`] gives the same command back.
    pub fn encode(&self, output: &mut BytesMut) {
        write_line(output, format_args!("RCPT TO:{}{}", self.forward_path, self.parameters));
    }
}

/// The argument of VRFY, EXPN, HELP or ETRN, and the LOGIN of XCLIENT: text without control characters, and without space at its end (RFC 5321 §4.1.1.6).
///
/// It is not read further: what it may name is the server's own affair (RFC 5321 §3.5.1, §7.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Argument(Box<str>);

impl Argument {
    pub(crate) fn from_parsed(text: &str) -> Self {
        Self(text.into())
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Argument {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kept = syntax::command::without_trailing_space(text.as_bytes()).len();
        if kept == 0 || kept < text.len() {
            return Err(SyntaxError::new(kept, SyntaxReason::Argument));
        }
        syntax::whole(text.as_bytes(), syntax::command::argument_text)
    }
}
