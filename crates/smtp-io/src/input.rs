//! The input buffer: borrowed from a pool while there is something in it, so that an idle session holds none.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The room for one read at first, and the size of the buffers in the pool.
const READ_OCTETS_MIN: usize = 16 * 1024;
/// The room for one read of a peer that fills all that it is given.
const READ_OCTETS_MAX: usize = 64 * 1024;
/// How much may wait for a session that takes nothing because its peer does not read.
const WAITING_OCTETS_MAX: usize = 128 * 1024;
/// An incomplete line up to this size is kept in an allocation of its own, so that it does not hold a whole buffer.
const REMNANT_OCTETS_MAX: usize = 1024;
/// Buffers that one thread keeps for its next reads.
const POOLED_BUFFERS_MAX: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// What has been read and not yet taken by the session.
#[derive(Debug)]
pub(crate) struct Input {
    octets: BytesMut,
    /// The room for the next read: between the two limits, grows and shrinks with the traffic.
    read_octets: usize,
    /// Whether `octets` lies in a buffer made for reading, not in a remnant's own allocation.
    holds_buffer: bool,
    ended: bool,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { octets: BytesMut::new(), read_octets: READ_OCTETS_MIN, holds_buffer: false, ended: false }
    }

    /// The buffer, for the session to take from its front.
    pub(crate) fn octets(&mut self) -> &mut BytesMut {
        &mut self.octets
    }

    /// Whether the peer has ended its stream, or it broke.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn wants_more(&self) -> bool {
        !self.ended && self.octets.len() < WAITING_OCTETS_MAX
    }

    /// Forgets all that was read.
    pub(crate) fn discard(&mut self) {
        self.octets.clear();
        self.give_back();
    }

    /// Reads once: ready when octets came, or with 0 when the stream has ended. While it is pending, no buffer of the
    /// pool is held.
    pub(crate) fn poll_read<R>(&mut self, stream: &mut R, context: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        R: AsyncRead + Unpin,
    {
        self.make_room();
        let room = self.octets.capacity() - self.octets.len();
        // This future has no state of its own, so that a new one for each poll loses nothing.
        let read = pin!(stream.read_buf(&mut self.octets)).poll(context);
        match read {
            Poll::Ready(Ok(count)) => self.adapt(count, room),
            Poll::Ready(Err(_)) => self.ended = true,
            Poll::Pending => self.give_back(),
        }
        read
    }

    fn adapt(&mut self, count: usize, room: usize) {
        self.ended = count == 0;
        if count == room {
            self.read_octets = (self.read_octets * 2).min(READ_OCTETS_MAX);
        } else if count < self.read_octets / 4 {
            self.read_octets = (self.read_octets / 2).max(READ_OCTETS_MIN);
        }
    }

    fn make_room(&mut self) {
        if !self.holds_buffer {
            let remnant = std::mem::replace(&mut self.octets, take(self.read_octets));
            self.octets.extend_from_slice(&remnant);
            self.holds_buffer = true;
        } else if self.octets.capacity() - self.octets.len() < self.read_octets / 2 {
            self.octets.reserve(self.read_octets);
        }
    }

    fn give_back(&mut self) {
        if self.holds_buffer && self.octets.len() <= REMNANT_OCTETS_MAX {
            let remnant = BytesMut::from(&self.octets[..]);
            put(std::mem::replace(&mut self.octets, remnant));
            self.holds_buffer = false;
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.discard();
    }
}

fn take(read_octets: usize) -> BytesMut {
    let pooled = if read_octets == READ_OCTETS_MIN { POOL.with_borrow_mut(Vec::pop) } else { None };
    pooled.unwrap_or_else(|| BytesMut::with_capacity(read_octets))
}

/// Keeps `buffer` for another read, if nothing that was cut from it is still in use.
fn put(mut buffer: BytesMut) {
    buffer.clear();
    // Grown buffers go back to the allocator: most sessions need reads of the smallest size.
    if !buffer.try_reclaim(READ_OCTETS_MIN) || buffer.capacity() >= 2 * READ_OCTETS_MIN {
        return;
    }
    // A thread that ends has no pool any more; its buffers are then dropped with it.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < POOLED_BUFFERS_MAX {
            pool.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn poll(input: &mut Input, mut source: &[u8]) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        match input.poll_read(&mut source, &mut context) {
            Poll::Ready(read) => read.unwrap(),
            Poll::Pending => unreachable!("a slice is always ready"),
        }
    }

    fn poll_pending(input: &mut Input) {
        let (mut silent, _other) = tokio::io::duplex(64);
        let mut context = Context::from_waker(Waker::noop());
        assert!(input.poll_read(&mut silent, &mut context).is_pending());
    }

    #[test]
    fn holds_nothing_while_idle() {
        let mut input = Input::new();
        poll_pending(&mut input);
        assert_eq!(input.octets.capacity(), 0);
        assert_eq!(poll(&mut input, b"NOOP\r\n"), 6);
        input.octets().clear();
        poll_pending(&mut input);
        assert_eq!(input.octets.capacity(), 0);
    }

    #[test]
    fn an_incomplete_line_waits_in_its_own_size() {
        let mut input = Input::new();
        poll(&mut input, b"MAIL FR");
        poll_pending(&mut input);
        assert!(input.octets.capacity() <= REMNANT_OCTETS_MAX);
        poll(&mut input, b"OM:<>\r\n");
        assert_eq!(&input.octets()[..], b"MAIL FROM:<>\r\n");
    }

    #[test]
    fn reads_grow_with_the_traffic_and_shrink_again() {
        let mut input = Input::new();
        let much = vec![b'x'; READ_OCTETS_MAX * 4];
        for _ in 0..4 {
            poll(&mut input, &much);
            input.octets().clear();
        }
        assert_eq!(input.read_octets, READ_OCTETS_MAX);
        for _ in 0..4 {
            poll(&mut input, b"NOOP\r\n");
            input.octets().clear();
        }
        assert_eq!(input.read_octets, READ_OCTETS_MIN);
    }

    #[test]
    fn what_was_cut_from_a_buffer_outlives_it() {
        let mut input = Input::new();
        poll(&mut input, b"mail data");
        let cut = input.octets().split().freeze();
        poll_pending(&mut input);
        poll(&mut input, b"other data");
        assert_eq!(&cut[..], b"mail data");
    }

    #[test]
    fn stops_at_its_limit() {
        let mut input = Input::new();
        let much = vec![b'x'; READ_OCTETS_MAX];
        let mut total = 0;
        while input.wants_more() {
            total += poll(&mut input, &much);
        }
        assert!((WAITING_OCTETS_MAX..WAITING_OCTETS_MAX + 2 * READ_OCTETS_MAX).contains(&total));
    }
}
