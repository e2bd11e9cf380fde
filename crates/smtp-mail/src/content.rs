//! The content of a message (RFC 5321 §2.3.1): its header block in memory, its body wherever it lies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

/// Header block and body of one message, octet for octet as they leave. Clones share both.
#[derive(Debug, Clone)]
pub struct Content {
    header: Bytes,
    body: Body,
}

/// Where the body of a message lies.
#[derive(Debug, Clone)]
pub enum Body {
    /// In memory.
    Memory(Bytes),
    /// A stretch of a file, which stays readable as long as this value lives, also when its name is gone.
    File {
        /// The open file.
        file: Arc<File>,
        /// Where the body begins, in octets.
        offset: u64,
        /// Its length.
        octets: u64,
    },
}

impl Content {
    /// Content of a header block, with the empty line that ends it, and a body.
    pub fn new(header: Bytes, body: Body) -> Self {
        Self { header, body }
    }

    /// The header block, up to and with the empty line that ends it.
    pub fn header(&self) -> &Bytes {
        &self.header
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The length of the body, in octets.
    pub fn body_octets(&self) -> u64 {
        self.body.octets()
    }

    /// The length of header block and body together, in octets.
    pub fn octets(&self) -> u64 {
        self.header.len() as u64 + self.body.octets()
    }

    /// At most `at_most` octets from `position` of the whole content; empty at its end only. What is in
    /// memory is shared, not copied. May read from disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it must be ([`io::ErrorKind::UnexpectedEof`]).
    ///
    /// # Panics
    /// If `at_most` is zero: the end could not be told from a want of room.
    pub fn chunk(&self, position: u64, at_most: usize) -> io::Result<Bytes> {
        assert!(at_most > 0, "a chunk has room for at least one octet");
        let header_octets = self.header.len() as u64;
        if position < header_octets {
            return Ok(cut(&self.header, position, at_most));
        }
        self.body.chunk(position - header_octets, at_most)
    }
}

impl Body {
    /// The length of the body, in octets.
    pub fn octets(&self) -> u64 {
        match self {
            Self::Memory(octets) => octets.len() as u64,
            Self::File { octets, .. } => *octets,
        }
    }

    /// At most `at_most` octets from `position` of the body; empty at its end. See [`Content::chunk`].
    pub fn chunk(&self, position: u64, at_most: usize) -> io::Result<Bytes> {
        match self {
            Self::Memory(octets) => Ok(cut(octets, position, at_most)),
            Self::File { file, offset, octets } => {
                let rest = octets.saturating_sub(position);
                let length = usize::try_from(rest).map_or(at_most, |rest| rest.min(at_most));
                if length == 0 {
                    return Ok(Bytes::new());
                }
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, offset + position)?;
                Ok(buffer.into())
            }
        }
    }
}

fn cut(octets: &Bytes, position: u64, at_most: usize) -> Bytes {
    let start = usize::try_from(position).map_or(octets.len(), |start| start.min(octets.len()));
    let end = octets.len().min(start.saturating_add(at_most));
    octets.slice(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read_all(content: &Content, at_most: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let chunk = content.chunk(all.len() as u64, at_most).unwrap();
            assert!(chunk.len() <= at_most);
            if chunk.is_empty() {
                return all;
            }
            all.extend_from_slice(&chunk);
        }
    }

    fn file(octets: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(octets).unwrap();
        Arc::new(file)
    }

    #[test]
    fn any_cut_gives_the_same_octets() {
        let header = Bytes::from_static(b"A: b\r\n\r\n");
        let in_memory = Body::Memory(Bytes::from_static(b"hello\r\nworld\r\n"));
        let file = file(b"before hello\r\nworld\r\nafter");
        let in_file = Body::File { file, offset: 7, octets: 14 };
        for body in [in_memory, in_file] {
            let content = Content::new(header.clone(), body);
            assert_eq!((content.octets(), content.body_octets()), (22, 14));
            for at_most in [1, 3, 8, 9, 22, 100] {
                assert_eq!(read_all(&content, at_most), b"A: b\r\n\r\nhello\r\nworld\r\n");
            }
            assert!(content.chunk(u64::MAX, 1).unwrap().is_empty());
        }
    }

    #[test]
    fn nothing_is_copied_from_memory() {
        let octets = Bytes::from_static(b"body");
        let content = Content::new(Bytes::new(), Body::Memory(octets.clone()));
        assert_eq!(content.chunk(0, 4).unwrap().as_ptr(), octets.as_ptr());
    }

    #[test]
    fn a_file_that_is_too_short_is_an_error() {
        let body = Body::File { file: file(b"ab"), offset: 0, octets: 3 };
        let error = Content::new(Bytes::new(), body).chunk(0, 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
