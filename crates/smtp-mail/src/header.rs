//! The header block of a message: cut from the body as it streams in, and scanned field by field
//! (RFC 5322 §2.2), with every octet kept.
//!
//! Real mail is not always well-formed, so the rules for what is no RFC 5322 message are stated once, here:
//! - The header block ends with the first empty line. Without one, all of the content is header block.
//! - Content whose first line is no field (it begins with white space, or has no colon after a field name)
//!   has no header block: an empty line is put before it, so that fields put on top cannot swallow it.
//! - One mbox line (`From ` or `>From `) before the first field is left where it is.
//! - A line inside the block that is no field stays where it is, as a [`Field`] without a name.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memmem};

/// The usual limit of a header block, in octets: 256 KiB.
pub const HEADER_OCTETS_MAX: usize = 256 * 1024;

/// A line is at most so long, without its line end (RFC 5322 §2.1.1): what has no colon by then is no field.
const LINE_OCTETS_MAX: usize = 998;

const EMPTY_LINE: &[u8] = b"\r\n";

/// Cuts content, as it streams in, into its header block and its body.
///
/// Feed it with [`push`](Self::push), which hands on the body, and end with [`finish`](Self::finish). The
/// content has CRLF line ends only, which the sessions of smtp-proto see to. It holds the header block and
/// at most one piece more.
#[derive(Debug)]
pub struct HeaderSplitter {
    octets_max: usize,
    collected: BytesMut,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It cannot be told yet if the content begins with a field.
    Start,
    /// Inside the header block: no empty line before `searched`.
    Header { searched: usize },
    /// The body has begun, after the header block that is collected.
    Body,
    /// There is no header block; the body has begun.
    NoHeader,
}

/// The header block is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header block is longer than {octets_max} octets")]
pub struct HeaderTooLong {
    /// The limit.
    pub octets_max: usize,
}

impl HeaderSplitter {
    /// A splitter that refuses a header block of more than `octets_max` octets.
    pub fn new(octets_max: usize) -> Self {
        Self { octets_max, collected: BytesMut::new(), state: State::Start }
    }

    /// Takes the next octets of the content and returns those that belong to the body; empty while the
    /// header block goes on.
    ///
    /// # Errors
    /// The header block is too long; so is every later call.
    pub fn push(&mut self, octets: Bytes) -> Result<Bytes, HeaderTooLong> {
        self.check_length()?;
        if matches!(self.state, State::Body | State::NoHeader) {
            return Ok(octets);
        }
        self.collected.extend_from_slice(&octets);
        let body_octets = self.advance();
        let body = if body_octets <= octets.len() {
            self.collected.truncate(self.collected.len() - body_octets);
            octets.slice(octets.len() - body_octets..)
        } else {
            self.collected.split_off(self.collected.len() - body_octets).freeze()
        };
        self.check_length()?;
        Ok(body)
    }

    /// The header block, and the octets that only the end of the content has shown to be body.
    pub fn finish(self) -> (HeaderBlock, Bytes) {
        let collected = self.collected.freeze();
        match self.state {
            State::Start if !collected.is_empty() => (HeaderBlock::none(), collected),
            State::NoHeader => (HeaderBlock::none(), Bytes::new()),
            _ => (HeaderBlock(collected), Bytes::new()),
        }
    }

    fn check_length(&self) -> Result<(), HeaderTooLong> {
        if self.collected.len() > self.octets_max {
            return Err(HeaderTooLong { octets_max: self.octets_max });
        }
        Ok(())
    }

    /// Looks at what is collected; returns how many octets at its end are body.
    fn advance(&mut self) -> usize {
        if matches!(self.state, State::Start) {
            self.state = match begins_with_header(&self.collected) {
                Some(true) => State::Header { searched: 0 },
                Some(false) => State::NoHeader,
                None => State::Start,
            };
        }
        match self.state {
            State::NoHeader => self.collected.len(),
            State::Header { searched } => {
                let Some(end) = header_end(&self.collected, searched) else {
                    self.state = State::Header { searched: self.collected.len() };
                    return 0;
                };
                self.state = State::Body;
                self.collected.len() - end
            }
            State::Start | State::Body => 0,
        }
    }
}

/// Where the body begins, given that no empty line ends before `searched`.
fn header_end(octets: &[u8], searched: usize) -> Option<usize> {
    if octets.starts_with(EMPTY_LINE) {
        return Some(EMPTY_LINE.len());
    }
    let from = searched.saturating_sub(3);
    memmem::find(&octets[from..], b"\r\n\r\n").map(|at| from + at + 4)
}

/// Does the content begin with a header block? `None` if that takes more octets.
fn begins_with_header(octets: &[u8]) -> Option<bool> {
    if octets.len() < EMPTY_LINE.len() && EMPTY_LINE.starts_with(octets) {
        return None;
    }
    if octets.starts_with(EMPTY_LINE) {
        return Some(true);
    }
    for mbox_line in [&b"From "[..], b">From "] {
        if octets.len() < mbox_line.len() && mbox_line.starts_with(octets) {
            return None;
        }
        if octets.starts_with(mbox_line) {
            return match memmem::find(octets, EMPTY_LINE) {
                Some(end) => begins_with_field(&octets[end + EMPTY_LINE.len()..]),
                None => (octets.len() > LINE_OCTETS_MAX).then_some(false),
            };
        }
    }
    begins_with_field(octets)
}

/// `field-name ":"`, with the white space before the colon of RFC 5322 §4.5, on one line. `None` if that takes more
/// octets; it never takes more than a line has.
fn begins_with_field(octets: &[u8]) -> Option<bool> {
    let octets = &octets[..octets.len().min(LINE_OCTETS_MAX)];
    let name = octets.iter().take_while(|octet| is_name_octet(**octet)).count();
    let space = octets[name..].iter().take_while(|octet| is_white_space(**octet)).count();
    match octets.get(name + space) {
        Some(next) => Some(name > 0 && *next == b':'),
        None => (octets.len() == LINE_OCTETS_MAX).then_some(false),
    }
}

/// `ftext` (RFC 5322 §3.6.8).
fn is_name_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b':'
}

fn is_white_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// The header block of one message: its fields and the empty line behind them, octet for octet.
///
/// The empty line is missing where the content ends without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderBlock(Bytes);

impl HeaderBlock {
    /// The block of content that has none: just the empty line that keeps fields and body apart.
    fn none() -> Self {
        Self(Bytes::from_static(EMPTY_LINE))
    }

    /// The header block at the front of whole content in memory, and the body behind it.
    pub fn split(content: Bytes) -> (Self, Bytes) {
        let mut splitter = HeaderSplitter::new(usize::MAX);
        // No length is over the highest limit.
        let body = splitter.push(content).unwrap_or_default();
        let (header, rest) = splitter.finish();
        // One of the two is empty: what only the end shows to be body is all there is of it.
        (header, if rest.is_empty() { body } else { rest })
    }

    /// A block that has been split off before, such as the one of a queued message.
    pub fn from_bytes(octets: Bytes) -> Self {
        Self(octets)
    }

    /// The octets of the block.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The octets of the block.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The fields in order, up to the empty line.
    pub fn fields(&self) -> Fields<'_> {
        Fields { rest: &self.0 }
    }

    /// The first field of that name; names are compared without case.
    pub fn find<'a>(&'a self, name: &'a str) -> Option<Field<'a>> {
        self.named(name).next()
    }

    /// All fields of that name, in order.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Field<'a>> {
        self.fields().filter(move |field| field.is(name))
    }

    /// The block without the fields of that name; all else stays, octet for octet.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        if self.find(name).is_none() {
            return self.clone();
        }
        let mut block = BytesMut::with_capacity(self.0.len());
        let mut octets = 0;
        for field in self.fields() {
            octets += field.as_bytes().len();
            if !field.is(name) {
                block.extend_from_slice(field.as_bytes());
            }
        }
        block.extend_from_slice(&self.0[octets..]);
        Self(block.freeze())
    }

    /// The block with complete fields, each with its CRLF, put on top.
    #[must_use]
    pub fn with_on_top(&self, fields: &[u8]) -> Self {
        let mut block = BytesMut::with_capacity(fields.len() + self.0.len());
        block.extend_from_slice(fields);
        block.extend_from_slice(&self.0);
        Self(block.freeze())
    }
}

/// The fields of a header block in order.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || self.rest.starts_with(EMPTY_LINE) {
            return None;
        }
        let mut end = line_octets(self.rest);
        while self.rest.get(end).is_some_and(|octet| is_white_space(*octet)) {
            end += line_octets(&self.rest[end..]);
        }
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Field(field))
    }
}

fn line_octets(octets: &[u8]) -> usize {
    memchr(b'\n', octets).map_or(octets.len(), |at| at + 1)
}

/// One field with its continuation lines, or one line that is no field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a>(&'a [u8]);

impl<'a> Field<'a> {
    /// All octets of the field, with the CRLF at its end where there is one.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The name as it is written; `None` for a line that is no field.
    pub fn name(self) -> Option<&'a str> {
        let (name, _) = self.parts()?;
        std::str::from_utf8(name).ok()
    }

    /// Is this a field of that name, whatever the case?
    pub fn is(self, name: &str) -> bool {
        self.parts().is_some_and(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// What follows the colon, folds and all; for a line that is no field, the line.
    pub fn value(self) -> &'a [u8] {
        self.parts().map_or(self.0, |(_, value)| value)
    }

    /// The value on one line, without white space at its ends, and with U+FFFD for what is no UTF-8.
    pub fn text(self) -> Cow<'a, str> {
        let value = self.value().trim_ascii();
        if memchr(b'\n', value).is_none() {
            return String::from_utf8_lossy(value);
        }
        // Unfolding takes out the line end and leaves the white space behind it (RFC 5322 §2.2.3).
        let unfolded: Vec<u8> = value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        Cow::Owned(String::from_utf8_lossy(&unfolded).into_owned())
    }

    fn parts(self) -> Option<(&'a [u8], &'a [u8])> {
        if begins_with_field(self.0) != Some(true) {
            return None;
        }
        let colon = memchr(b':', self.0)?;
        Some((self.0[..colon].trim_ascii_end(), &self.0[colon + 1..]))
    }
}

#[cfg(test)]
mod tests;
