//! The lines of the protocol: a name and parameters, with a tab between each. Pure.

use bytes::BytesMut;
use smtp_proto::{Mechanism, Secret};
use smtp_sasl::Login;

use super::{About, Answer, Unavailable};

/// The longest line in octets; Dovecot itself takes half of it.
pub(super) const LINE_OCTETS_MAX: u64 = 32 * 1024;

/// What we say first: the version, and the number of this client, which nobody else who is connected may have.
pub(super) fn hello(client: u32) -> String {
    format!("VERSION\t1\t1\nCPID\t{client}\n")
}

/// Begins an exchange. We do not go on to ask for the user's data, so it is `nologin`. The response stands last.
pub(super) fn auth(id: u32, mechanism: Mechanism, about: About, response: Option<&Secret>) -> Secret {
    let mut line = BytesMut::from(&*format!("AUTH\t{id}\t{mechanism}\tservice=smtp\tnologin"));
    if about.secured {
        line.extend_from_slice(b"\tsecured");
    }
    if let Some(address) = about.address {
        line.extend_from_slice(format!("\trip={}", address.to_canonical()).as_bytes());
    }
    if let Some(response) = response {
        line.extend_from_slice(b"\tresp=");
        response.encode_base64(&mut line);
    }
    ended(line)
}

/// Goes on with an exchange.
pub(super) fn cont(id: u32, response: &Secret) -> Secret {
    let mut line = BytesMut::from(&*format!("CONT\t{id}\t"));
    response.encode_base64(&mut line);
    ended(line)
}

fn ended(mut line: BytesMut) -> Secret {
    line.extend_from_slice(b"\n");
    Secret::new(line.into())
}

/// What Dovecot says.
#[derive(Debug)]
pub(super) enum Line {
    /// The major version.
    Version(u32),
    /// It has this mechanism.
    Mechanism(Mechanism),
    /// That is all that it has to say of itself.
    Done,
    /// An answer in the exchange of this number. Its own error is one of that exchange alone.
    Answer(u32, Result<Answer, Unavailable>),
    /// Anything else, which does not concern us.
    Other,
}

impl Line {
    /// Reads a line, without its end. `None` where it cannot be understood.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut parts = line.split(|&octet| octet == b'\t');
        match parts.next()? {
            b"VERSION" => Some(Self::Version(number(parts.next()?)?)),
            // One that we have no name for is none of ours.
            b"MECH" => Some(Mechanism::parse(parts.next()?).map_or(Self::Other, Self::Mechanism)),
            b"DONE" => Some(Self::Done),
            b"CONT" => {
                let (id, challenge) = (number(parts.next()?)?, Secret::from_base64(parts.next()?).ok()?);
                Some(Self::Answer(id, Ok(Answer::Challenge(challenge))))
            }
            b"OK" => Some(Self::Answer(number(parts.next()?)?, authenticated(parts))),
            b"FAIL" => {
                let id = number(parts.next()?)?;
                let is_temporary = parts.any(|part| part == b"temp" || part == b"code=temp_fail");
                Some(Self::Answer(id, if is_temporary { Err(Unavailable::Temporary) } else { Ok(Answer::Refused) }))
            }
            _ => Some(Self::Other),
        }
    }
}

/// Who it is: as Dovecot calls the user, whatever the client has said. A user may also have the right password, and not be allowed in.
fn authenticated<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Answer, Unavailable> {
    let mut user = None;
    for part in parts {
        if part == b"nologin" {
            return Ok(Answer::Refused);
        }
        user = user.or_else(|| part.strip_prefix(b"user=").map(unescaped));
    }
    let login = user.and_then(|user| Login::prepare(&user).ok());
    login.map(Answer::Authenticated).ok_or(Unavailable::Protocol)
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Takes out what stands for characters that have a meaning in lines: `\x01t` for a tab, and so on.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut octets = text.iter().copied();
    let mut unescaped = Vec::with_capacity(text.len());
    while let Some(octet) = octets.next() {
        unescaped.push(match octet {
            1 => match octets.next() {
                Some(b'0') => 0,
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'l') => b'\n',
                Some(other) => other,
                None => break,
            },
            octet => octet,
        });
    }
    unescaped
}
