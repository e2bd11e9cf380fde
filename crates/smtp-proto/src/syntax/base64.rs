//! Base64 as SASL exchanges are written in (RFC 4648 §4, RFC 4954 §4): no line ends, no white space, padding where it must be.

use bytes::{BufMut, BytesMut};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD: u8 = b'=';

/// Writes `octets`.
pub(crate) fn encode(octets: &[u8], output: &mut BytesMut) {
    output.reserve(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0, |bits, &octet| bits << 8 | u32::from(octet)) << (8 * (3 - group.len()));
        for place in 0..4 {
            output.put_u8(if place > group.len() { PAD } else { ALPHABET[(bits >> (18 - 6 * place) & 63) as usize] });
        }
    }
}

/// Reads all of `text`, or says at which octet it is wrong.
///
/// One value has one text: padding is neither left out nor put elsewhere, and no bit is set that belongs to no octet (RFC 4648 §3.5).
pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, usize> {
    let digits = text.len() - text.iter().rev().take(2).take_while(|&&octet| octet == PAD).count();
    if !text.len().is_multiple_of(4) {
        return Err(text.len());
    }
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    let mut bits = 0_u32;
    for (at, &digit) in text[..digits].iter().enumerate() {
        bits = bits << 6 | value(digit).ok_or(at)?;
        if at % 4 == 3 {
            octets.extend_from_slice(&bits.to_be_bytes()[1..]);
            bits = 0;
        }
    }
    match (digits % 4, bits) {
        (0, _) => Ok(octets),
        (2, bits) if bits.trailing_zeros() >= 4 => {
            octets.extend_from_slice(&(bits >> 4).to_be_bytes()[3..]);
            Ok(octets)
        }
        (3, bits) if bits.trailing_zeros() >= 2 => {
            octets.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]);
            Ok(octets)
        }
        _ => Err(digits - 1),
    }
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests;
