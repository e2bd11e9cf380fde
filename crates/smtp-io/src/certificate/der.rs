//! DER (X.690 §10), as far as certificates need it: values of a tag and a length, read from the front.

/// BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// `UTF8String`.
pub const UTF8_STRING: u8 = 0x0c;
/// `PrintableString`.
pub const PRINTABLE_STRING: u8 = 0x13;
/// `IA5String`.
pub const IA5_STRING: u8 = 0x16;
/// `UTCTime`.
pub const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`.
pub const GENERALIZED_TIME: u8 = 0x18;
/// SEQUENCE and SEQUENCE OF.
pub const SEQUENCE: u8 = 0x30;
/// `rfc822Name` of a `GeneralName` (RFC 5280 §4.2.1.6).
pub const RFC822_NAME: u8 = 0x81;
/// `dNSName` of a `GeneralName` (RFC 5280 §4.2.1.6).
pub const DNS_NAME: u8 = 0x82;

/// The content of the value that `input` begins with, if it has that tag, and what stands behind it.
pub fn take(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = value(input)?;
    (found == tag).then_some((content, rest))
}

/// The values that `input` is made of: the tag and the content of each, up to one that is none.
pub fn values(input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (tag, content, behind) = value(rest)?;
        rest = behind;
        Some((tag, content))
    })
}

/// The text of the value that `input` begins with, where it is one of the kinds that are still in use.
pub(super) fn text(input: &[u8]) -> Option<&str> {
    match value(input)? {
        (UTF8_STRING, content, _) => std::str::from_utf8(content).ok(),
        (PRINTABLE_STRING | IA5_STRING, content, _) => ascii(content),
        _ => None,
    }
}

/// A name in ASCII. One with a control character is none: what is behind a NUL has deceived others.
pub(super) fn ascii(content: &[u8]) -> Option<&str> {
    let is_name = content.iter().all(|octet| octet.is_ascii() && !octet.is_ascii_control());
    std::str::from_utf8(content).ok().filter(|name| is_name && !name.is_empty())
}

fn value(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = input.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}
