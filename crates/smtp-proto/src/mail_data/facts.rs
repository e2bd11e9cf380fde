//! What content is, found in one reading.

use memchr::{memchr, memchr_iter};

use super::ContentFault;

/// What was found in content while it came in; dot-stuffing and the final dot do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
// Each may be found or not, whatever the others are.
#[allow(clippy::struct_excessive_bools)]
pub struct ContentFacts {
    /// The size, with the CRLF of each line: what SIZE declares (RFC 1870 §3).
    pub octets: u64,
    /// The longest line, with its CRLF: at most 1,000 where RFC 5321 §4.5.3.1.6 is kept.
    pub longest_line_octets: u64,
    /// An octet above 127 was found: what 8BITMIME is about (RFC 6152).
    pub eight_bit: bool,
    /// One was found in the header block: where SMTPUTF8 was asked for, this is what needs it (RFC 6531 §3.4).
    pub eight_bit_header: bool,
    /// A bare CR, a bare LF or a NUL was found: only BINARYMIME carries it (RFC 3030 §3), and never DATA.
    pub binary: bool,
}

impl ContentFacts {
    /// The facts of content that is wholly at hand.
    pub fn of(content: &[u8]) -> Self {
        let mut scan = ContentScan::new();
        scan.put(content);
        scan.finish();
        scan.facts()
    }

    /// Counts octets of one line; with its end it may be the longest.
    pub(super) fn line(&mut self, line_octets: &mut u64, more: usize, ended: bool) {
        *line_octets += more as u64;
        self.longest_line_octets = self.longest_line_octets.max(*line_octets);
        if ended {
            *line_octets = 0;
        }
    }
}

/// Finds the facts of content that comes in pieces, cut anywhere, without dot-stuffing: the chunks of BDAT.
///
/// ```
/// use smtp_proto::mail_data::{ContentFacts, ContentFault, ContentScan};
///
/// let mut scan = ContentScan::new();
/// scan.put(b"Subject: 1\r");
/// scan.put(b"\n\r\nbare\nLF");
/// assert_eq!(scan.fault(), Some(ContentFault::BareLineEnd));
/// scan.finish();
/// assert_eq!(scan.facts(), ContentFacts::of(b"Subject: 1\r\n\r\nbare\nLF"));
/// assert!(scan.facts().binary);
/// ```
#[derive(Clone, Debug)]
pub struct ContentScan {
    facts: ContentFacts,
    fault: Option<ContentFault>,
    in_header: bool,
    line_octets: u64,
    after_cr: bool,
}

impl Default for ContentScan {
    fn default() -> Self {
        Self::new()
    }
}

impl ContentScan {
    /// Begins before the first octet of the content.
    pub fn new() -> Self {
        Self { facts: ContentFacts::default(), fault: None, in_header: true, line_octets: 0, after_cr: false }
    }

    /// What has been found so far; complete after [`finish`](Self::finish).
    pub fn facts(&self) -> ContentFacts {
        ContentFacts { binary: self.fault.is_some(), ..self.facts }
    }

    /// What makes the content binary: unless BINARYMIME was asked for, it refuses the message.
    pub fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// Whether a CR waits for its LF: what comes next decides if it is a bare one.
    pub(crate) fn is_after_cr(&self) -> bool {
        self.after_cr
    }

    /// Looks at the next piece.
    pub fn put(&mut self, octets: &[u8]) {
        let Some(&last) = octets.last() else { return };
        if self.after_cr && octets[0] != b'\n' {
            self.found(ContentFault::BareLineEnd);
        }
        let (header_octets, bare_lf, line_ends) = self.lines(octets);
        // Each CR belongs to a line end, if there are as many of them; one may have come before, and one wait for the next piece.
        let waits = last == b'\r';
        let cr = memchr_iter(b'\r', octets).count() + usize::from(self.after_cr && octets[0] == b'\n');
        if bare_lf || cr != line_ends + usize::from(waits) {
            self.found(ContentFault::BareLineEnd);
        }
        if memchr(0, octets).is_some() {
            self.found(ContentFault::Nul);
        }
        self.after_cr = waits;
        self.facts.octets += octets.len() as u64;
        self.facts.eight_bit = self.facts.eight_bit || !octets.is_ascii();
        self.facts.eight_bit_header = self.facts.eight_bit_header || !octets[..header_octets].is_ascii();
    }

    /// The content ends here: a CR that waited for its LF is a bare one.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.after_cr) {
            self.found(ContentFault::BareLineEnd);
        }
    }

    /// Measures lines: the octets that are of the header block, whether there is a LF without its CR, and how many are with it.
    fn lines(&mut self, octets: &[u8]) -> (usize, bool, usize) {
        let (mut start, mut line_ends, mut bare_lf) = (0, 0, false);
        let mut header_octets = if self.in_header { octets.len() } else { 0 };
        for lf in memchr_iter(b'\n', octets) {
            let ends_line = if lf == 0 { self.after_cr } else { octets[lf - 1] == b'\r' };
            if !ends_line {
                bare_lf = true;
                continue;
            }
            line_ends += 1;
            let is_empty = self.line_octets + (lf + 1 - start) as u64 == 2;
            self.facts.line(&mut self.line_octets, lf + 1 - start, true);
            start = lf + 1;
            if self.in_header && is_empty {
                self.in_header = false;
                header_octets = start;
            }
        }
        self.facts.line(&mut self.line_octets, octets.len() - start, false);
        (header_octets, bare_lf, line_ends)
    }

    fn found(&mut self, fault: ContentFault) {
        self.fault.get_or_insert(fault);
    }
}
