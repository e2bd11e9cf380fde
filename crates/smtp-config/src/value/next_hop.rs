//! Next hops: `"smtp://relay.example.net:25"`.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::secret::has_password;
use crate::value::{ValueError, deserialize_from_string, unknown_word, words};

words! {
    /// How a next hop is spoken to.
    pub enum Scheme {
        /// SMTP, port 25 unless another is given; `tls` says what STARTTLS is for.
        Smtp = "smtp",
        /// Message submission (RFC 6409): as `smtp`, with port 587.
        Submission = "submission",
        /// Message submission inside TLS from the first octet (RFC 8314 §3.3): port 465.
        Submissions = "submissions",
        /// The older name of `submissions`.
        Smtps = "smtps",
        /// LMTP (RFC 2033): port 24 unless another is given; `tls` says what STARTTLS is for.
        Lmtp = "lmtp",
    }
}

impl Scheme {
    /// The port where none is written.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Submission => 587,
            Self::Submissions | Self::Smtps => 465,
            Self::Lmtp => 24,
        }
    }

    /// Whether TLS begins before the first octet of SMTP.
    pub fn implicit_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Smtps)
    }
}

/// The host of a next hop.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, in lower case, without the final dot.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

/// A next hop as the file names it: scheme, user, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextHopUrl {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Who this server logs in as there.
    pub user: Option<String>,
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
}

impl FromStr for NextHopUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // Before anything of it is repeated in a message.
        if has_password(text.split_once("://").map_or(text, |(_, authority)| authority)) {
            return Err(ValueError::new(PASSWORD_WRITTEN));
        }
        let Some((scheme, authority)) = text.split_once("://") else {
            return Err(ValueError::new(format!(
                "{text:?} is no next hop; write it like \"smtp://relay.example.net:25\""
            )));
        };
        let scheme: Scheme = scheme.parse().map_err(|_| unknown_word(scheme, Scheme::WORDS))?;
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(parse_user(user)?), authority),
            None => (None, authority),
        };
        if authority.contains(['/', '?', '#']) {
            return Err(ValueError::new(format!("{text:?} has a path; a next hop is a host and a port only")));
        }
        let (host, port) = split_port(text, authority)?;
        if scheme == Scheme::Lmtp && port == Some(25) {
            return Err(ValueError::new(format!("{text:?}: LMTP is never spoken on port 25 (RFC 2033 §5)")));
        }
        Ok(Self { scheme, user, host: parse_host(text, host)?, port: port.unwrap_or(scheme.default_port()) })
    }
}

/// Said of a value that is not shown.
pub(crate) const PASSWORD_WRITTEN: &str = "a password does not stand in this file: put it into a file of its own, and name that with `password = { file = \"…\" }`";

/// The user, with `%XX` for what cannot stand in the text of a next hop (RFC 3986 §2.1).
fn parse_user(text: &str) -> Result<String, ValueError> {
    let wrong =
        || ValueError::new(format!("{text:?} is no user name; write other characters than letters and digits as %XX"));
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '%' {
            let digits = rest.get(1..3).filter(|digits| digits.bytes().all(|octet| octet.is_ascii_hexdigit()));
            octets.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(wrong)?);
            rest = &rest[3..];
        } else {
            let octet = u8::try_from(character).ok().filter(|&octet| may_stand_in_user(octet)).ok_or_else(wrong)?;
            octets.push(octet);
            rest = &rest[1..];
        }
    }
    String::from_utf8(octets).ok().filter(|user| !user.is_empty()).ok_or_else(wrong)
}

/// Whether a user name may have this as it is. `@` may stand in it, since the last one ends it; a colon would begin a password.
fn may_stand_in_user(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"%:/?#[]<>\"\\".contains(&octet)
}

fn split_port<'a>(text: &str, authority: &'a str) -> Result<(&'a str, Option<u16>), ValueError> {
    let colon = authority.rfind(':').filter(|&at| !authority[at..].contains(']'));
    let Some(colon) = colon else { return Ok((authority, None)) };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    if host.contains(':') && !host.starts_with('[') {
        return Err(ValueError::new(format!(
            "{text:?}: an IPv6 address stands in brackets, like \"smtp://[2001:db8::1]:25\""
        )));
    }
    match port.parse() {
        Ok(port) if port != 0 => Ok((host, Some(port))),
        _ => Err(ValueError::new(format!("{text:?} has no port from 1 to 65535 behind its last colon"))),
    }
}

fn parse_host(text: &str, host: &str) -> Result<Host, ValueError> {
    if let Some(bracketed) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address = bracketed.parse::<Ipv6Addr>();
        return address
            .map(|address| Host::Address(address.into()))
            .map_err(|_| ValueError::new(format!("{text:?}: {bracketed:?} is no IPv6 address")));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Host::Address(address));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if name.len() <= 253 && name.split('.').all(is_label) {
        Ok(Host::Name(name))
    } else {
        Err(ValueError::new(format!("{text:?}: {host:?} is no host name and no address")))
    }
}

/// Letters, digits, hyphens; and underscores, which names inside a network often have.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

impl fmt::Display for NextHopUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            for &octet in user.as_bytes() {
                if may_stand_in_user(octet) {
                    formatter.write_char(char::from(octet))?;
                } else {
                    write!(formatter, "%{octet:02X}")?;
                }
            }
            formatter.write_char('@')?;
        }
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// Where LMTP is spoken with the program that keeps the mailboxes: `"unix:/run/dovecot/lmtp"` or `"127.0.0.1:24"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LmtpAddress {
    /// A Unix socket: an absolute path.
    Socket(PathBuf),
    /// A host and its TCP port.
    Tcp {
        /// The host.
        host: Host,
        /// The port.
        port: u16,
    },
}

impl FromStr for LmtpAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            if !path.is_absolute() {
                return Err(ValueError::new(format!("{text:?}: the path of a socket begins with a slash")));
            }
            return Ok(Self::Socket(path));
        }
        if text.contains('@') {
            return Err(ValueError::new(
                "a place for LMTP has no user; write it like \"unix:/run/dovecot/lmtp\" or \"127.0.0.1:24\"",
            ));
        }
        match format!("{}://{text}", Scheme::Lmtp).parse() {
            Ok(NextHopUrl { host, port, .. }) => Ok(Self::Tcp { host, port }),
            _ => Err(ValueError::new(format!(
                "{text:?} is no place for LMTP; write it like \"unix:/run/dovecot/lmtp\" or \"127.0.0.1:24\", and never with port 25"
            ))),
        }
    }
}

impl fmt::Display for LmtpAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}

deserialize_from_string!(LmtpAddress, "a place for LMTP such as \"unix:/run/dovecot/lmtp\"");
deserialize_from_string!(NextHopUrl, "a next hop such as \"smtp://relay.example.net:25\"");
