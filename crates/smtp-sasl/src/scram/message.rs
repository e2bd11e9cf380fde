//! The messages of SCRAM (RFC 5802 §5, §7), cut into their attributes.

use std::borrow::Cow;

/// The longest message that is looked at, in octets.
const MESSAGE_OCTETS_MAX: usize = 4096;

/// What the client says about channel binding: `gs2-cbind-flag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: it has none.
    None,
    /// `y`: it has one, and thinks that the server has none.
    NotOffered,
    /// `p=name`: it uses this one.
    Used(&'a [u8]),
}

/// `client-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    /// `gs2-header`, with its second comma.
    pub(super) header: &'a [u8],
    pub(super) binding: BindingFlag<'a>,
    /// The authorization identity, decoded.
    pub(super) authorization: Option<Cow<'a, [u8]>>,
    /// `client-first-message-bare`.
    pub(super) bare: &'a [u8],
    /// The name, decoded.
    pub(super) name: Cow<'a, [u8]>,
    pub(super) nonce: &'a [u8],
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let message = bounded(message)?;
        let (flag, rest) = split_comma(message)?;
        let (authorization, bare) = split_comma(rest)?;
        let header = &message[..message.len() - bare.len()];
        let binding = match flag {
            b"n" => BindingFlag::None,
            b"y" => BindingFlag::NotOffered,
            _ => BindingFlag::Used(flag.strip_prefix(b"p=").filter(|name| !name.is_empty())?),
        };
        let authorization = match authorization {
            b"" => None,
            name => Some(unescape_name(name.strip_prefix(b"a=")?)?),
        };
        // A mandatory extension would stand first, as `m=`: none is known, so it is refused (RFC 5802 §5.1).
        let mut attributes = bare.split(|&octet| octet == b',');
        let name = unescape_name(attributes.next()?.strip_prefix(b"n=")?)?;
        let nonce = attributes.next()?.strip_prefix(b"r=").filter(|nonce| is_nonce(nonce))?;
        Some(Self { header, binding, authorization, bare, name, nonce })
    }
}

/// `client-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// The binding's `gs2-header` and data, in base64.
    pub(super) binding: &'a [u8],
    pub(super) nonce: &'a [u8],
    /// In base64.
    pub(super) proof: &'a [u8],
    pub(super) without_proof: &'a [u8],
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let message = bounded(message)?;
        let at = message.iter().rposition(|&octet| octet == b',')?;
        let (without_proof, proof) = (&message[..at], message[at + 1..].strip_prefix(b"p=")?);
        let mut attributes = without_proof.split(|&octet| octet == b',');
        let binding = attributes.next()?.strip_prefix(b"c=")?;
        let nonce = attributes.next()?.strip_prefix(b"r=")?;
        Some(Self { binding, nonce, proof, without_proof })
    }
}

/// `server-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirstMessage<'a> {
    pub(super) nonce: &'a [u8],
    /// In base64.
    pub(super) salt: &'a [u8],
    pub(super) iterations: u32,
}

impl<'a> ServerFirstMessage<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let mut attributes = bounded(message)?.split(|&octet| octet == b',');
        let nonce = attributes.next()?.strip_prefix(b"r=").filter(|nonce| is_nonce(nonce))?;
        let salt = attributes.next()?.strip_prefix(b"s=")?;
        let iterations = std::str::from_utf8(attributes.next()?.strip_prefix(b"i=")?).ok()?.parse().ok()?;
        Some(Self { nonce, salt, iterations })
    }
}

/// A name as it stands in a message (RFC 5802 §5.1, `saslname`): `,` is `=2C`, `=` is `=3D`.
pub(crate) fn escape_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn unescape_name(name: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !name.contains(&b'=') {
        return Some(Cow::Borrowed(name));
    }
    let mut pieces = name.split(|&octet| octet == b'=');
    let mut unescaped = pieces.next()?.to_vec();
    for piece in pieces {
        let (octet, rest) = match piece {
            [b'2', b'C', rest @ ..] => (b',', rest),
            [b'3', b'D', rest @ ..] => (b'=', rest),
            _ => return None,
        };
        unescaped.push(octet);
        unescaped.extend_from_slice(rest);
    }
    Some(Cow::Owned(unescaped))
}

/// `printable`: all but the comma.
fn is_nonce(nonce: &[u8]) -> bool {
    !nonce.is_empty() && nonce.iter().all(|octet| octet.is_ascii_graphic() && *octet != b',')
}

fn split_comma(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = octets.iter().position(|&octet| octet == b',')?;
    Some((&octets[..at], &octets[at + 1..]))
}

fn bounded(message: &[u8]) -> Option<&[u8]> {
    (message.len() <= MESSAGE_OCTETS_MAX && !message.contains(&0)).then_some(message)
}
