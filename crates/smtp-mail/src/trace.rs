//! Trace fields (RFC 5321 §4.4), and what they tell about loops.
//!
//! Whatever a client has said is put in so that it can neither end a field nor pass for another part of it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::SystemTime;

use smtp_proto::{
    AddressLiteral, DomainName, ForwardPath, Hello, HelloKind, PeerCertificate, Priority, ReversePath, TlsFacts,
};

use crate::MessageId;
use crate::date::date_time;
use crate::header::HeaderBlock;

/// The longest common name (RFC 5280 appendix A.1, `ub-common-name`).
const COMMON_NAME_MAX: usize = 64;

/// What a Received field says (RFC 5321 §4.4).
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// What the client called itself; `None` where there was no SMTP.
    pub hello: Option<&'a Hello>,
    /// Where it connected from; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// The user id of the program at the other end of a Unix socket.
    pub uid: Option<u32>,
    /// The verified name of that address, where it has one.
    pub name: Option<&'a DomainName>,
    /// Our host name.
    pub by: &'a str,
    /// SMTPUTF8 was asked for (RFC 6531).
    pub smtputf8: bool,
    /// The client has logged in: its address, its name and its certificate are nobody else's affair, and are left out.
    pub authenticated: bool,
    /// How the connection was protected.
    pub tls: Option<&'a TlsFacts>,
    /// Its priority, where MAIL has one (RFC 6710 §4.1).
    pub priority: Option<Priority>,
    /// The id of the message.
    pub id: MessageId,
    /// The one recipient. Of several none is named, so that none learns of the others (RFC 5321 §7.2).
    pub recipient: Option<&'a ForwardPath>,
    /// When it was received.
    pub at: SystemTime,
}

impl Received<'_> {
    /// The whole field, folded, with its CRLF.
    pub fn to_field(&self) -> Vec<u8> {
        let mut field = String::with_capacity(256);
        // Writing into a String cannot fail.
        let _ = self.write(&mut field);
        field.into_bytes()
    }

    fn write(&self, field: &mut String) -> std::fmt::Result {
        field.write_str("Received: from ")?;
        self.write_from(field)?;
        write!(field, "\r\n\tby {} with {}\r\n\tid {}", Atoms(self.by), self.protocol(), self.id)?;
        if let Some(path) = self.recipient.filter(|path| self.smtputf8 || path.is_ascii()) {
            write!(field, "\r\n\tfor {path}")?;
        }
        if let Some(tls) = self.tls {
            write_tls(field, tls)?;
            let certificate = tls.peer_certificate.as_deref().filter(|_| tls.verified && !self.authenticated);
            if let Some(certificate) = certificate {
                write!(field, "\r\n\t(client certificate {})", Comment(&certificate_name(certificate)))?;
            }
        }
        if let Some(priority) = self.priority {
            write!(field, "\r\n\tPRIORITY {priority}")?;
        }
        write!(field, ";\r\n\t{}\r\n", date_time(self.at))
    }

    /// `From-domain`: the client's name where it is one, else its address, with what was said as a comment.
    fn write_from(&self, field: &mut String) -> std::fmt::Result {
        if self.authenticated {
            return field.write_str("localhost");
        }
        let literal = self.address.map(AddressLiteral);
        let said = self.hello.map(|hello| &hello.name);
        match (said.and_then(|name| name.domain()), literal) {
            (Some(domain), _) => write!(field, "{domain}")?,
            (None, Some(literal)) => write!(field, "{literal}")?,
            (None, None) => field.write_str("localhost")?,
        }
        match (self.name, literal) {
            (Some(name), Some(literal)) => write!(field, " ({name} {literal})")?,
            (None, Some(literal)) => write!(field, " ({literal})")?,
            (_, None) => {}
        }
        if let Some(uid) = self.uid {
            write!(field, " (uid {uid})")?;
        }
        if let Some(said) = said.filter(|name| name.domain().is_none()) {
            write!(field, "\r\n\t(HELO {})", Comment(said.as_str()))?;
        }
        Ok(())
    }

    /// The transmission type: RFC 5321 §4.4, RFC 3848, RFC 6531 §4.3.
    fn protocol(&self) -> &'static str {
        let secure = self.tls.is_some();
        match self.hello.map(|hello| hello.kind) {
            Some(HelloKind::Helo) => "SMTP",
            Some(HelloKind::Lhlo) if secure => "LMTPS",
            Some(HelloKind::Lhlo) => "LMTP",
            Some(HelloKind::Ehlo) => match (self.smtputf8, secure, self.authenticated) {
                (true, true, true) => "UTF8SMTPSA",
                (true, true, false) => "UTF8SMTPS",
                (true, false, true) => "UTF8SMTPA",
                (true, false, false) => "UTF8SMTP",
                (false, true, true) => "ESMTPSA",
                (false, true, false) => "ESMTPS",
                (false, false, true) => "ESMTPA",
                (false, false, false) => "ESMTP",
            },
            None => "local",
        }
    }
}

/// The `tls` clause of RFC 8314 §4.3, with the version as a comment.
fn write_tls(field: &mut String, tls: &TlsFacts) -> std::fmt::Result {
    if tls.cipher_suite.is_empty() {
        return Ok(());
    }
    write!(field, "\r\n\ttls {}", Atoms(&tls.cipher_suite))?;
    if let Some(group) = &tls.key_exchange {
        write!(field, " group {}", Atoms(group))?;
    }
    write!(field, " ({})", Atoms(&tls.version))
}

/// What is said of a verified client certificate: the common name where that can stand in every header, else the fingerprint.
fn certificate_name(certificate: &PeerCertificate) -> String {
    let fits = |name: &&String| (1..=COMMON_NAME_MAX).contains(&name.len()) && name.is_ascii();
    let name = certificate.common_name.as_ref().filter(fits);
    name.map_or_else(|| format!("sha256:{}", certificate.fingerprint_hex()), |name| format!("\"{name}\""))
}

/// Text of which only what may stand in names is shown.
struct Atoms<'a>(&'a str);

impl std::fmt::Display for Atoms<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let allowed = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        self.0.chars().filter(allowed).try_for_each(|character| f.write_char(character))
    }
}

/// Text that stands in a comment (RFC 5322 §3.2.2): brackets and backslashes escaped.
struct Comment<'a>(&'a str);

impl std::fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars().filter(|character| !character.is_control()) {
            if matches!(character, '(' | ')' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        Ok(())
    }
}

/// The Return-Path field that final delivery puts on top (RFC 5321 §4.4), with its CRLF.
pub fn return_path(path: &ReversePath) -> String {
    format!("Return-Path: {path}\r\n")
}

/// The Delivered-To field that final delivery puts on top: the address delivered to (RFC 9228), with its CRLF.
pub fn delivered_to(path: &ForwardPath) -> String {
    format!("Delivered-To: {}\r\n", bare(path))
}

fn bare(path: &ForwardPath) -> String {
    path.mailbox().map_or_else(|| "postmaster".to_owned(), ToString::to_string)
}

/// Has the message been delivered to that address before, so that it is in a loop? Compared without case.
pub fn was_delivered_to(header: &HeaderBlock, path: &ForwardPath) -> bool {
    let address = bare(path).to_lowercase();
    header.named("Delivered-To").any(|field| field.text().to_lowercase() == address)
}

/// How many servers the message has come through: its Received fields (RFC 5321 §6.3).
pub fn hop_count(header: &HeaderBlock) -> usize {
    header.named("Received").count()
}

#[cfg(test)]
mod tests;
