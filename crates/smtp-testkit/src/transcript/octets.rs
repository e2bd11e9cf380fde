//! How octets are written in a transcript.

/// Reads octets as they are written.
pub(super) fn read_octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (read, length) = match first {
            '\\' => escape(&rest[1..]),
            '{' => repetition(rest).unwrap_or((b"{".to_vec(), 1)),
            _ => (rest.as_bytes()[..first.len_utf8()].to_vec(), first.len_utf8()),
        };
        octets.extend_from_slice(&read);
        rest = &rest[length..];
    }
    octets
}

/// What stands behind a backslash, and the length of both.
fn escape(rest: &str) -> (Vec<u8>, usize) {
    let octet = match rest.as_bytes() {
        [b'r', ..] => b'\r',
        [b'n', ..] => b'\n',
        [b't', ..] => b'\t',
        [b'0', ..] => 0,
        [b'x', ..] => {
            let octet = rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            return (vec![octet.expect("two hexadecimal digits follow \\x")], 4);
        }
        [other, ..] if other.is_ascii() => *other,
        _ => panic!("nothing stands behind a backslash"),
    };
    (vec![octet], 2)
}

/// `{3000*a}`, and its length.
fn repetition(rest: &str) -> Option<(Vec<u8>, usize)> {
    let end = rest.find('}')?;
    let (count, unit) = rest[1..end].split_once('*')?;
    Some((read_octets(unit).repeat(count.parse().ok()?), end + 1))
}

/// Writes octets so that [`read_octets`] reads them back. UTF-8 is left as it is.
pub(super) fn write_octets(octets: &[u8]) -> String {
    let mut text = String::new();
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\0' => text.push_str("\\0"),
                '\r' | '\n' | '\t' => text.extend(character.escape_default()),
                character if character.is_control() => {
                    text.extend(character.to_string().bytes().map(|octet| format!("\\x{octet:02x}")));
                }
                character => text.push(character),
            }
        }
        text.extend(chunk.invalid().iter().map(|octet| format!("\\x{octet:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_and_repetitions_are_read() {
        assert_eq!(read_octets(r"a\r\n\0\x80\\{3*xy}{"), b"a\r\n\0\x80\\xyxyxy{");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(octets: Vec<u8>) {
            prop_assume!(!octets.contains(&b'{'));
            prop_assert_eq!(read_octets(&write_octets(&octets)), octets);
        }
    }
}
