//! Whom to connect to, and what TLS must give there.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use smtp_proto::Protocol;

use crate::login::HopLogin;

/// The host of a next hop, as it was named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, to be looked up.
    Name(String),
    /// An address.
    Address(IpAddr),
    /// A Unix socket of this machine.
    Socket(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
            Self::Socket(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl Host {
    /// Whether it is this machine, by what is written: nothing is looked up.
    pub fn is_this_machine(&self) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case("localhost"),
            Self::Address(address) => address.is_loopback(),
            Self::Socket(_) => true,
        }
    }

    /// What a certificate must be for, and what is sent as SNI. `None`: such a name cannot stand in a certificate.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        match self {
            Self::Name(name) => ServerName::try_from(name.clone()).ok(),
            Self::Address(address) => Some(ServerName::from(*address)),
            Self::Socket(_) => None,
        }
    }
}

/// A host that takes mail from us, and the terms on which it gets it.
///
/// Written out (`smtp://10.0.0.5:25`, `submissions://app@relay.example.net:465?tls=require`), equal next hops have equal
/// texts, and different ones different texts, but for the secret and the mechanisms of a log-in: the text has the user only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// Where it is.
    pub host: Host,
    /// Its TCP port; 0 for a Unix socket, which has none.
    pub port: u16,
    /// What is spoken with it.
    pub protocol: Protocol,
    /// What TLS must give.
    pub tls: TlsMode,
    /// Who this server is there; none: it knows us by our address, or takes mail from everybody.
    pub login: Option<Arc<HopLogin>>,
    /// Whether content goes by BDAT where CHUNKING is offered (RFC 3030): some hosts offer it and do not do it well.
    pub chunking: bool,
}

impl NextHop {
    /// Without a log-in, and by BDAT where that is offered.
    pub fn new(host: Host, port: u16, protocol: Protocol, tls: TlsMode) -> Self {
        Self { host, port, protocol, tls, login: None, chunking: true }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, tls) = match self.tls {
            TlsMode::Opportunistic => ("smtp", None),
            TlsMode::None => ("smtp", Some("tls=none")),
            TlsMode::Require(TlsStart::StartTls) => ("smtp", Some("tls=require")),
            TlsMode::Verify(TlsStart::StartTls) => ("smtp", Some("tls=verify")),
            TlsMode::Require(TlsStart::Implicit) => ("submissions", Some("tls=require")),
            TlsMode::Verify(TlsStart::Implicit) => ("submissions", None),
        };
        let scheme = match (self.protocol, self.tls.is_implicit()) {
            (Protocol::Smtp, _) => scheme,
            (Protocol::Lmtp, false) => "lmtp",
            (Protocol::Lmtp, true) => "lmtps",
        };
        write!(formatter, "{scheme}://")?;
        if let Some(login) = &self.login {
            write!(formatter, "{}@", encoded(login.user.as_str()))?;
        }
        match self.host {
            Host::Socket(_) => write!(formatter, "{}", self.host)?,
            _ => write!(formatter, "{}:{}", self.host, self.port)?,
        }
        let chunking = (!self.chunking).then_some("chunking=false");
        let mut separator = '?';
        for term in tls.into_iter().chain(chunking) {
            write!(formatter, "{separator}{term}")?;
            separator = '&';
        }
        Ok(())
    }
}

/// A user name as it stands in the text of a next hop (RFC 3986 §2.1), with the `@` of an address as it is.
fn encoded(user: &str) -> String {
    user.bytes().fold(String::new(), |mut text, octet| {
        if octet.is_ascii_alphanumeric() || b"-._~+@".contains(&octet) {
            text.push(char::from(octet));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(text, "%{octet:02X}");
        }
        text
    })
}

/// What TLS must give on the way to a next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// All goes in the clear; STARTTLS is not sent.
    None,
    /// TLS where it is offered and comes about, with any certificate; else in the clear (RFC 7435).
    Opportunistic,
    /// TLS with any certificate, or no delivery.
    Require(TlsStart),
    /// TLS with a certificate for the host's name from an authority that is trusted, or no delivery.
    Verify(TlsStart),
}

/// When TLS begins, where it must come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsStart {
    /// With STARTTLS (RFC 3207).
    StartTls,
    /// With the first octet (RFC 8314 §3.3).
    Implicit,
}

impl TlsMode {
    /// Whether TLS begins with the first octet.
    pub fn is_implicit(self) -> bool {
        matches!(self, Self::Require(TlsStart::Implicit) | Self::Verify(TlsStart::Implicit))
    }

    /// Whether nothing may be sent in the clear.
    pub fn is_mandatory(self) -> bool {
        matches!(self, Self::Require(_) | Self::Verify(_))
    }

    /// The same, with the certificate verified; `None` where there is no TLS to be.
    pub fn verified(self) -> Option<Self> {
        match self {
            Self::None => None,
            Self::Opportunistic => Some(Self::Verify(TlsStart::StartTls)),
            Self::Require(start) | Self::Verify(start) => Some(Self::Verify(start)),
        }
    }

    /// Whether the certificate must be for the host's name, from an authority that is trusted.
    pub fn verifies(self) -> bool {
        matches!(self, Self::Verify(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_next_hops_have_different_texts() {
        let hosts = [
            Host::Name("relay.example.net".into()),
            Host::Address("10.0.0.5".parse().unwrap()),
            Host::Address("2001:db8::1".parse().unwrap()),
            Host::Socket("/run/lmtp".into()),
        ];
        let modes = [
            TlsMode::None,
            TlsMode::Opportunistic,
            TlsMode::Require(TlsStart::StartTls),
            TlsMode::Require(TlsStart::Implicit),
            TlsMode::Verify(TlsStart::StartTls),
            TlsMode::Verify(TlsStart::Implicit),
        ];
        let mut texts = std::collections::BTreeSet::new();
        for host in &hosts {
            for tls in modes {
                for (port, protocol) in [(25, Protocol::Smtp), (465, Protocol::Smtp), (25, Protocol::Lmtp)] {
                    texts.insert(NextHop::new(host.clone(), port, protocol, tls).to_string());
                }
            }
        }
        // Three hosts with three ends each; a socket has no port, so two of its ends are one.
        assert_eq!(texts.len(), 6 * (3 * 3 + 2));
        assert!(texts.contains("lmtp://unix:/run/lmtp?tls=none"));
        assert!(texts.contains("smtp://10.0.0.5:25"));
        assert!(texts.contains("submissions://[2001:db8::1]:465"));
    }

    #[test]
    fn what_is_verified_begins_as_it_would_otherwise() {
        let verify = |start| Some(TlsMode::Verify(start));
        for (mode, verified) in [
            (TlsMode::None, None),
            (TlsMode::Opportunistic, verify(TlsStart::StartTls)),
            (TlsMode::Require(TlsStart::Implicit), verify(TlsStart::Implicit)),
            (TlsMode::Verify(TlsStart::StartTls), verify(TlsStart::StartTls)),
        ] {
            assert_eq!(mode.verified(), verified);
        }
    }

    #[test]
    fn this_machine_is_known_by_what_is_written() {
        let host = |address: &str| Host::Address(address.parse().unwrap());
        for here in [host("127.0.0.1"), host("::1"), Host::Name("LocalHost".into()), Host::Socket("/run/lmtp".into())] {
            assert!(here.is_this_machine(), "{here}");
        }
        for elsewhere in [host("192.0.2.1"), Host::Name("mail.example.net".into())] {
            assert!(!elsewhere.is_this_machine(), "{elsewhere}");
        }
    }

    #[test]
    fn who_logs_in_and_what_is_not_spoken_stands_in_the_text() {
        let host = Host::Name("relay.example.net".into());
        let hop = NextHop::new(host, 465, Protocol::Smtp, TlsMode::Require(TlsStart::Implicit));
        let login = |user: &str| HopLogin {
            user: smtp_sasl::Login::prepare(user.as_bytes()).unwrap(),
            secret: crate::SecretFile::Password("secret".into()),
            mechanisms: Vec::new(),
            in_clear: false,
        };
        for (user, text) in
            [("app", "app"), ("a.b@example.com", "a.b@example.com"), ("a b/?#%:\u{e9}", "a%20b%2F%3F%23%25%3A%C3%A9")]
        {
            let hop = NextHop { login: Some(Arc::new(login(user))), ..hop.clone() };
            assert_eq!(hop.to_string(), format!("submissions://{text}@relay.example.net:465?tls=require"));
        }
        let plain = NextHop { chunking: false, ..hop };
        assert_eq!(plain.to_string(), "submissions://relay.example.net:465?tls=require&chunking=false");
        let plain = NextHop { tls: TlsMode::Opportunistic, ..plain };
        assert_eq!(plain.to_string(), "smtp://relay.example.net:465?chunking=false");
    }

    #[test]
    fn an_odd_name_is_in_no_certificate() {
        assert!(Host::Name("relay.example.net".into()).server_name().is_some());
        assert!(Host::Name("no name".into()).server_name().is_none());
    }
}
