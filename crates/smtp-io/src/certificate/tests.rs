use proptest::prelude::*;
use smtp_testkit::tls::{Authority, Identity};

use super::*;

fn parse(identity: &Identity) -> Certificate<'_> {
    Certificate::parse(identity.leaf()).unwrap()
}

#[test]
fn whom_a_certificate_names() {
    let authority = Authority::new();
    let names = ["laptop.example.org", "Alice@Example.org", "alice@example.net"];
    let peer = parse(&authority.issue_client("Alice Ä.", &names)).peer();
    assert_eq!(peer.common_name.as_deref(), Some("Alice Ä."));
    assert_eq!(peer.domains, ["laptop.example.org"]);
    assert_eq!(peer.mailboxes, ["Alice@Example.org", "alice@example.net"]);
    let bare = parse(&authority.issue_client("bob", &[])).peer();
    assert_eq!((bare.common_name.as_deref(), bare.domains.len(), bare.mailboxes.len()), (Some("bob"), 0, 0));
    assert_ne!(bare.fingerprint, peer.fingerprint);
    let identity = authority.issue_client("carol", &[]);
    assert_eq!(parse(&identity).peer().fingerprint, digest::digest(&SHA256, identity.leaf()).as_ref());
}

/// `subjectAltName` with these `GeneralName`s, in an extension that is critical.
fn named(names: &[(u8, &[u8])]) -> Vec<u8> {
    let value = |tag, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap();
        [&[tag, length], content].concat()
    };
    let names: Vec<u8> = names.iter().flat_map(|(tag, name)| value(*tag, name)).collect();
    let names = value(der::OCTET_STRING, &value(der::SEQUENCE, &names));
    let id = value(der::OBJECT_IDENTIFIER, SUBJECT_ALTERNATIVE_NAME);
    value(der::SEQUENCE, &[id, value(der::BOOLEAN, &[0xff]), names].concat())
}

#[test]
fn names_that_could_deceive_are_left_out() {
    let identity = Identity::self_signed(&["a.example"]);
    let extensions = named(&[
        (der::DNS_NAME, b"good.example"),
        (der::DNS_NAME, b"good.example\0.evil.example"),
        (der::RFC822_NAME, b"alice@example.org\r\n"),
        (der::RFC822_NAME, "ä@example.org".as_bytes()),
        (der::RFC822_NAME, b""),
        (0x87, &[192, 0, 2, 1]),
    ]);
    let peer = Certificate { extensions: &extensions, ..parse(&identity) }.peer();
    assert_eq!(peer.domains, ["good.example"]);
    assert!(peer.mailboxes.is_empty(), "{:?}", peer.mailboxes);
}

fn end_point(signature_algorithm: &[u8]) -> Option<usize> {
    let identity = Identity::self_signed(&["a.example"]);
    let certificate = Certificate { signature_algorithm, ..parse(&identity) };
    certificate.server_end_point().map(|digest| digest.len())
}

fn oid(parts: &[&[u8]]) -> Vec<u8> {
    let id = parts.concat();
    [&[der::OBJECT_IDENTIFIER, u8::try_from(id.len()).unwrap()], &*id].concat()
}

/// RFC 5929 §4.1: the digest of the signature, but never MD5 or SHA-1.
#[test]
fn the_end_point_is_hashed_as_the_certificate_is_signed() {
    let identity = Identity::self_signed(&["a.example"]);
    let whole = digest::digest(&SHA256, identity.leaf());
    assert_eq!(parse(&identity).server_end_point().as_deref(), Some(whole.as_ref()), "ECDSA with SHA-256");

    for (kind, octets) in [(4, 32), (5, 32), (11, 32), (12, 48), (13, 64), (14, 28)] {
        assert_eq!(end_point(&oid(&[PKCS_1, &[kind]])), Some(octets), "RSA {kind}");
    }
    assert_eq!(end_point(&oid(&[ECDSA_SHA1])), Some(32));
    for (kind, octets) in [(1, 28), (2, 32), (3, 48), (4, 64)] {
        assert_eq!(end_point(&oid(&[ECDSA_SHA2, &[kind]])), Some(octets), "ECDSA {kind}");
    }
    let ed25519 = oid(&[&[0x2b, 0x65, 0x70]]);
    for unknown in [&*ed25519, &oid(&[PKCS_1, &[1]]), &oid(&[ECDSA_SHA2, &[9]]), &oid(&[PKCS_1]), b"", b"\x06"] {
        assert_eq!(end_point(unknown), None, "{unknown:?}");
    }
}

#[test]
fn the_parameters_of_pss_say_the_digest() {
    let value = |tag, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let digest = |kind| value(der::SEQUENCE, &oid(&[SHA2, &[kind]]));
    let mgf1 = |kind| value(der::SEQUENCE, &[oid(&[PKCS_1, &[8]]), digest(kind)].concat());
    let pss =
        |parts: &[Vec<u8>]| end_point(&[oid(&[PKCS_1, &[RSASSA_PSS]]), value(der::SEQUENCE, &parts.concat())].concat());
    for (kind, octets) in [(1, 32), (2, 48), (3, 64), (4, 28)] {
        assert_eq!(pss(&[value(part(0), &digest(kind)), value(part(1), &mgf1(kind))]), Some(octets), "{kind}");
    }
    assert_eq!(pss(&[]), Some(32), "SHA-1 is the default, and SHA-256 stands for it");
    assert_eq!(pss(&[value(part(0), &digest(1)), value(part(1), &mgf1(2))]), None, "two digests");
    assert_eq!(pss(&[value(part(0), &digest(1))]), None, "the mask by SHA-1");
    assert_eq!(end_point(&oid(&[PKCS_1, &[RSASSA_PSS]])), None, "without parameters");
}

#[test]
fn a_certificate_that_is_cut_off_is_none() {
    let identity = Identity::self_signed(&["a.example"]);
    let whole = identity.leaf();
    for cut in 0..whole.len() {
        assert_eq!(Certificate::parse(&whole[..cut]), None);
    }
    assert_eq!(Certificate::parse(b"0\x84\xff\xff\xff\xff0"), None);
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(at in any::<prop::sample::Index>(), octet in any::<u8>(), any in prop::collection::vec(any::<u8>(), 0..200)) {
        let identity = Identity::self_signed(&["a.example"]);
        let mut changed = identity.leaf().to_vec();
        let at = at.index(changed.len());
        changed[at] = octet;
        for octets in [&changed, &any] {
            if let Some(certificate) = Certificate::parse(octets) {
                let _ = (certificate.peer(), certificate.server_end_point());
            }
        }
    }
}
