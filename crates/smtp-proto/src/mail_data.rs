//! Mail data on the wire: dot-stuffing both ways (RFC 5321 §4.5.2), and the one end of mail data there is.
//!
//! Mail data ends with the octets CRLF "." CRLF and with no others (§4.1.1.4); the CRLF that ends the DATA command
//! counts as the first. Lines end with CRLF and with nothing else (§2.3.8). Content with a bare CR, a bare LF or a NUL
//! is a [`ContentFault`]; the reader finds its true end all the same, and the writer lets none of it out. So no two
//! servers can disagree on where a message ends.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr_iter};

mod facts;

pub use facts::{ContentFacts, ContentScan};

/// Why content cannot be taken, or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ContentFault {
    /// A CR without LF, or a LF without CR (RFC 5321 §2.3.8).
    #[error("a CR or LF that is not part of a CRLF")]
    BareLineEnd,
    /// A NUL octet, which RFC 5322 §4 and RFC 6152 §2 exclude.
    #[error("a NUL octet")]
    Nul,
    /// More octets than the limit.
    #[error("more octets than the limit")]
    TooLong,
}

/// What an [`Unstuffer`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailDataPiece {
    /// Content with the stuffing removed: a view into the input.
    Content(Bytes),
    /// CRLF "." CRLF: the end. What follows in the input are commands.
    End,
}

/// Reads mail data: removes dot-stuffing without copying, finds the end, and checks the content on the way.
///
/// At a fault it yields no more content, but still finds the end.
#[derive(Debug)]
pub struct Unstuffer {
    at_line_start: bool,
    in_header: bool,
    line_octets: u64,
    octets_max: u64,
    facts: ContentFacts,
    fault: Option<ContentFault>,
}

impl Unstuffer {
    /// Begins behind the CRLF of the DATA command, for content of at most `octets_max` octets.
    pub fn new(octets_max: u64) -> Self {
        Self {
            at_line_start: true,
            in_header: true,
            line_octets: 0,
            octets_max,
            facts: ContentFacts::default(),
            fault: None,
        }
    }

    /// What has been found so far; complete after [`MailDataPiece::End`], if there is no fault.
    pub fn facts(&self) -> ContentFacts {
        self.facts
    }

    /// The first fault of the content.
    pub fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// The next piece at the front of `input`. `None`: more octets are needed; at most two stay in `input`.
    pub fn next_piece(&mut self, input: &mut BytesMut) -> Option<MailDataPiece> {
        loop {
            if self.at_line_start {
                match input[..] {
                    [b'.', b'\r', b'\n', ..] => {
                        input.advance(3);
                        return Some(MailDataPiece::End);
                    }
                    [b'.'] | [b'.', b'\r'] => return None,
                    [b'.', ..] => {
                        input.advance(1);
                        self.at_line_start = false;
                    }
                    _ => {}
                }
            }
            let run = self.run(input);
            if run.octets == 0 {
                return None;
            }
            let octets = input.split_to(run.octets).freeze();
            if let Some(content) = self.check(octets, &run) {
                return Some(MailDataPiece::Content(content));
            }
        }
    }

    /// Measures the octets up to the next line that begins with a dot, or to the end of what can be decided: a CR
    /// waits for the octet behind it. So the octet before `input` is never a CR that a LF could complete.
    fn run(&mut self, input: &[u8]) -> Run {
        let decided = input.len() - usize::from(input.last() == Some(&b'\r'));
        let mut run = Run::default();
        for lf in memchr_iter(b'\n', &input[..decided]) {
            if lf == 0 || input[lf - 1] != b'\r' {
                run.bare_lf = true;
                continue;
            }
            run.line_ends += 1;
            let is_empty = self.line_octets + octets(&input[run.octets..=lf]) == 2;
            self.facts.line(&mut self.line_octets, lf + 1 - run.octets, true);
            run.octets = lf + 1;
            if self.in_header {
                run.header_octets = run.octets;
                self.in_header = !is_empty;
            }
            if input.get(run.octets) == Some(&b'.') {
                self.at_line_start = true;
                return run;
            }
        }
        if decided > 0 {
            self.at_line_start = run.octets == decided;
            self.facts.line(&mut self.line_octets, decided - run.octets, false);
            run.octets = decided;
            if self.in_header {
                run.header_octets = decided;
            }
        }
        run
    }

    /// Cuts `octets` short at the first fault. `None`: no content is left of it.
    fn check(&mut self, mut octets: Bytes, run: &Run) -> Option<Bytes> {
        if self.fault.is_some() {
            return None;
        }
        if !run.is_clean(&octets) {
            let (at, fault) = first_fault(&octets);
            self.fault = Some(fault);
            octets.truncate(at);
        }
        let room = self.octets_max - self.facts.octets;
        if self::octets(&octets) > room {
            self.fault = Some(ContentFault::TooLong);
            octets.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        }
        self.facts.octets += self::octets(&octets);
        self.facts.eight_bit = self.facts.eight_bit || !octets.is_ascii();
        let header = &octets[..run.header_octets.min(octets.len())];
        self.facts.eight_bit_header = self.facts.eight_bit_header || !header.is_ascii();
        (!octets.is_empty()).then_some(octets)
    }
}

/// Octets that belong together, as far as the search for line ends has seen them.
#[derive(Default)]
struct Run {
    octets: usize,
    /// So many of them, at the front, are of the header block.
    header_octets: usize,
    line_ends: usize,
    bare_lf: bool,
}

impl Run {
    /// Whether there is no fault: each CR belongs to a line end, since there are as many of them.
    fn is_clean(&self, octets: &[u8]) -> bool {
        !self.bare_lf && memchr_iter(b'\r', octets).count() == self.line_ends && memchr(0, octets).is_none()
    }
}

/// Where the first fault stands in octets that have one.
pub(crate) fn first_fault(octets: &[u8]) -> (usize, ContentFault) {
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        match octet {
            0 => return (at, ContentFault::Nul),
            b'\r' if octets.get(at + 1) == Some(&b'\n') => at += 1,
            b'\r' | b'\n' => return (at, ContentFault::BareLineEnd),
            _ => {}
        }
        at += 1;
    }
    (octets.len(), ContentFault::BareLineEnd)
}

/// Writes mail data: puts a dot before each line that begins with one, and ends it with CRLF "." CRLF.
#[derive(Debug, Default)]
pub struct Stuffer {
    place: Place,
}

/// Where in its line the next octet stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    LineStart,
    Line,
    AfterCr,
}

impl Stuffer {
    /// The next piece of content as it goes on the wire: `content` itself where nothing has to be put in, else one
    /// copy. Lines may be cut anywhere between pieces.
    ///
    /// # Errors
    /// Content with a bare CR, a bare LF or a NUL never leaves; mail data that has begun cannot be finished then.
    pub fn stuff(&mut self, content: Bytes) -> Result<Bytes, ContentFault> {
        let Some(&last) = content.last() else {
            return Ok(content);
        };
        let dots = self.dots(&content)?;
        self.place = match last {
            b'\r' => Place::AfterCr,
            b'\n' => Place::LineStart,
            _ => Place::Line,
        };
        if dots.is_empty() {
            return Ok(content);
        }
        let mut stuffed = BytesMut::with_capacity(content.len() + dots.len());
        let mut start = 0;
        for at in dots {
            stuffed.put_slice(&content[start..at]);
            stuffed.put_u8(b'.');
            start = at;
        }
        stuffed.put_slice(&content[start..]);
        Ok(stuffed.freeze())
    }

    /// What ends the mail data: the CRLF of an unfinished last line, and the lone dot.
    ///
    /// # Errors
    /// The content ends with a bare CR.
    pub fn finish(&mut self) -> Result<&'static [u8], ContentFault> {
        match std::mem::take(&mut self.place) {
            Place::LineStart => Ok(b".\r\n"),
            Place::Line => Ok(b"\r\n.\r\n"),
            Place::AfterCr => Err(ContentFault::BareLineEnd),
        }
    }

    /// Where dots have to be put in.
    fn dots(&self, content: &[u8]) -> Result<Vec<usize>, ContentFault> {
        let mut dots = Vec::new();
        if self.place == Place::LineStart && content[0] == b'.' {
            dots.push(0);
        }
        let mut line_ends = 0;
        for lf in memchr_iter(b'\n', content) {
            let after_cr = match lf {
                0 => self.place == Place::AfterCr,
                _ => content[lf - 1] == b'\r',
            };
            if !after_cr {
                return Err(ContentFault::BareLineEnd);
            }
            line_ends += 1;
            if content.get(lf + 1) == Some(&b'.') {
                dots.push(lf + 1);
            }
        }
        // Each LF has its CR, so a CR without its LF makes one too many; so does one that the last piece has left.
        let carried = usize::from(self.place == Place::AfterCr);
        let waiting = usize::from(content.last() == Some(&b'\r'));
        if memchr_iter(b'\r', content).count() + carried != line_ends + waiting {
            return Err(ContentFault::BareLineEnd);
        }
        memchr(0, content).map_or(Ok(dots), |_| Err(ContentFault::Nul))
    }
}

fn octets(slice: &[u8]) -> u64 {
    slice.len() as u64
}

#[cfg(test)]
mod tests;
