//! What is read from a certificate of X.509 (RFC 5280 §4.1): the parts that rustls does not tell.
//!
//! Nothing is proven here. What a certificate says is worth what the handshake has found out about it.

pub mod der;

use aws_lc_rs::digest::{self, Algorithm, SHA224, SHA256, SHA384, SHA512};
use smtp_proto::PeerCertificate;

use self::der::take;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// `pkcs-1` (RFC 8017 appendix C); behind it an octet for each signature algorithm of RSA.
const PKCS_1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const RSASSA_PSS: u8 = 10;
/// `ecdsa-with-SHA1` (RFC 3279 §2.2.3).
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
/// `ecdsa-with-SHA2` (RFC 5758 §3.2); behind it an octet for each digest.
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
/// `id-sha1` (RFC 4055 §2.1).
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// `hashAlgs` of NIST (RFC 4055 §2.1); behind it an octet for each digest.
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// The tag of the n-th part of a SEQUENCE that may be left out, where it holds others.
const fn part(n: u8) -> u8 {
    0xa0 | n
}

/// The fields of a certificate, each as the octets in its SEQUENCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    whole: &'a [u8],
    signature_algorithm: &'a [u8],
    /// `Validity`: `notBefore`, then `notAfter` (RFC 5280 §4.1.2.5).
    pub validity: &'a [u8],
    subject: &'a [u8],
    /// Empty where it has none.
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Finds the fields of a certificate in DER. `None` if it is none.
    pub fn parse(whole: &'a [u8]) -> Option<Self> {
        let (certificate, _) = take(whole, der::SEQUENCE)?;
        let (to_be_signed, rest) = take(certificate, der::SEQUENCE)?;
        let (signature_algorithm, _) = take(rest, der::SEQUENCE)?;
        // The version is left out in the first version of X.509.
        let rest = take(to_be_signed, part(0)).map_or(to_be_signed, |(_, rest)| rest);
        let (_serial_number, rest) = take(rest, der::INTEGER)?;
        let (_signature, rest) = take(rest, der::SEQUENCE)?;
        let (_issuer, rest) = take(rest, der::SEQUENCE)?;
        let (validity, rest) = take(rest, der::SEQUENCE)?;
        let (subject, rest) = take(rest, der::SEQUENCE)?;
        let (_subject_public_key, rest) = take(rest, der::SEQUENCE)?;
        let extensions = der::values(rest).find(|(tag, _)| *tag == part(3));
        let extensions = extensions.and_then(|(_, octets)| take(octets, der::SEQUENCE)).map_or(&[][..], |(all, _)| all);
        Some(Self { whole, signature_algorithm, validity, subject, extensions })
    }

    /// Whom it names.
    pub fn peer(&self) -> PeerCertificate {
        let names = self.alternative_names();
        let of_kind = |tag| names.iter().filter(move |(found, _)| *found == tag).map(|(_, name)| (*name).to_owned());
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&SHA256, self.whole).as_ref());
        PeerCertificate {
            common_name: self.common_name().map(str::to_owned),
            mailboxes: of_kind(der::RFC822_NAME).collect(),
            domains: of_kind(der::DNS_NAME).collect(),
            fingerprint,
        }
    }

    /// The channel binding `tls-server-end-point` (RFC 5929 §4.1): the certificate's digest, by the digest of its signature, or by
    /// SHA-256 where that one is MD5 or SHA-1. `None` for signatures for which the RFC knows no digest, such as Ed25519.
    pub fn server_end_point(&self) -> Option<Box<[u8]>> {
        let (algorithm, parameters) = take(self.signature_algorithm, der::OBJECT_IDENTIFIER)?;
        let digest = if let Some(&[kind]) = algorithm.strip_prefix(PKCS_1) {
            match kind {
                4 | 5 | 11 => &SHA256,
                12 => &SHA384,
                13 => &SHA512,
                14 => &SHA224,
                RSASSA_PSS => of_pss(parameters)?,
                _ => return None,
            }
        } else if algorithm == ECDSA_SHA1 {
            &SHA256
        } else {
            match algorithm.strip_prefix(ECDSA_SHA2)? {
                [1] => &SHA224,
                [2] => &SHA256,
                [3] => &SHA384,
                [4] => &SHA512,
                _ => return None,
            }
        };
        Some(digest::digest(digest, self.whole).as_ref().into())
    }

    fn common_name(&self) -> Option<&'a str> {
        let attributes = der::values(self.subject).flat_map(|(_, set)| der::values(set));
        let names = attributes.filter_map(|(_, attribute)| match take(attribute, der::OBJECT_IDENTIFIER)? {
            (COMMON_NAME, value) => der::text(value),
            _ => None,
        });
        names.last()
    }

    /// The tag and the name of each that is text.
    fn alternative_names(&self) -> Vec<(u8, &'a str)> {
        let found = der::values(self.extensions).find_map(|(_, extension)| {
            let (id, rest) = take(extension, der::OBJECT_IDENTIFIER)?;
            // Whether it is critical stands between, where it is.
            let rest = take(rest, der::BOOLEAN).map_or(rest, |(_, rest)| rest);
            let (value, _) = take(rest, der::OCTET_STRING)?;
            (id == SUBJECT_ALTERNATIVE_NAME).then(|| take(value, der::SEQUENCE)).flatten()
        });
        let names = der::values(found.map_or(&[][..], |(names, _)| names));
        names.filter_map(|(tag, name)| Some((tag, der::ascii(name)?))).collect()
    }
}

/// The digest of RSASSA-PSS (RFC 4055 §3.1), where the mask is made with the same.
fn of_pss(parameters: &[u8]) -> Option<&'static Algorithm> {
    let (parameters, _) = take(parameters, der::SEQUENCE)?;
    let algorithm = |n| der::values(parameters).find(|(tag, _)| *tag == part(n)).map(|(_, value)| value);
    let named = algorithm(0).map_or(Some(SHA1), identifier)?;
    let of_mask = match algorithm(1) {
        Some(value) => {
            let (mask, _) = take(value, der::SEQUENCE)?;
            let (_mgf1, parameters) = take(mask, der::OBJECT_IDENTIFIER)?;
            identifier(parameters)?
        }
        None => SHA1,
    };
    match named {
        _ if named != of_mask => None,
        SHA1 => Some(&SHA256),
        _ => match named.strip_prefix(SHA2)? {
            [1] => Some(&SHA256),
            [2] => Some(&SHA384),
            [3] => Some(&SHA512),
            [4] => Some(&SHA224),
            _ => None,
        },
    }
}

/// What an `AlgorithmIdentifier` names.
fn identifier(value: &[u8]) -> Option<&[u8]> {
    let (identifier, _) = take(value, der::SEQUENCE)?;
    take(identifier, der::OBJECT_IDENTIFIER).map(|(id, _)| id)
}

#[cfg(test)]
mod tests;
