//! XCLIENT: a peer that is trusted says for which client it speaks.
//!
//! The command is an extension of Postfix that others have taken over (<https://www.postfix.org/XCLIENT_README.html>); no RFC has it.

use std::fmt;
use std::net::IpAddr;

use crate::command::{Argument, HelloName};
use crate::syntax::xtext;

/// The arguments of XCLIENT: what the peer says of the client that it speaks for. Of what is `None` it says nothing.
///
/// All of it is worth as much as the peer is trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct XClient {
    /// `NAME`: the host name that the address of the client was found to have.
    pub name: Option<XClientName>,
    /// `ADDR`: the address of the client.
    pub address: Option<Told<IpAddr>>,
    /// `PORT`: the TCP port of the client.
    pub port: Option<Told<u16>>,
    /// `PROTO`: what the client speaks.
    pub protocol: Option<XClientProtocol>,
    /// `HELO`: what the client called itself in EHLO, HELO or LHLO.
    pub hello: Option<Told<HelloName>>,
    /// `LOGIN`: as whom the client has logged in with the peer.
    pub login: Option<Told<Argument>>,
    /// `DESTADDR`: the address that the client has connected to.
    pub destination_address: Option<Told<IpAddr>>,
    /// `DESTPORT`: the TCP port that the client has connected to.
    pub destination_port: Option<Told<u16>>,
}

impl fmt::Display for XClient {
    /// As it stands in the command: ` NAME=value`, and so on, each with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use XClientAttribute as A;
        put(f, A::Name, self.name.as_ref())?;
        put(f, A::Address, self.address.map(numerical))?;
        put(f, A::Port, self.port)?;
        put(f, A::Protocol, self.protocol)?;
        put(f, A::Hello, self.hello.as_ref())?;
        put(f, A::Login, self.login.as_ref())?;
        put(f, A::DestinationAddress, self.destination_address.map(numerical))?;
        put(f, A::DestinationPort, self.destination_port)
    }
}

fn put(f: &mut fmt::Formatter<'_>, attribute: XClientAttribute, value: Option<impl fmt::Display>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    write!(f, " {attribute}=")?;
    xtext::encode(value.to_string().as_bytes(), f)
}

/// An address as XCLIENT writes it: without brackets, and one of IPv6 behind its prefix.
fn numerical(address: Told<IpAddr>) -> String {
    match address {
        Told::Known(IpAddr::V6(address)) => format!("IPV6:{address}"),
        other => other.to_string(),
    }
}

/// An attribute of XCLIENT, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum XClientAttribute {
    /// `NAME`
    Name,
    /// `ADDR`
    Address,
    /// `PORT`
    Port,
    /// `PROTO`
    Protocol,
    /// `HELO`
    Hello,
    /// `LOGIN`
    Login,
    /// `DESTADDR`
    DestinationAddress,
    /// `DESTPORT`
    DestinationPort,
}

impl XClientAttribute {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Address,
        Self::Port,
        Self::Protocol,
        Self::Hello,
        Self::Login,
        Self::DestinationAddress,
        Self::DestinationPort,
    ];

    /// The name as it stands in the command and in the reply to EHLO.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Address => "ADDR",
            Self::Port => "PORT",
            Self::Protocol => "PROTO",
            Self::Hello => "HELO",
            Self::Login => "LOGIN",
            Self::DestinationAddress => "DESTADDR",
            Self::DestinationPort => "DESTPORT",
        }
    }

    /// The attribute of this name, in any case.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| name.eq_ignore_ascii_case(attribute.as_str().as_bytes()))
    }
}

impl fmt::Display for XClientAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which attributes of XCLIENT a server takes. The default is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "Vec<XClientAttribute>", into = "Vec<XClientAttribute>"))]
pub struct XClientAttributes {
    /// One bit for each, in the order of [`XClientAttribute::ALL`].
    bits: u8,
}

impl XClientAttributes {
    /// None: XCLIENT is not offered.
    pub const NONE: Self = Self { bits: 0 };
    /// All that there are.
    pub const ALL: Self = Self { bits: u8::MAX };

    /// Whether it is none.
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Whether this one is taken.
    pub const fn contains(self, attribute: XClientAttribute) -> bool {
        self.bits & bit(attribute) != 0
    }

    /// Those that are taken, in the order in which they are written.
    pub fn iter(self) -> impl Iterator<Item = XClientAttribute> {
        XClientAttribute::ALL.into_iter().filter(move |attribute| self.contains(*attribute))
    }
}

const fn bit(attribute: XClientAttribute) -> u8 {
    1 << attribute as u8
}

impl FromIterator<XClientAttribute> for XClientAttributes {
    fn from_iter<I: IntoIterator<Item = XClientAttribute>>(attributes: I) -> Self {
        Self { bits: attributes.into_iter().fold(0, |bits, attribute| bits | bit(attribute)) }
    }
}

#[cfg(feature = "serde")]
impl From<Vec<XClientAttribute>> for XClientAttributes {
    fn from(attributes: Vec<XClientAttribute>) -> Self {
        attributes.into_iter().collect()
    }
}

#[cfg(feature = "serde")]
impl From<XClientAttributes> for Vec<XClientAttribute> {
    fn from(attributes: XClientAttributes) -> Self {
        attributes.iter().collect()
    }
}

impl fmt::Debug for XClientAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The value of an attribute of XCLIENT: known to the peer, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told<T> {
    /// This.
    Known(T),
    /// `[UNAVAILABLE]`: the peer does not know.
    Unavailable,
}

impl<T> Told<T> {
    /// The value, where the peer knows it.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unavailable => None,
        }
    }
}

pub(crate) const UNAVAILABLE: &str = "[UNAVAILABLE]";
pub(crate) const TEMPORARILY_UNAVAILABLE: &str = "[TEMPUNAVAIL]";

impl<T: fmt::Display> fmt::Display for Told<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Unavailable => f.write_str(UNAVAILABLE),
        }
    }
}

/// The value of `NAME=`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum XClientName {
    /// The address of the client has this name.
    Known(HelloName),
    /// `[UNAVAILABLE]`: it has none.
    Unavailable,
    /// `[TEMPUNAVAIL]`: whether it has one could not be found out.
    TemporarilyUnavailable,
}

impl fmt::Display for XClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(name) => name.fmt(f),
            Self::Unavailable => f.write_str(UNAVAILABLE),
            Self::TemporarilyUnavailable => f.write_str(TEMPORARILY_UNAVAILABLE),
        }
    }
}

/// The value of `PROTO=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XClientProtocol {
    /// `SMTP`: the client has said HELO.
    Smtp,
    /// `ESMTP`: the client has said EHLO.
    Esmtp,
    /// `LMTP`: the client has said LHLO. Dovecot says so; Postfix does not.
    Lmtp,
}

impl XClientProtocol {
    pub(crate) const ALL: [Self; 3] = [Self::Smtp, Self::Esmtp, Self::Lmtp];

    /// The value as it stands in the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Esmtp => "ESMTP",
            Self::Lmtp => "LMTP",
        }
    }
}

impl fmt::Display for XClientProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
