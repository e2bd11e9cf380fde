//! The output not yet written: pieces that wait together leave together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// How much is taken from the session for one group of writes.
const GROUP_OCTETS_MAX: usize = 64 * 1024;
/// How many pieces go into one `writev`, and into one group.
const GROUP_PIECES_MAX: usize = 32;

/// Pieces in the order in which they leave.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pieces: VecDeque<Bytes>,
    octets: usize,
    /// Whether something was written that the stream may still hold: TLS has a buffer of its own.
    unflushed: bool,
}

impl Output {
    /// Whether all of it has left.
    pub(crate) fn is_done(&self) -> bool {
        self.pieces.is_empty() && !self.unflushed
    }

    /// Takes pieces from `next` until it has no more, or a group is complete. To be called only when the last group is
    /// done: only then does `next` learn of progress.
    pub(crate) fn fill(&mut self, mut next: impl FnMut() -> Option<Bytes>) {
        while self.octets < GROUP_OCTETS_MAX && self.pieces.len() < GROUP_PIECES_MAX {
            let Some(piece) = next() else { break };
            if !piece.is_empty() {
                self.octets += piece.len();
                self.pieces.push_back(piece);
            }
        }
    }

    /// Forgets what is left; nobody will read it.
    pub(crate) fn discard(&mut self) {
        *self = Self::default();
    }

    /// Writes until all has left.
    pub(crate) fn poll_write<W>(&mut self, stream: &mut W, context: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while !self.pieces.is_empty() {
            let count = ready!(self.poll_write_some(stream, context))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(count);
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_some<W>(&self, stream: &mut W, context: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        W: AsyncWrite + Unpin,
    {
        if let [piece] = self.pieces.as_slices().0
            && self.pieces.len() == 1
        {
            return Pin::new(stream).poll_write(context, piece);
        }
        let mut slices = [IoSlice::new(&[]); GROUP_PIECES_MAX];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        Pin::new(stream).poll_write_vectored(context, &slices[..count])
    }

    fn advance(&mut self, mut count: usize) {
        self.octets -= count;
        while let Some(piece) = self.pieces.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
        // An idle session keeps no room for a group.
        if self.pieces.capacity() > 4 {
            self.pieces = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::task::Waker;
    use tokio::io::AsyncReadExt;

    proptest! {
        #[test]
        fn order_and_octets_are_kept_whatever_the_stream_takes(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..80),
            room in 1usize..300,
        ) {
            let expected = pieces.concat();
            let mut waiting: VecDeque<Bytes> = pieces.into_iter().map(Bytes::from).collect();
            let (mut near, mut far) = tokio::io::duplex(room);
            let mut output = Output::default();
            let mut context = Context::from_waker(Waker::noop());
            let mut received = Vec::new();
            while received.len() < expected.len() {
                if output.is_done() {
                    output.fill(|| waiting.pop_front());
                }
                let _ = output.poll_write(&mut near, &mut context);
                let mut part = [0; 64];
                if let Poll::Ready(read) = std::pin::pin!(far.read(&mut part)).poll(&mut context) {
                    received.extend_from_slice(&part[..read.unwrap()]);
                }
            }
            prop_assert_eq!(received, expected);
        }
    }

    #[test]
    fn a_group_has_a_limit() {
        let mut output = Output::default();
        output.fill(|| Some(Bytes::from_static(b"x")));
        assert_eq!(output.pieces.len(), GROUP_PIECES_MAX);
        output.discard();
        output.fill(|| Some(Bytes::from(vec![0; GROUP_OCTETS_MAX])));
        assert_eq!(output.pieces.len(), 1);
    }
}
