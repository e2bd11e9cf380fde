//! Cuts lines out of the input, within a limit (RFC 5321 §2.3.8, §4.5.3.1).

use bytes::{Buf, BytesMut};
use memchr::memchr;

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line and its CRLF; the number of octets before them.
    Whole(usize),
    /// A line that ends with a bare LF; the number of octets before it, less those of a line over the limit.
    BareLf(usize),
    /// A line over the limit, read to its end and gone.
    TooLong,
}

/// Cuts lines; remembers only whether it is inside a line that is too long, and whether a CR was the last of it.
#[derive(Debug, Default)]
pub(crate) struct LineCutter {
    discarding: bool,
    after_cr: bool,
}

impl LineCutter {
    /// Looks for a line of at most `limit` octets with its line end. A line found stays in `input` until
    /// [`take`]; one that is too long is thrown away as it comes in, so never more than `limit` octets wait.
    pub(crate) fn cut(&mut self, input: &mut BytesMut, limit: usize) -> Option<Line> {
        if self.discarding {
            return self.discard(input);
        }
        let window = &input[..input.len().min(limit)];
        match memchr(b'\n', window) {
            Some(end) if end > 0 && window[end - 1] == b'\r' => Some(Line::Whole(end - 1)),
            Some(end) => Some(Line::BareLf(end)),
            None if input.len() < limit => None,
            None => self.discard(input),
        }
    }

    /// Whether the line at the front of `input` is over the limit, and nothing of it is thrown away yet: the next
    /// [`cut`](Self::cut) does that.
    pub(crate) fn is_too_long(&self, input: &[u8], limit: usize) -> bool {
        !self.discarding && input.len() >= limit && memchr(b'\n', &input[..limit]).is_none()
    }

    fn discard(&mut self, input: &mut BytesMut) -> Option<Line> {
        let end = memchr(b'\n', input);
        let octets = end.unwrap_or(input.len());
        let after_cr = input[..octets].last().map_or(self.after_cr, |last| *last == b'\r');
        input.advance(octets);
        self.discarding = end.is_none();
        self.after_cr = self.discarding && after_cr;
        end.map(|_| {
            if !after_cr {
                return Line::BareLf(0);
            }
            input.advance(1);
            Line::TooLong
        })
    }
}

/// Takes a line that [`LineCutter::cut`] has found, with its line end; the line without it is returned.
pub(crate) fn take(input: &mut BytesMut, line: &Line) -> BytesMut {
    let (octets, line_end) = match *line {
        Line::Whole(octets) => (octets, 2),
        Line::BareLf(octets) => (octets, 1),
        Line::TooLong => (0, 0),
    };
    let taken = input.split_to(octets);
    input.advance(line_end);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], limit: usize) -> Vec<String> {
        let mut cutter = LineCutter::default();
        let mut input = BytesMut::new();
        let mut found = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(line) = cutter.cut(&mut input, limit) {
                let octets = take(&mut input, &line);
                found.push(match line {
                    Line::Whole(_) => format!("whole {}", String::from_utf8_lossy(&octets)),
                    Line::BareLf(_) => format!("bare {}", String::from_utf8_lossy(&octets)),
                    Line::TooLong => "too long".to_owned(),
                });
            }
            assert!(input.len() < limit, "an incomplete line is below the limit");
        }
        found
    }

    #[test]
    fn lines_end_with_crlf_and_bare_lf_is_told() {
        let input: &[u8] = b"NOOP\r\n\r\nRSET\n\nQUIT\r";
        assert_eq!(lines(&[input, b"\n"], 64), ["whole NOOP", "whole ", "bare RSET", "bare ", "whole QUIT"]);
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_octet_more_does_not() {
        assert_eq!(lines(&[b"12345678\r\nx\r\n"], 10), ["whole 12345678", "whole x"]);
        assert_eq!(lines(&[b"123456789\r\nx\r\n"], 10), ["too long", "whole x"]);
    }

    #[test]
    fn the_cut_of_reads_does_not_matter() {
        let input = b"HELO a\r\n0123456789abcdefghij\r\nbare\n\r\r\n\n0123456789abcdefghij\nend\r\n0123456789\r\r\r\n";
        let whole = lines(&[input], 12);
        let expected = ["whole HELO a", "too long", "bare bare", "whole \r", "bare ", "bare ", "whole end", "too long"];
        assert_eq!(whole, expected);
        let octets: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(lines(&octets, 12), whole);
        for cut in 1..input.len() {
            assert_eq!(lines(&[&input[..cut], &input[cut..]], 12), whole);
        }
    }
}
