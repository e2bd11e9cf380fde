//! A message that waits for the server in the maildrop: who it is from and for, then its content.
//!
//! ```text
//! smtp-server-maildrop 1
//! from:alice
//! name:Alice Smith
//! to:root
//! to:bob@example.net
//!
//! Subject: …
//! ```
//!
//! The lines before the empty one end with LF; the content has the line ends of SMTP. An address without a domain is one of
//! this machine, whose domain the server knows. Who has put the file there says its owner, not its text.

use std::fmt::Write as _;

use bytes::Bytes;
use memchr::memmem;
use smtp_proto::{
    Domain, Envelope, EnvelopeId, ForwardPath, Mail, Mailbox, Notify, Rcpt, Ret, ReversePath, SyntaxError,
};

use crate::address_list::{self, Address};
use crate::header::HeaderBlock;
use crate::submission::from_field;

const FIRST_LINE: &str = "smtp-server-maildrop 1";
const END: &[u8] = b"\n\n";

/// The longest envelope that is read, with its empty line, in octets.
pub const ENVELOPE_OCTETS_MAX: usize = 1 << 20;

/// A name ends in this while its file is being written: whoever takes files leaves those alone.
pub const UNFINISHED_SUFFIX: &str = ".new";

/// The envelope of a message in the maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedEnvelope {
    /// The sender; none: the null reverse-path.
    pub sender: Option<Address>,
    /// The name of the sender, for a `From` field where the content has none.
    pub full_name: Option<String>,
    /// Who it is for.
    pub recipients: Vec<Address>,
    /// Which reports the sender wants.
    pub reports: Reports,
}

/// Which reports the sender of a message wants (RFC 3461), where it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reports {
    /// Of what.
    pub notify: Option<Notify>,
    /// With how much of the message.
    pub ret: Option<Ret>,
    /// Under which name.
    pub envelope_id: Option<EnvelopeId>,
}

/// Why a file is no message of the maildrop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DroppedError {
    /// It does not begin as one.
    #[error("it does not begin with {FIRST_LINE:?}")]
    FirstLine,
    /// There is no empty line within [`ENVELOPE_OCTETS_MAX`].
    #[error("its envelope has no end within {ENVELOPE_OCTETS_MAX} octets")]
    NoEnd,
    /// A line is none of those known, stands twice, or has no address.
    #[error("line {0} of its envelope cannot be used")]
    Line(usize),
    /// It is from nobody, not even from the null path, or for nobody.
    #[error("its envelope has no sender or no recipient")]
    Incomplete,
}

impl DroppedEnvelope {
    /// The envelope and the content as they are submitted: addresses without a domain are at `domain`, and content without a
    /// `From` field gets one on top.
    ///
    /// # Errors
    /// An address is too long with the domain.
    pub fn complete(self, content: Bytes, domain: &Domain) -> Result<(Envelope, Bytes), SyntaxError> {
        let sender = self.sender.map(|sender| sender.at(domain)).transpose()?;
        let (header, body) = HeaderBlock::split(content.clone());
        let content = if header.find("From").is_some() {
            content
        } else {
            let address = match &sender {
                Some(sender) => sender.clone(),
                None => Mailbox::new("MAILER-DAEMON".parse()?, domain.clone())?,
            };
            let header = header.with_on_top(from_field(self.full_name.as_deref(), &address).as_bytes());
            [header.into_bytes(), body].concat().into()
        };
        let mut envelope = Envelope::new(Mail::new(sender.map_or(ReversePath::Null, ReversePath::Mailbox)));
        envelope.mail.parameters.ret = self.reports.ret;
        envelope.mail.parameters.envelope_id = self.reports.envelope_id;
        for recipient in self.recipients {
            let mut rcpt = Rcpt::new(ForwardPath::Mailbox(recipient.at(domain)?));
            rcpt.parameters.notify = self.reports.notify;
            envelope.recipients.push(rcpt);
        }
        Ok((envelope, content))
    }

    /// The lines of the envelope, with the empty one. Control characters of the name are dropped.
    pub fn encode(&self) -> String {
        let mut lines = format!("{FIRST_LINE}\nfrom:");
        // Writing into a String cannot fail.
        let _ = self.sender.iter().try_for_each(|sender| write!(lines, "{sender}"));
        lines.push('\n');
        if let Some(name) = &self.full_name {
            lines.push_str("name:");
            lines.extend(name.chars().filter(|character| !character.is_control()));
            lines.push('\n');
        }
        let Reports { notify, ret, envelope_id } = &self.reports;
        let _ = notify.iter().try_for_each(|notify| writeln!(lines, "notify:{notify}"));
        let _ = ret.iter().try_for_each(|ret| writeln!(lines, "ret:{ret}"));
        let _ = envelope_id.iter().try_for_each(|id| writeln!(lines, "envid:{}", id.encoded()));
        for recipient in &self.recipients {
            let _ = writeln!(lines, "to:{recipient}");
        }
        lines.push('\n');
        lines
    }

    /// Reads the front of a file; with the envelope comes where the content begins.
    ///
    /// # Errors
    /// It is no message of the maildrop.
    pub fn parse(file: &[u8]) -> Result<(Self, usize), DroppedError> {
        if !file.starts_with(FIRST_LINE.as_bytes()) {
            return Err(DroppedError::FirstLine);
        }
        // However long the content is, it is not searched.
        let front = &file[..file.len().min(ENVELOPE_OCTETS_MAX)];
        let end = memmem::find(front, END).ok_or(DroppedError::NoEnd)?;
        let mut lines = file[..end].split(|octet| *octet == b'\n');
        if lines.next() != Some(FIRST_LINE.as_bytes()) {
            return Err(DroppedError::FirstLine);
        }
        let (mut sender, mut full_name, mut recipients, mut reports) = (None, None, Vec::new(), Reports::default());
        for (line, number) in lines.zip(2..) {
            let wrong = DroppedError::Line(number);
            let line = std::str::from_utf8(line).map_err(|_| wrong)?;
            match line.split_once(':').ok_or(wrong)? {
                ("from", "") if sender.is_none() => sender = Some(None),
                ("from", address) if sender.is_none() => sender = Some(Some(one_address(address).ok_or(wrong)?)),
                ("name", name) if full_name.is_none() => full_name = Some(name.to_owned()),
                ("notify", value) if reports.notify.is_none() => {
                    reports.notify = Some(value.parse().map_err(|_| wrong)?);
                }
                ("ret", value) if reports.ret.is_none() => reports.ret = Some(value.parse().map_err(|_| wrong)?),
                ("envid", value) if reports.envelope_id.is_none() => {
                    reports.envelope_id = Some(value.parse().map_err(|_| wrong)?);
                }
                ("to", address) => recipients.push(one_address(address).ok_or(wrong)?),
                _ => return Err(wrong),
            }
        }
        match sender {
            Some(sender) if !recipients.is_empty() => {
                Ok((Self { sender, full_name, recipients, reports }, end + END.len()))
            }
            _ => Err(DroppedError::Incomplete),
        }
    }
}

fn one_address(text: &str) -> Option<Address> {
    let [address] = <[Address; 1]>::try_from(address_list::parse(text.as_bytes()).ok()?).ok()?;
    Some(address)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        one_address(text).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let envelopes = [
            DroppedEnvelope {
                sender: Some(address("alice")),
                full_name: Some("Alice: Smith".to_owned()),
                recipients: vec![address("root"), address("\"a b\"@example.net"), address("jürgen@example.org")],
                reports: Reports {
                    notify: Some(Notify { success: true, failure: false, delay: true }),
                    ret: Some(Ret::Headers),
                    envelope_id: Some(EnvelopeId::from_decoded("a+b").unwrap()),
                },
            },
            DroppedEnvelope {
                sender: None,
                full_name: None,
                recipients: vec![address("bob@[192.0.2.1]")],
                reports: Reports::default(),
            },
        ];
        for envelope in envelopes {
            let file = format!("{}Subject: x\r\n\r\nbody\r\n", envelope.encode());
            let (read, content) = DroppedEnvelope::parse(file.as_bytes()).unwrap();
            assert_eq!(read, envelope);
            assert_eq!(&file[content..], "Subject: x\r\n\r\nbody\r\n");
        }
    }

    #[test]
    fn what_is_left_out_is_that_of_the_machine() {
        let complete = |sender: Option<&str>, content: &'static str| {
            let envelope = DroppedEnvelope {
                sender: sender.map(address),
                full_name: Some("Alice".to_owned()),
                recipients: vec![address("root"), address("bob@example.net")],
                reports: Reports::default(),
            };
            let (envelope, content) = envelope.complete(content.into(), &"example.org".parse().unwrap()).unwrap();
            let recipients: Vec<_> = envelope.recipients.iter().map(|rcpt| rcpt.forward_path.to_string()).collect();
            assert_eq!(recipients, ["<root@example.org>", "<bob@example.net>"]);
            (envelope.mail.reverse_path.to_string(), String::from_utf8(content.to_vec()).unwrap())
        };
        let (path, content) = complete(Some("alice"), "Subject: x\r\n\r\nbody\r\n");
        assert_eq!(path, "<alice@example.org>");
        assert_eq!(content, "From: Alice <alice@example.org>\r\nSubject: x\r\n\r\nbody\r\n");
        let (path, content) = complete(Some("a@example.com"), "from: b\r\n\r\nbody\r\n");
        assert_eq!((&*path, &*content), ("<a@example.com>", "from: b\r\n\r\nbody\r\n"));
        // Text that begins without a header stays the body.
        let (path, content) = complete(None, "Hello.\r\n\r\nFrom: me\r\n");
        assert_eq!(path, "<>");
        assert_eq!(content, "From: Alice <MAILER-DAEMON@example.org>\r\n\r\nHello.\r\n\r\nFrom: me\r\n");
    }

    #[test]
    fn a_name_cannot_add_a_line() {
        let name = Some("x\nto:victim@example.org".to_owned());
        let envelope = DroppedEnvelope {
            sender: None,
            full_name: name,
            recipients: vec![address("a")],
            reports: Reports::default(),
        };
        assert_eq!(envelope.encode(), "smtp-server-maildrop 1\nfrom:\nname:xto:victim@example.org\nto:a\n\n");
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        use DroppedError::{FirstLine, Incomplete, Line, NoEnd};
        for (file, error) in [
            ("", FirstLine),
            ("Subject: x\n\n", FirstLine),
            ("smtp-server-maildrop 12\nfrom:\nto:a\n\n", FirstLine),
            ("smtp-server-maildrop 1\nfrom:\nto:a\n", NoEnd),
            ("smtp-server-maildrop 1\nto:a\n\n", Incomplete),
            ("smtp-server-maildrop 1\nfrom:a\n\n", Incomplete),
            ("smtp-server-maildrop 1\nfrom:a\nfrom:b\nto:c\n\n", Line(3)),
            ("smtp-server-maildrop 1\nfrom:\nto:a,b\n\n", Line(3)),
            ("smtp-server-maildrop 1\nfrom:\nto:\n\n", Line(3)),
            ("smtp-server-maildrop 1\nuid:0\nfrom:\nto:a\n\n", Line(2)),
            ("smtp-server-maildrop 1\nfrom\n\n", Line(2)),
            ("smtp-server-maildrop 1\nnotify:never,delay\n\n", Line(2)),
            ("smtp-server-maildrop 1\nret:half\n\n", Line(2)),
            ("smtp-server-maildrop 1\nenvid:a+\n\n", Line(2)),
        ] {
            assert_eq!(DroppedEnvelope::parse(file.as_bytes()), Err(error), "{file:?}");
        }
    }
}
