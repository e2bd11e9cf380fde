//! Spans, sizes, addresses, and text that is safe to show.

use std::fmt::Write as _;
use std::io::{self, Write};

use jiff::Timestamp;

/// The time between two moments, in its largest unit: "12s", "4m", "3h", "2d".
pub(super) fn span(one: Timestamp, other: Timestamp) -> String {
    seconds(one.as_second().abs_diff(other.as_second()))
}

/// A number of seconds in its largest unit.
pub(super) fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A number of octets, to three digits or so.
pub(super) fn octets(octets: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if octets < 1024 {
        return format!("{octets} B");
    }
    let (mut whole, mut rest, mut unit) = (octets / 1024, octets % 1024, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        (whole, rest, unit) = (whole / 1024, whole % 1024, unit + 1);
    }
    if whole < 10 {
        format!("{whole}.{} {}", rest * 10 / 1024, UNITS[unit])
    } else {
        format!("{whole} {}", UNITS[unit])
    }
}

/// A path as people know it: without brackets, but for the null reverse-path.
pub(super) fn path(path: &str) -> String {
    if path.is_empty() { "<>".to_owned() } else { visible(path) }
}

/// RFC 3339 to the second, UTC.
pub(super) fn rfc3339(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// The text with everything that could act on a terminal, break the line or turn the writing around shown as an escape.
pub(super) fn visible(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            // Writing into a String does not fail.
            let _ = write!(output, "{}", c.escape_default());
        } else {
            output.push(c);
        }
    }
    output
}

fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Passes on the content of a message to a terminal, and shows its control octets in caret notation: a message must not
/// be able to steer the terminal that it is read on.
pub(crate) struct TerminalFilter<W> {
    output: W,
    /// The last octet was C2, which makes an octet from 80 to 9F a control character of UTF-8.
    after_c2: bool,
}

impl<W: Write> TerminalFilter<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output, after_c2: false }
    }
}

impl<W: Write> Write for TerminalFilter<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut shown = Vec::with_capacity(octets.len());
        for &octet in octets {
            match octet {
                b'\n' | b'\r' | b'\t' | b' '..=b'~' => shown.push(octet),
                0..b' ' | 0x7f => shown.extend([b'^', octet ^ 0x40]),
                0x80..=0x9f if self.after_c2 => shown.extend(b"?"),
                _ => shown.push(octet),
            }
            self.after_c2 = octet == 0xc2;
        }
        self.output.write_all(&shown)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
