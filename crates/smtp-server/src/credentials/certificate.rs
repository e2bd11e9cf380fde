//! How the users file names a client certificate.

use std::fmt;
use std::str::FromStr;

use smtp_proto::{DomainName, Mailbox, PeerCertificate};

/// What a client certificate is known by. The common name is not: what an authority has to verify are the others (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// The SHA-256 digest of the whole: this one certificate.
    Fingerprint([u8; 32]),
    /// An `rfc822Name`: the local-part as it is written, the domain in lower case (RFC 5280 §7.5).
    Mailbox(Box<str>),
    /// A `dNSName`, in lower case; no wildcard.
    Domain(Box<str>),
}

/// Why a text names no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateNameError {
    /// There are not 64 digits of hexadecimal behind `sha256:`.
    #[error("behind sha256: stand 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints them")]
    Fingerprint,
    /// It is no mailbox in ASCII.
    #[error("it is no mailbox in ASCII")]
    Mailbox,
    /// It is no domain name in ASCII.
    #[error("it is neither sha256: and a fingerprint, nor a mailbox, nor a domain name in ASCII")]
    Domain,
}

impl CertificateName {
    /// All by which this one is known.
    pub(super) fn all_of(certificate: &PeerCertificate) -> impl Iterator<Item = Self> {
        let mailboxes = certificate.mailboxes.iter().filter_map(|name| mailbox(name));
        let domains = certificate.domains.iter().filter_map(|name| domain(name));
        std::iter::once(Self::Fingerprint(certificate.fingerprint)).chain(mailboxes).chain(domains)
    }
}

impl FromStr for CertificateName {
    type Err = CertificateNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sha256:") {
            Some(digits) => fingerprint(digits).ok_or(CertificateNameError::Fingerprint),
            None if text.contains('@') => mailbox(text).ok_or(CertificateNameError::Mailbox),
            None => domain(text).ok_or(CertificateNameError::Domain),
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(digest) => {
                f.write_str("sha256:")?;
                digest.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Self::Mailbox(name) | Self::Domain(name) => f.write_str(name),
        }
    }
}

/// 64 digits, in either case; a colon may stand between two octets.
fn fingerprint(digits: &str) -> Option<CertificateName> {
    let mut digest = [0; 32];
    let mut rest = digits.as_bytes();
    for (index, octet) in digest.iter_mut().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b":").unwrap_or(rest);
        }
        let (pair, behind) = rest.split_at_checked(2)?;
        let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
        *octet = nibble(pair[0])? << 4 | nibble(pair[1])?;
        rest = behind;
    }
    rest.is_empty().then_some(CertificateName::Fingerprint(digest))
}

fn mailbox(name: &str) -> Option<CertificateName> {
    let mailbox: Mailbox = name.parse().ok().filter(Mailbox::is_ascii)?;
    let (local_part, domain) = (mailbox.local_part(), mailbox.domain().to_string().to_ascii_lowercase());
    Some(CertificateName::Mailbox(format!("{local_part}@{domain}").into()))
}

fn domain(name: &str) -> Option<CertificateName> {
    let domain: DomainName = name.parse().ok().filter(DomainName::is_ascii)?;
    Some(CertificateName::Domain(domain.as_str().to_ascii_lowercase().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<CertificateName, CertificateNameError> {
        text.parse()
    }

    #[test]
    fn a_fingerprint_is_read_with_and_without_colons() {
        let plain = "sha256:".to_owned() + &"0a".repeat(32);
        let colons = "sha256:".to_owned() + &["0A"; 32].join(":");
        assert_eq!(read(&plain).unwrap(), CertificateName::Fingerprint([10; 32]));
        assert_eq!(read(&colons), read(&plain));
        assert_eq!(read(&plain).unwrap().to_string(), plain);
        for wrong in [&plain[..69], &format!("{plain}0a"), &plain.replacen("0a", "0:a", 1), "sha256:", "sha256:ä"] {
            assert_eq!(read(wrong), Err(CertificateNameError::Fingerprint), "{wrong}");
        }
        assert_eq!(read(&plain.replacen("0a", "0g", 1)), Err(CertificateNameError::Fingerprint));
    }

    #[test]
    fn a_name_is_a_mailbox_or_a_domain() {
        assert_eq!(read("A.b@Example.ORG").unwrap(), CertificateName::Mailbox("A.b@example.org".into()));
        assert_eq!(read("Laptop.Example.org").unwrap(), CertificateName::Domain("laptop.example.org".into()));
        for wrong in ["@example.org", "a@", "ä@example.org", "a@b@example.org", "a@exämple.org"] {
            assert_eq!(read(wrong), Err(CertificateNameError::Mailbox), "{wrong}");
        }
        for wrong in ["", "*.example.org", "CN=alice", "ä.example", "sha1:0a", "a b"] {
            assert_eq!(read(wrong), Err(CertificateNameError::Domain), "{wrong}");
        }
    }

    #[test]
    fn a_certificate_is_known_by_its_alternative_names_and_not_by_its_common_name() {
        let certificate = PeerCertificate {
            common_name: Some("alice.example.org".to_owned()),
            mailboxes: vec!["alice@EXAMPLE.org".to_owned(), "no mailbox".to_owned()],
            domains: vec!["*.example.org".to_owned(), "Laptop.example.org".to_owned()],
            fingerprint: [7; 32],
        };
        let names: Vec<String> = CertificateName::all_of(&certificate).map(|name| name.to_string()).collect();
        assert_eq!(names, [&*format!("sha256:{}", "07".repeat(32)), "alice@example.org", "laptop.example.org"]);
    }
}
