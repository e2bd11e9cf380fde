//! xtext: how parameters carry octets that an esmtp-value may not hold (RFC 3461 §4), and its UTF-8 sister (RFC 6533 §3).

use std::fmt::{self, Write as _};

/// Whether it is `xtext = *( xchar / hexchar )`, with `hexchar` in capitals.
pub(crate) fn is_xtext(text: &[u8]) -> bool {
    is_xtext_or(text, |_| false)
}

/// The same, with UTF-8 as it is: the forms `utf-8-address` and `utf-8-addr-unitext` of RFC 6533 §3.
pub(crate) fn is_xtext_or_utf8(text: &[u8]) -> bool {
    is_xtext_or(text, |octet| octet >= 0x80)
}

fn is_xtext_or(text: &[u8], other: impl Fn(u8) -> bool) -> bool {
    let mut rest = text;
    while let [octet, behind @ ..] = rest {
        rest = match (octet, behind) {
            (b'+', [high, low, behind @ ..]) if hex(*high).is_some() && hex(*low).is_some() => behind,
            (b'+' | b'=', _) => return false,
            (33..=126, _) => behind,
            (&octet, _) if other(octet) => behind,
            _ => return false,
        };
    }
    true
}

/// The octets that xtext stands for. What is no xtext stands for itself.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [octet, behind @ ..] = rest {
        let (octet, behind) = match (octet, behind) {
            (b'+', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'+', behind),
            },
            (&octet, _) => (octet, behind),
        };
        octets.push(octet);
        rest = behind;
    }
    octets
}

/// Writes `octets` as xtext.
pub(crate) fn encode(octets: &[u8], output: &mut impl fmt::Write) -> fmt::Result {
    for &octet in octets {
        match octet {
            b'+' | b'=' => write!(output, "+{octet:02X}")?,
            33..=126 => output.write_char(char::from(octet))?,
            _ => write!(output, "+{octet:02X}")?,
        }
    }
    Ok(())
}

/// The text with what is not ASCII as `EmbeddedUnicodeChar`: the form `utf-8-addr-xtext` of RFC 6533 §3.
pub(crate) fn embed_unicode(text: &str) -> String {
    let mut embedded = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if character.is_ascii() {
            embedded.push(character);
        } else {
            write!(embedded, "\\x{{{:02X}}}", u32::from(character)).expect("a String grows as it is written to");
        }
    }
    embedded
}

/// The reverse of [`embed_unicode`], and of the ASCII characters that RFC 6533 §3 embeds. What is no embedded character stays.
pub(crate) fn unembed_unicode(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\\x{") {
        let (before, embedded) = rest.split_at(start);
        whole.push_str(before);
        let digits = embedded[3..].split_once('}').map(|(digits, _)| digits);
        let character = digits.filter(|digits| is_hexpoint(digits)).and_then(|digits| {
            let character = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
            Some((character, 3 + digits.len() + 1))
        });
        let (character, octets) = character.unwrap_or(('\\', 1));
        whole.push(character);
        rest = &embedded[octets..];
    }
    whole.push_str(rest);
    whole
}

/// `HEXPOINT`: 2 to 6 hexadecimal digits in capitals.
fn is_hexpoint(digits: &str) -> bool {
    (2..=6).contains(&digits.len()) && digits.bytes().all(|digit| hex(digit).is_some())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
