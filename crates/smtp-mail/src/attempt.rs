//! What is to be tried, and what came of it for each recipient.

use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::SystemTime;

use smtp_proto::{ContentFacts, EnhancedStatus, ForwardPath, Mail, Rcpt, RemoteReply, StatusClass};

use crate::{Content, LocalUser, MessageId};

/// One message with those of its recipients that go the same way now: what one transaction, or one writing
/// into mailboxes, tries to deliver.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The message.
    pub id: MessageId,
    /// The reverse-path and what else MAIL said.
    pub mail: Mail,
    /// Whom it is for; never empty.
    pub recipients: Vec<AttemptRecipient>,
    /// The octets to be delivered.
    pub content: Content,
    /// What is known of the content.
    pub facts: ContentFacts,
    /// When the message was accepted here.
    pub received_at: SystemTime,
}

impl Attempt {
    /// The same outcome for every recipient: what a next hop that cannot be reached comes to.
    pub fn outcomes(&self, result: &DeliveryResult) -> Vec<Outcome> {
        self.recipients.iter().map(|recipient| Outcome::new(recipient.number, result.clone())).collect()
    }
}

/// One recipient of an [`Attempt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecipient {
    /// Its number in the message, from 1: the `n` of `ID.n`.
    pub number: u32,
    /// The address to deliver to, after aliases.
    pub rcpt: Rcpt,
    /// The address that the client named, where an alias has put another in its place.
    pub original: Option<ForwardPath>,
    /// Whose mailbox it is, where the mail ends here.
    pub user: Option<LocalUser>,
}

/// What an attempt came to for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The recipient's number in the message, from 1.
    pub recipient: u32,
    /// What became of it.
    pub result: DeliveryResult,
    /// The next hop that has it was told of what the sender wants reports, and owes them from now on (RFC 3461 §5.2.2).
    pub reports_passed_on: bool,
    /// It was told, too, in which time the message is to be delivered (RFC 2852 §4.1.4).
    pub deadline_passed_on: bool,
}

impl Outcome {
    /// The outcome for the recipient of this number; reports stay our duty.
    pub fn new(recipient: u32, result: DeliveryResult) -> Self {
        Self { recipient, result, reports_passed_on: false, deadline_passed_on: false }
    }
}

/// Delivered, to be tried again, or never to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The next hop, or the mailbox, has it.
    Delivered(Report),
    /// Not now; it is to be tried again.
    Deferred(Report),
    /// Not at all; the sender is to be told.
    Failed(Report),
}

impl DeliveryResult {
    /// What the class of the report's status asks for.
    pub fn of(report: Report) -> Self {
        match report.status.class() {
            StatusClass::Success => Self::Delivered(report),
            StatusClass::PersistentTransient => Self::Deferred(report),
            StatusClass::Permanent => Self::Failed(report),
        }
    }

    /// What is known about it.
    pub fn report(&self) -> &Report {
        match self {
            Self::Delivered(report) | Self::Deferred(report) | Self::Failed(report) => report,
        }
    }
}

/// What is known about an outcome: for the log, for operators and for delivery reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The enhanced status code (RFC 3463): the remote one, or ours.
    pub status: EnhancedStatus,
    text: String,
    /// The host that was talked to, or was to be.
    pub host: Option<RemoteHost>,
    /// Its reply, where it gave one.
    pub reply: Option<RemoteReply>,
    /// How the connection was protected, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`.
    pub tls: Option<String>,
    /// How far the attempt came.
    pub stage: Option<Stage>,
}

impl Report {
    /// The most octets that [`text`](Self::text) has.
    pub const TEXT_OCTETS_MAX: usize = 512;

    /// A report in words of ours, or in escaped words of a remote host; made to be one line of at most
    /// [`TEXT_OCTETS_MAX`](Self::TEXT_OCTETS_MAX) octets.
    pub fn new(status: EnhancedStatus, text: &str) -> Self {
        Self { status, text: one_line(text), host: None, reply: None, tls: None, stage: None }
    }

    /// A report of what a host has replied. The status is the reply's own, or the plainest of its class.
    pub fn of_reply(reply: RemoteReply) -> Self {
        let status = reply.status().unwrap_or_else(|| plain_status(&reply));
        let text = reply.escaped(Self::TEXT_OCTETS_MAX);
        Self { reply: Some(reply), ..Self::new(status, &text) }
    }

    /// What happened, on one line without control characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same report about that host.
    #[must_use]
    pub fn with_host(self, name: impl Into<String>, address: Option<SocketAddr>) -> Self {
        Self { host: Some(RemoteHost { name: name.into(), address }), ..self }
    }

    /// The same report over a connection protected so.
    #[must_use]
    pub fn with_tls(self, tls: Option<String>) -> Self {
        Self { tls, ..self }
    }

    /// The same report about that stage.
    #[must_use]
    pub fn at_stage(self, stage: Stage) -> Self {
        Self { stage: Some(stage), ..self }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}: ")?;
        }
        f.write_str(&self.text)
    }
}

fn plain_status(reply: &RemoteReply) -> EnhancedStatus {
    use smtp_proto::ReplyClass;
    match reply.class() {
        ReplyClass::Transient => EnhancedStatus::new(4, 0, 0),
        ReplyClass::Permanent => EnhancedStatus::new(5, 0, 0),
        _ => EnhancedStatus::new(2, 0, 0),
    }
}

/// The text with its control characters, and those that change the direction of writing, shown as escapes.
pub(crate) fn one_line(text: &str) -> String {
    const CUT: &str = "...";
    let mut line = String::with_capacity(text.len().min(Report::TEXT_OCTETS_MAX));
    // Where it can be cut: behind a character or an escape, never within one.
    let mut fits = 0;
    for character in text.chars() {
        if is_unsafe_to_show(character) {
            // Writing into a String cannot fail.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() <= Report::TEXT_OCTETS_MAX - CUT.len() {
            fits = line.len();
        } else if line.len() > Report::TEXT_OCTETS_MAX {
            line.truncate(fits);
            line.push_str(CUT);
            break;
        }
    }
    line
}

fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A host at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHost {
    /// Its name, or its address where no name is known.
    pub name: String,
    /// Where it was reached.
    pub address: Option<SocketAddr>,
}

impl fmt::Display for RemoteHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) if address.ip().to_string() == self.name => write!(f, "{address}"),
            Some(address) => write!(f, "{}[{address}]", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// How far an attempt came: at what it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Finding the next hop and its addresses.
    Route,
    /// Connecting.
    Connect,
    /// Awaiting the greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS, or the TLS handshake.
    Tls,
    /// AUTH.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA or BDAT, before the content.
    Data,
    /// The content, and the reply to its end.
    MailData,
    /// Writing into a mailbox here.
    Mailbox,
}

impl Stage {
    /// The name of the stage, as it is logged and stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::MailData => "mail_data",
            Self::Mailbox => "mailbox",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_bounded_line() {
        let status = EnhancedStatus::new(4, 0, 0);
        let report = Report::new(status, "a\r\nb\0\u{202e}é");
        assert_eq!(report.text(), r"a\r\nb\u{0}\u{202e}é");
        for pattern in ["x", "é", "\u{1}", "ab\n"] {
            for length in [170, 171, 256, 500, 512, 513, 2_000] {
                let report = Report::new(status, &pattern.repeat(length));
                assert!(report.text().len() <= Report::TEXT_OCTETS_MAX, "{length}");
                assert!(!report.text().contains(char::is_control));
            }
        }
        // What does not fit is left out whole: a part of an escape could be read as something else.
        let begun = "x".repeat(506);
        assert_eq!(Report::new(status, &format!("{begun}\u{1}y\u{1}")).text(), format!("{begun}..."));
        assert_eq!(Report::new(status, &"x".repeat(512)).text(), "x".repeat(512));
        assert_eq!(Report::new(status, &"x".repeat(513)).text(), "x".repeat(509) + "...");
    }

    #[test]
    fn a_reply_tells_its_status_or_its_class() {
        let of = |octets: &[u8]| DeliveryResult::of(Report::of_reply(RemoteReply::parse(octets).unwrap()));
        let status = |result: DeliveryResult| result.report().status.to_string();
        assert_eq!(status(of(b"550 5.1.1 no such user\r\n")), "5.1.1");
        assert_eq!(status(of(b"451\r\n")), "4.0.0");
        assert!(matches!(of(b"421 4.3.2 later\r\n"), DeliveryResult::Deferred(_)));
        assert!(matches!(of(b"250\r\n"), DeliveryResult::Delivered(_)));
        let DeliveryResult::Failed(report) = of(b"550-a\r\n550 b\x1b[2J\r\n") else { panic!() };
        assert_eq!(report.text(), r"550 a b\x1b[2J");
    }

    #[test]
    fn a_report_names_host_and_stage() {
        let report = Report::new(EnhancedStatus::new(4, 4, 1), "connection refused")
            .with_host("mx.example.net", Some("192.0.2.1:25".parse().unwrap()))
            .with_tls(None)
            .at_stage(Stage::Connect);
        assert_eq!(report.to_string(), "mx.example.net[192.0.2.1:25]: connection refused");
        assert_eq!(report.stage.map(Stage::as_str), Some("connect"));
        let nameless = RemoteHost { name: "192.0.2.1".into(), address: Some("192.0.2.1:25".parse().unwrap()) };
        assert_eq!(nameless.to_string(), "192.0.2.1:25");
    }

    #[test]
    fn an_attempt_gives_the_same_outcome_for_all() {
        let recipient = |number, path: &str| AttemptRecipient {
            number,
            rcpt: Rcpt::new(path.parse().unwrap()),
            original: None,
            user: None,
        };
        let attempt = Attempt {
            id: MessageId::from_raw(1),
            mail: Mail::new("<a@example.org>".parse().unwrap()),
            recipients: vec![recipient(2, "<b@example.net>"), recipient(5, "<c@example.net>")],
            content: Content::new("\r\n".into(), crate::Body::Memory("x\r\n".into())),
            facts: ContentFacts::of(b"\r\nx\r\n"),
            received_at: SystemTime::UNIX_EPOCH,
        };
        let result = DeliveryResult::of(Report::new(EnhancedStatus::new(4, 4, 1), "down"));
        let numbers: Vec<_> = attempt.outcomes(&result).iter().map(|outcome| outcome.recipient).collect();
        assert_eq!(numbers, [2, 5]);
    }
}
