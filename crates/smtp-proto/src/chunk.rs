//! Content that comes by BDAT: counted octets, and none of them is looked at to find an end (RFC 3030 §2).

use bytes::{Bytes, BytesMut};

use crate::mail_data::{self, ContentFacts, ContentFault, ContentScan};

/// What a [`ChunkReader`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChunkPiece {
    /// Content: a view into the input.
    Content(Bytes),
    /// The chunk has come wholly. What follows in the input are commands.
    End,
}

/// Reads the chunks of one message, and checks the content on the way: a line end may be cut by the end of a chunk.
///
/// At a fault it yields no more content, but still finds the end of the chunk. Binary content has no faults (RFC 3030
/// §3).
#[derive(Debug, Default)]
pub(crate) struct ChunkReader {
    scan: ContentScan,
    binary: bool,
    fault: Option<ContentFault>,
    /// Octets of this chunk that have not come.
    left: u64,
}

impl ChunkReader {
    /// For content of any octets.
    pub(crate) fn binary() -> Self {
        Self { binary: true, ..Self::default() }
    }

    /// Begins the next chunk, behind the CRLF of its BDAT command.
    pub(crate) fn begin(&mut self, octets: u64) {
        self.left = octets;
    }

    /// Octets of this chunk that have not come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// What has been found so far; complete after [`finish`](Self::finish), if there is no fault.
    pub(crate) fn facts(&self) -> ContentFacts {
        self.scan.facts()
    }

    /// The first fault of the content.
    pub(crate) fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// The last chunk has come wholly: the content ends here, and a CR that waited for its LF is a bare one.
    pub(crate) fn finish(&mut self) {
        self.scan.finish();
        self.fault = self.fault.or(self.scan_fault());
    }

    /// The next piece at the front of `input`. `None`: more octets are needed; at most one stays in `input`.
    pub(crate) fn next_piece(&mut self, input: &mut BytesMut) -> Option<ChunkPiece> {
        if self.left == 0 {
            return Some(ChunkPiece::End);
        }
        let here = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        // A CR waits for the octet behind it, so that what is told of a fault does not depend on how the input was cut.
        let waits = !self.binary && here > 0 && input[here - 1] == b'\r' && (here as u64) < self.left;
        let octets = input.split_to(here - usize::from(waits)).freeze();
        self.left -= octets.len() as u64;
        match self.check(octets) {
            Some(content) => Some(ChunkPiece::Content(content)),
            None if self.left == 0 => Some(ChunkPiece::End),
            None => None,
        }
    }

    /// Cuts `octets` short at the first fault. `None`: no content is left of it.
    fn check(&mut self, mut octets: Bytes) -> Option<Bytes> {
        if self.fault.is_some() {
            return None;
        }
        let after_cr = self.scan.is_after_cr();
        self.scan.put(&octets);
        if self.scan_fault().is_some() {
            let (at, fault) = first_fault(after_cr, &octets);
            self.fault = Some(fault);
            octets.truncate(at);
        }
        (!octets.is_empty()).then_some(octets)
    }

    fn scan_fault(&self) -> Option<ContentFault> {
        self.scan.fault().filter(|_| !self.binary)
    }
}

/// Where the first fault stands in octets that have one, behind a CR that waits for its LF or not.
fn first_fault(after_cr: bool, octets: &[u8]) -> (usize, ContentFault) {
    match octets {
        [b'\n', rest @ ..] if after_cr => {
            let (at, fault) = mail_data::first_fault(rest);
            (at + 1, fault)
        }
        _ if after_cr => (0, ContentFault::BareLineEnd),
        _ => mail_data::first_fault(octets),
    }
}

/// Takes what has come of a chunk that nobody reads, and says how many of its octets are still to come.
pub(crate) fn swallow(left: u64, input: &mut BytesMut) -> u64 {
    let here = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
    let _ = input.split_to(here);
    left - here as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of chunks whose octets arrive `step` at a time.
    fn read(chunks: &[&[u8]], step: usize) -> (Vec<u8>, Option<ContentFault>, ContentFacts) {
        let mut reader = ChunkReader::default();
        let mut content = Vec::new();
        for chunk in chunks {
            reader.begin(chunk.len() as u64);
            let mut input = BytesMut::new();
            let mut coming = chunk.chunks(step);
            loop {
                match reader.next_piece(&mut input) {
                    Some(ChunkPiece::Content(octets)) => content.extend_from_slice(&octets),
                    Some(ChunkPiece::End) => break,
                    None => input.extend_from_slice(coming.next().expect("the end of the chunk is found")),
                }
            }
            assert!(input.is_empty(), "all of the chunk is taken");
        }
        reader.finish();
        (content, reader.fault(), reader.facts())
    }

    #[test]
    fn chunks_are_content_as_it_stands() {
        let content: &[u8] = b"Subject: 1\r\n\r\n.lead\r\n.\r\nno end";
        for at in 0..=content.len() {
            for step in [1, 2, 5, 100] {
                let (front, back) = content.split_at(at);
                let read = read(&[front, back, b""], step);
                assert_eq!(read, (content.to_vec(), None, ContentFacts::of(content)), "cut at {at}, step {step}");
            }
        }
    }

    #[test]
    fn a_fault_is_the_same_however_the_octets_come() {
        type Case<'a> = (&'a [&'a [u8]], &'a [u8], ContentFault);
        let cases: [Case<'_>; 6] = [
            (&[b"a\rb\0"], b"a", ContentFault::BareLineEnd),
            (&[b"a\0b\r"], b"a", ContentFault::Nul),
            (&[b"ab\ncd"], b"ab", ContentFault::BareLineEnd),
            (&[b"a\r", b"b"], b"a\r", ContentFault::BareLineEnd),
            (&[b"a\r\r", b"\n"], b"a", ContentFault::BareLineEnd),
            (&[b"a\r\nb\r", b""], b"a\r\nb\r", ContentFault::BareLineEnd),
        ];
        for (chunks, content, fault) in cases {
            for step in [1, 2, 3, 100] {
                let (read, found, _) = read(chunks, step);
                assert_eq!((&read[..], found), (content, Some(fault)), "{chunks:?}, step {step}");
            }
        }
    }

    #[test]
    fn a_chunk_that_is_swallowed_takes_no_octet_more() {
        let mut input = BytesMut::from(&b"12345NOOP"[..]);
        assert_eq!(swallow(3, &mut input), 0);
        assert_eq!(&input[..], b"45NOOP");
        assert_eq!(swallow(u64::MAX, &mut input), u64::MAX - 6);
        assert!(input.is_empty());
    }
}
