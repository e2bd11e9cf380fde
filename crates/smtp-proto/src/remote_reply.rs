//! Replies of other servers: any octets, bounded, never parsed again (RFC 5321 §4.2).

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::limits::Limits;
use crate::reply::{ReplyClass, ReplyCode};
use crate::status::EnhancedStatus;
use crate::syntax::reply::{ReplyLine, leading_status, reply_line};

/// A reply of another server, as it came.
///
/// The text may hold any octets but LF. It is data: shown only escaped, and never read as anything but text. A clone is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteReply {
    code: ReplyCode,
    status: Option<EnhancedStatus>,
    /// The lines with their codes, each ended by CRLF.
    octets: Bytes,
}

impl RemoteReply {
    /// Reads a whole reply, as [`RemoteReply::as_bytes`] gives it: to read back what was stored.
    pub fn parse(octets: &[u8]) -> Result<Self, ReadReplyError> {
        let mut input = BytesMut::from(octets);
        let mut reader = ReplyReader::with_limits(octets.len(), usize::MAX);
        match reader.read(&mut input)? {
            Some(reply) if input.is_empty() => Ok(reply),
            _ => Err(ReadReplyError::Malformed),
        }
    }

    /// The lines with their codes, each ended by CRLF.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets
    }

    /// The code, the same on all lines.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code of the first line, if it is there and of the code's class.
    pub fn status(&self) -> Option<EnhancedStatus> {
        self.status
    }

    /// What the reply says about the command, by the first digit of its code (RFC 5321 §4.3.2).
    pub fn class(&self) -> ReplyClass {
        self.code.class()
    }

    /// Whether this, in reply to RCPT, puts the recipient off to another transaction since one cannot have so many: 452, and 552
    /// which older servers say instead (RFC 5321 §4.5.3.1.10).
    pub fn is_too_many_recipients(&self) -> bool {
        matches!(self.code.number(), 452 | 552)
    }

    /// The text of each line, behind the code.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.octets
            .split(|&octet| octet == b'\n')
            .filter_map(|line| reply_line(without_cr(line)).ok())
            .map(|(_, line)| line.text)
    }

    /// The whole reply on one line of printable ASCII, of at most so many octets, ended by `...` where it was cut.
    ///
    /// A backslash is doubled, other octets become `\xNN`. An enhanced status code that comes again on a later line is left out.
    pub fn escaped(&self, max_octets: usize) -> String {
        let mut text = self.code.to_string();
        for (number, line) in self.lines().enumerate() {
            let line = match leading_status(line) {
                Some((status, after)) if number > 0 && Some(status) == self.status => after,
                _ => line,
            };
            if !line.is_empty() {
                text.push(' ');
                text.extend(line.iter().flat_map(|&octet| escape(octet)));
            }
            if text.len() > max_octets {
                text.truncate(max_octets.saturating_sub(3));
                text.push_str(&"..."[..max_octets.min(3)]);
                break;
            }
        }
        text
    }
}

impl fmt::Debug for RemoteReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.escaped(usize::MAX))
    }
}

/// Why what a server sent is not a reply. The connection is of no use after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadReplyError {
    /// A line does not begin with a code, or the reply does not end.
    #[error("malformed reply")]
    Malformed,
    /// The lines of one reply have different codes.
    #[error("reply that begins with {first} and goes on with {then}")]
    CodeChanged {
        /// The code of the first line.
        first: ReplyCode,
        /// The other one.
        then: ReplyCode,
    },
    /// More lines than permitted.
    #[error("reply of more than {limit} lines")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// More octets than permitted.
    #[error("reply of more than {limit} octets")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

/// Gathers the lines of one reply after the other from a stream of octets.
#[derive(Debug)]
pub struct ReplyReader {
    octets_max: usize,
    lines_max: usize,
    /// The code of the lines so far, and whether the first had an enhanced status code.
    begun: Option<(ReplyCode, Option<EnhancedStatus>)>,
    lines: usize,
    octets: Vec<u8>,
    /// Octets of the reply taken from the input so far.
    taken: usize,
    /// So many octets at the front of the input are known to hold no LF.
    searched: usize,
}

impl ReplyReader {
    /// A reader that takes replies within [`Limits::reply_octets`] and [`Limits::reply_lines`].
    pub fn new(limits: &Limits) -> Self {
        Self::with_limits(limits.reply_octets, limits.reply_lines)
    }

    fn with_limits(octets_max: usize, lines_max: usize) -> Self {
        Self { octets_max, lines_max, begun: None, lines: 0, octets: Vec::new(), taken: 0, searched: 0 }
    }

    /// Takes the lines of one reply from the front of `input`: the reply when its last line is there, `None` while more is awaited.
    ///
    /// An incomplete line is left in `input`, and what came in must be added behind it. A line may end with LF alone: a reply has no end that
    /// could be mistaken.
    ///
    /// # Errors
    ///
    /// What is wrong with the reply. Nothing that comes after it can be understood.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<RemoteReply>, ReadReplyError> {
        while let Some(end) = self.find_line_end(input)? {
            let line = &input[..end];
            let parsed = reply_line(without_cr(line)).map_err(|_| ReadReplyError::Malformed);
            let last = parsed.and_then(|(_, line)| self.take_line(line))?;
            input.advance(end + 1);
            self.taken += end + 1;
            if last {
                return Ok(self.finish());
            }
        }
        Ok(None)
    }

    fn find_line_end(&mut self, input: &[u8]) -> Result<Option<usize>, ReadReplyError> {
        let unsearched = input.get(self.searched..).unwrap_or_default();
        let end = memchr::memchr(b'\n', unsearched).map(|at| self.searched + at);
        self.searched = if end.is_some() { 0 } else { input.len() };
        let octets = self.taken + end.map_or(input.len(), |end| end + 1);
        if octets > self.octets_max {
            return Err(ReadReplyError::TooLong { limit: self.octets_max });
        }
        Ok(end)
    }

    /// Adds a line to the reply, and says whether it was the last.
    fn take_line(&mut self, line: ReplyLine<'_>) -> Result<bool, ReadReplyError> {
        let status = || {
            leading_status(line.text)
                .map(|(status, _)| status)
                .filter(|status| status.class().agrees_with(line.code.class()))
        };
        let (first, _) = *self.begun.get_or_insert_with(|| (line.code, status()));
        if first != line.code {
            return Err(ReadReplyError::CodeChanged { first, then: line.code });
        }
        self.lines += 1;
        if self.lines > self.lines_max {
            return Err(ReadReplyError::TooManyLines { limit: self.lines_max });
        }
        let [first, second, third] = line.code.digits();
        let separator = if line.last { b' ' } else { b'-' };
        self.octets.reserve_exact(b"250-\r\n".len() + line.text.len());
        self.octets.extend_from_slice(&[first, second, third, separator]);
        self.octets.extend_from_slice(line.text);
        self.octets.extend_from_slice(b"\r\n");
        Ok(line.last)
    }

    fn finish(&mut self) -> Option<RemoteReply> {
        let (code, status) = self.begun.take()?;
        self.lines = 0;
        self.taken = 0;
        let octets = std::mem::take(&mut self.octets).into_boxed_slice().into();
        Some(RemoteReply { code, status, octets })
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Printable ASCII for one octet, a backslash doubled.
fn escape(octet: u8) -> impl Iterator<Item = char> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let hex = |nibble: u8| HEX[usize::from(nibble)];
    let (octets, length) = match octet {
        b'\\' => ([b'\\', b'\\', 0, 0], 2),
        b' '..=b'~' => ([octet, 0, 0, 0], 1),
        _ => ([b'\\', b'x', hex(octet >> 4), hex(octet & 0xf)], 4),
    };
    octets.into_iter().take(length).map(char::from)
}

#[cfg(test)]
mod tests;
