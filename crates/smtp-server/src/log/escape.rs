//! Text from peers on its way into a log line: no line end, no escape sequence, no forged field, bounded length.

use std::fmt::Write as _;

/// The most octets of one text value that a line shows.
const VALUE_OCTETS: usize = 1024;

/// Text as a JSON string, with its quotes. Beyond what JSON asks for, every control and every invisible or
/// direction-changing character is written as `\u`.
pub(super) fn json(line: &mut String, text: &str) {
    let text = bounded(text);
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if hidden(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

/// Text as the value of a field of a line for people: bare where nothing in it could be taken for another field, else
/// quoted.
pub(super) fn value(line: &mut String, text: &str) {
    if !text.is_empty() && text.len() <= VALUE_OCTETS && text.bytes().all(is_bare) {
        return line.push_str(text);
    }
    line.push('"');
    for c in bounded(text).chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            c => push_visible(line, c),
        }
    }
    line.push('"');
}

/// Text that stands without quotes at a fixed place.
pub(super) fn plain(line: &mut String, text: &str) {
    bounded(text).chars().for_each(|c| push_visible(line, c));
}

fn push_visible(line: &mut String, c: char) {
    match c {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        c if hidden(c) => {
            let _ = write!(line, "{}", c.escape_unicode());
        }
        c => line.push(c),
    }
}

fn is_bare(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"._:@/+-<>[]*,;%~".contains(&octet)
}

/// Characters that change a terminal, the line structure, or what a reader believes to see.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// At most [`VALUE_OCTETS`], cut between characters.
fn bounded(text: &str) -> &str {
    let mut end = text.len().min(VALUE_OCTETS);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
