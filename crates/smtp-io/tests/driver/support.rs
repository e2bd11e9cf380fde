//! A session that knows lines and nothing else, and sockets to drive it over.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use smtp_proto::{Deadline, Session, Timer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Line(String),
    /// All that was said has been taken by the driver.
    Drained,
    Eof,
    TimedOut,
}

/// Takes lines, says octets, and takes nothing while more than a limit waits to be said.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) deadline: Option<Instant>,
    pub(crate) tells_drained: bool,
    /// Throws away what is no line.
    pub(crate) takes_all: bool,
    pub(crate) waiting: VecDeque<Bytes>,
    pub(crate) drained: bool,
}

impl Lines {
    const WAITING_PIECES_MAX: usize = 8;

    pub(crate) fn say(&mut self, octets: impl Into<Bytes>) {
        self.waiting.push_back(octets.into());
        self.drained = false;
    }
}

impl Session for Lines {
    type Event = Event;

    fn handle_input(&mut self, _now: Instant, input: &mut BytesMut) -> Option<Event> {
        if std::mem::take(&mut self.drained) && self.tells_drained {
            return Some(Event::Drained);
        }
        if self.waiting.len() >= Self::WAITING_PIECES_MAX {
            return None;
        }
        let end = input.iter().position(|&octet| octet == b'\n');
        if end.is_none() && self.takes_all {
            input.clear();
        }
        let end = end?;
        let line = input.split_to(end + 1);
        Some(Event::Line(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }

    fn handle_eof(&mut self) -> Option<Event> {
        Some(Event::Eof)
    }

    fn handle_timeout(&mut self, now: Instant) -> Option<Event> {
        self.deadline.take_if(|at| *at <= now).map(|_| Event::TimedOut)
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<Bytes> {
        let piece = self.waiting.pop_front();
        self.drained = piece.is_none();
        piece
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.deadline.map(|at| Deadline { at, reason: Timer::Command })
    }
}

/// Two ends of one connection.
pub(crate) async fn ends() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// Two ends that hold next to nothing for a reader that does not read.
pub(crate) async fn narrow_ends() -> (TcpStream, TcpStream) {
    let narrow = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        socket
    };
    let listener = narrow();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let (near, far) = tokio::join!(narrow().connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}
