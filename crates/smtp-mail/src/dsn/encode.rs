//! Octets made 7-bit.

use std::fmt::Write as _;

/// Quoted-printable (RFC 2045 §6.7) of text with CRLF line ends.
pub(super) fn quoted_printable(text: &[u8]) -> String {
    const LINE_MAX: usize = 76;
    let mut encoded = String::with_capacity(text.len() + text.len() / 4);
    let mut column = 0;
    let mut octets = text.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        if octet == b'\r' && octets.peek() == Some(&b'\n') {
            octets.next();
            encoded += "\r\n";
            column = 0;
            continue;
        }
        // White space at the end of a line would get lost.
        let at_end = matches!(octets.peek(), None | Some(b'\r'));
        let plain = matches!(octet, b'!'..=b'<' | b'>'..=b'~') || (matches!(octet, b' ' | b'\t') && !at_end);
        let width = if plain { 1 } else { 3 };
        if column + width >= LINE_MAX {
            encoded += "=\r\n";
            column = 0;
        }
        if plain {
            encoded.push(char::from(octet));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(encoded, "={octet:02X}");
        }
        column += width;
    }
    encoded
}

/// Can the text stand in a 7-bit part as it is (RFC 2045 §2.7)? Its last line may lack its end.
pub(super) fn is_seven_bit(text: &[u8]) -> bool {
    const LINE_MAX: usize = 998;
    text.split_inclusive(|octet| *octet == b'\n').all(|line| {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        line.len() <= LINE_MAX && line.iter().all(|octet| octet.is_ascii() && !matches!(octet, 0 | b'\r' | b'\n'))
    })
}

/// An address in `utf-8-addr-xtext` (RFC 6533 §3).
pub(super) fn utf8_address(address: &str) -> String {
    let mut encoded = String::with_capacity(address.len() * 2);
    for character in address.chars() {
        if character.is_ascii_graphic() && !matches!(character, '\\' | '+' | '=') {
            encoded.push(character);
        } else {
            let _ = write!(encoded, "\\x{{{:02X}}}", u32::from(character));
        }
    }
    encoded
}

/// Text in printable ASCII.
pub(super) fn ascii(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            encoded.push(character);
        } else {
            encoded.extend(character.escape_default());
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &str) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            rest = match (*first, tail) {
                (b'=', [b'\r', b'\n', tail @ ..]) => tail,
                (b'=', [high, low, tail @ ..]) => {
                    let hex = String::from_utf8(vec![*high, *low]).unwrap();
                    octets.push(u8::from_str_radix(&hex, 16).unwrap());
                    tail
                }
                _ => {
                    octets.push(*first);
                    tail
                }
            };
        }
        octets
    }

    #[test]
    fn utf8_addresses_are_those_of_rfc_6533() {
        assert_eq!(utf8_address("j\u{fc}+x=y@b\\\u{1f600}"), "j\\x{FC}\\x{2B}x\\x{3D}y@b\\x{5C}\\x{1F600}");
        assert_eq!(ascii("a\r\n\u{fc}b"), "a\\r\\n\\u{fc}b");
    }

    #[test]
    fn what_is_seven_bit() {
        assert!(is_seven_bit(b"a\r\nb\r\n") && is_seven_bit(&[b'x'; 998]));
        for text in [&b"\xff"[..], b"\0", b"a\rb\r\n", b"a\nb\r\n", b"a\n", b"a\r", &[b'x'; 999]] {
            assert!(!is_seven_bit(text));
        }
    }

    proptest! {
        #[test]
        fn quoted_printable_is_reversible_and_seven_bit(
            octets in "([ -~\t]{0,90}|[\\PC\r\n]{0,20}|\r\n){0,6}".prop_map(String::into_bytes),
        ) {
            let encoded = quoted_printable(&octets);
            prop_assert_eq!(decode(&encoded), octets);
            prop_assert!(encoded.split("\r\n").all(|line| line.len() <= 76 && !line.ends_with([' ', '\t'])));
            prop_assert!(is_seven_bit(encoded.as_bytes()));
        }
    }
}
