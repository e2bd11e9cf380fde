//! Composes delivery status notifications: a report for people and one for programs (RFC 3464, RFC 6522).
//!
//! Whether a report is owed is decided by the envelope alone, by the reverse-path (there is none for the null one) and
//! by NOTIFY (RFC 3461 §4.1): nothing in the content suppresses it, neither Auto-Submitted nor Precedence (RFC 3464 §2, RFC 3834 is about responders). All that
//! remote hosts and senders have said is quoted bounded and escaped. The body is 7-bit, so it gets through everywhere;
//! addresses in UTF-8 are written as RFC 6533 §3 asks for in that case.

use std::time::SystemTime;

use bytes::Bytes;
use smtp_proto::{
    ContentFacts, ForwardPath, Mail, MailParameters, Mailbox, Notify, OriginalRecipient, Rcpt, ReversePath,
};

use crate::date::date_time;
use crate::header::HeaderBlock;
use crate::{MessageId, RecipientId, Report};

mod encode;
mod part;
mod status;
mod text;

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DsnKind {
    /// The message is not delivered, and not tried any more.
    Failed,
    /// The message is late, and still tried.
    Delayed {
        /// Until when.
        retry_until: SystemTime,
    },
    /// The message is in the recipient's mailbox.
    Delivered,
    /// The message was handed to a host that makes no reports, so that no more will be heard of it.
    Relayed,
}

impl DsnKind {
    /// Whether the sender wants such a report on a recipient, by what NOTIFY said; it wants failures and delays where it
    /// said nothing (RFC 3461 §4.1).
    pub fn is_wanted(self, notify: Option<Notify>) -> bool {
        match self {
            Self::Failed => notify.is_none_or(|notify| notify.failure),
            Self::Delayed { .. } => notify.is_none_or(|notify| notify.delay),
            Self::Delivered | Self::Relayed => notify.is_some_and(|notify| notify.success),
        }
    }
}

/// What a report is composed from.
#[derive(Debug, Clone, Copy)]
pub struct DsnRequest<'a> {
    /// What is reported.
    pub kind: DsnKind,
    /// The id of the report itself.
    pub id: MessageId,
    /// Our host name.
    pub reporting_mta: &'a str,
    /// The message that is reported on.
    pub message: MessageId,
    /// Its sender, who gets the report.
    pub reverse_path: &'a Mailbox,
    /// What MAIL said of it: what its sender called it (ENVID, RFC 3461 §4.4), and how it was to go. With REQUIRETLS the
    /// report goes by TLS too, and brings back no more than the header block (RFC 8689 §5).
    pub parameters: &'a MailParameters,
    /// When it was accepted.
    pub received_at: SystemTime,
    /// Its header block.
    pub header: &'a HeaderBlock,
    /// All of its content, where it is to be returned (RFC 3461 §4.3). What has octets over 127 or long lines is not
    /// returned all the same: it would need a way that takes it.
    pub content: Option<&'a [u8]>,
    /// The recipients that are reported on; at least one.
    pub recipients: &'a [DsnRecipient<'a>],
    /// When the report is made.
    pub now: SystemTime,
}

/// One recipient that is reported on.
#[derive(Debug, Clone, Copy)]
pub struct DsnRecipient<'a> {
    /// Its number in the message.
    pub number: u32,
    /// The address that was tried.
    pub forward_path: &'a ForwardPath,
    /// The address that our client gave, where it is another.
    pub original: Option<&'a ForwardPath>,
    /// The address that the sender gave, by ORCPT (RFC 3461 §4.2).
    pub original_recipient: Option<&'a OriginalRecipient>,
    /// What the last attempt came to. In a failure, a transient status means that the time is over.
    pub report: &'a Report,
    /// When that attempt was.
    pub last_attempt_at: Option<SystemTime>,
}

impl DsnRecipient<'_> {
    fn id(&self, message: MessageId) -> RecipientId {
        RecipientId { message, number: self.number }
    }
}

/// A report, ready to be queued.
#[derive(Debug, Clone)]
pub struct Dsn {
    /// From the null reverse-path (RFC 5321 §6.1), so that nothing is ever reported on it.
    pub mail: Mail,
    /// To the sender of the message.
    pub rcpt: Rcpt,
    /// The header block, with its empty line.
    pub header: Bytes,
    /// The body.
    pub body: Bytes,
    /// What is to be known of both.
    pub facts: ContentFacts,
}

/// Composes a report.
pub fn compose(request: &DsnRequest<'_>) -> Dsn {
    let returned = request.content.filter(|_| !request.parameters.require_tls).and_then(part::returned_message);
    let returned = returned.unwrap_or_else(|| part::returned_header(request.header));
    let parts = [text::part(request), status::part(request), returned];
    let boundary = boundary(request.id, &parts);
    let [text, status, returned] = parts;
    let body = format!(
        "--{boundary}\r\n{text}\r\n--{boundary}\r\n{status}\r\n--{boundary}\r\n{returned}\r\n--{boundary}--\r\n"
    );
    let header = header(request, &boundary);
    let facts = ContentFacts::of(&[header.as_bytes(), body.as_bytes()].concat());
    let mut mail = Mail::new(ReversePath::Null);
    mail.parameters.smtputf8 = !request.reverse_path.is_ascii();
    mail.parameters.require_tls = request.parameters.require_tls;
    // As urgent as what it is about (RFC 6710 §4.6).
    mail.parameters.priority = request.parameters.priority;
    Dsn {
        mail,
        rcpt: Rcpt::new(ForwardPath::Mailbox(request.reverse_path.clone())),
        header: header.into(),
        body: body.into(),
        facts,
    }
}

fn header(request: &DsnRequest<'_>, boundary: &str) -> String {
    let DsnRequest { id, reporting_mta, reverse_path, .. } = request;
    let subject = match request.kind {
        DsnKind::Failed => "Undelivered mail: your message could not be delivered",
        DsnKind::Delayed { .. } => "Delayed mail: your message has not been delivered yet",
        DsnKind::Delivered => "Delivered mail: your message has arrived",
        DsnKind::Relayed => "Relayed mail: your message was handed on",
    };
    let reference = message_id(request.header)
        .map(|message_id| format!("In-Reply-To: {message_id}\r\nReferences: {message_id}\r\n"))
        .unwrap_or_default();
    format!(
        "From: Mail Delivery System <MAILER-DAEMON@{reporting_mta}>\r\n\
         To: <{reverse_path}>\r\n\
         Subject: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <{id}@{reporting_mta}>\r\n\
         {reference}\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\
         \tboundary=\"{boundary}\"\r\n\
         \r\n",
        date = date_time(request.now),
    )
}

/// The Message-ID of the original, if it is one that can be repeated as it is.
fn message_id(header: &HeaderBlock) -> Option<String> {
    const OCTETS_MAX: usize = 250;
    let text = header.find("Message-ID")?.text().into_owned();
    let inner = text.strip_prefix('<')?.strip_suffix('>')?;
    let plain = inner.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>'));
    (plain && inner.contains('@') && text.len() <= OCTETS_MAX).then_some(text)
}

/// A boundary that is in none of the parts.
fn boundary(id: MessageId, parts: &[String]) -> String {
    let occurs = |boundary: &String| parts.iter().any(|part| part.contains(boundary));
    let first = format!("=_{id}");
    let others = (1_u32..).map(|number| format!("=_{id}_{number}"));
    std::iter::once(first)
        .chain(others)
        .find(|boundary| !occurs(boundary))
        .expect("the parts are shorter than all numbers")
}

#[cfg(test)]
mod tests;
