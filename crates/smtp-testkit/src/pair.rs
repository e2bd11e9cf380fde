//! A client session and a server session that talk in memory, on a simulated clock, over a link with cuts, delays,
//! narrow windows and lost ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use smtp_proto::client::{self, ClientConfig, ClientSession};
use smtp_proto::server::{self, ServerConfig, ServerSession};
use smtp_proto::{
    ContentFacts, EnhancedStatus, Envelope, Extensions, ForwardPath, Limits, Rcpt, Reply, ReplyClass, ReplyCode,
    Session, TlsFacts,
};

/// A message as one side gives it and the other takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who it is from and for.
    pub envelope: Envelope,
    /// Its content.
    pub content: Vec<u8>,
}

/// What the link and the sides are like.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// For all that is random: one seed is one course of events.
    pub seed: u64,
    /// A read gives at most so many octets.
    pub piece_octets_max: usize,
    /// A write takes at most this long to arrive.
    pub delay_max: Duration,
    /// The link holds about so many octets in each direction; then writing has to wait.
    pub window_octets: usize,
    /// The client gives its content in pieces of so many octets.
    pub chunk_octets: usize,
    /// The link is lost when it has carried so many octets, both directions together.
    pub lost: Option<Lost>,
    /// What the server offers.
    pub offered: Extensions,
    /// The limits of the server.
    pub limits: Limits,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            seed: 0,
            piece_octets_max: usize::MAX,
            delay_max: Duration::ZERO,
            window_octets: usize::MAX,
            chunk_octets: 4096,
            lost: None,
            offered: Extensions {
                size: Some(1_000_000),
                pipelining: true,
                eight_bit_mime: true,
                smtputf8: true,
                enhanced_status_codes: true,
                starttls: false,
                ..Extensions::default()
            },
            limits: Limits::default(),
        }
    }
}

/// How a link is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Both ends learn of it at once; what was under way is gone.
    Reset {
        /// When so many octets have been carried.
        after_octets: usize,
    },
    /// Nobody learns of it.
    Silent {
        /// When so many octets have been carried.
        after_octets: usize,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The messages that the server has accepted, with the recipients that it accepted, in order.
    pub received: Vec<Message>,
    /// What each recipient was told, by message and recipient: `true` where it was delivered.
    pub told: Vec<(usize, usize, bool)>,
    /// Why the client's session ended.
    pub client_closed: client::CloseReason,
    /// Why the server's session ended.
    pub server_closed: server::CloseReason,
    /// The time that it took on the simulated clock.
    pub elapsed: Duration,
}

/// What waits in a session's input at most.
const INPUT_OCTETS_MAX: usize = 8 * 1024;
/// No talk takes so many turns, unless it goes round in a circle.
const TURNS_MAX: usize = 4_000_000;

/// One side: its session, and its caller's part of the work.
struct End<S> {
    session: S,
    input: BytesMut,
    closed: bool,
}

impl<S: Session> End<S> {
    fn new(session: S) -> Self {
        Self { session, input: BytesMut::new(), closed: false }
    }

    /// Gives what has arrived, as far as there is room.
    fn read(&mut self, wire: &mut Wire, now: Instant, octets_max: usize) -> bool {
        let room = INPUT_OCTETS_MAX.saturating_sub(self.input.len()).min(octets_max);
        let piece = if self.closed { Bytes::new() } else { wire.take(now, room) };
        self.input.extend_from_slice(&piece);
        !piece.is_empty()
    }

    /// Writes what there is to say, as far as the link takes it.
    fn write(&mut self, wire: &mut Wire, now: Instant, delay: Duration) -> bool {
        let mut written = false;
        while wire.has_room()
            && let Some(piece) = self.session.poll_transmit(now)
        {
            wire.put(piece, now + delay);
            written = true;
        }
        written
    }
}

/// One direction of the link.
struct Wire {
    pieces: VecDeque<(Instant, Bytes)>,
    octets: usize,
    window_octets: usize,
    /// The sender has ended its side.
    ended: bool,
    /// The receiver has been told.
    end_told: bool,
    carried: usize,
}

impl Wire {
    fn new(window_octets: usize) -> Self {
        Self { pieces: VecDeque::new(), octets: 0, window_octets, ended: false, end_told: false, carried: 0 }
    }

    fn has_room(&self) -> bool {
        self.octets < self.window_octets
    }

    fn put(&mut self, piece: Bytes, arrives: Instant) {
        // What is sent later does not arrive earlier.
        let arrives = self.pieces.back().map_or(arrives, |(last, _)| arrives.max(*last));
        self.octets += piece.len();
        self.pieces.push_back((arrives, piece));
    }

    fn take(&mut self, now: Instant, octets_max: usize) -> Bytes {
        let Some((arrives, piece)) = self.pieces.front_mut() else { return Bytes::new() };
        if *arrives > now {
            return Bytes::new();
        }
        let taken = piece.split_to(piece.len().min(octets_max));
        if !piece.has_remaining() {
            self.pieces.pop_front();
        }
        self.octets -= taken.len();
        self.carried += taken.len();
        taken
    }

    fn next_arrival(&self) -> Option<Instant> {
        self.pieces.front().map(|(arrives, _)| *arrives)
    }

    /// The sender's end has come through.
    fn tell_end(&mut self) -> bool {
        let due = self.ended && self.pieces.is_empty() && !self.end_told;
        self.end_told |= due;
        due
    }
}

/// Both sides and the link between them.
struct Pair<'a> {
    conditions: &'a Conditions,
    messages: &'a [Message],
    random: fastrand::Rng,
    begun: Instant,
    now: Instant,
    client: End<ClientSession>,
    server: End<ServerSession>,
    to_server: Wire,
    to_client: Wire,
    lost: bool,
    sending: usize,
    sent_octets: usize,
    receiving: Vec<u8>,
    received: Vec<Message>,
    told: Vec<(usize, usize, bool)>,
    client_closed: Option<client::CloseReason>,
    server_closed: Option<server::CloseReason>,
}

/// Sends `messages` from a client to a server over one connection, to its end.
///
/// The server refuses recipients whose local part begins with `no`, and takes the rest.
pub fn talk(messages: &[Message], conditions: &Conditions) -> Report {
    let now = Instant::now();
    let client = ClientConfig::new("client.example".parse().expect("it is a name"));
    let server = ServerConfig {
        limits: conditions.limits.clone(),
        ..ServerConfig::new("mx.example.com".parse().expect("it is a name"))
    };
    let pair = Pair {
        conditions,
        messages,
        random: fastrand::Rng::with_seed(conditions.seed),
        begun: now,
        now,
        client: End::new(ClientSession::new(Arc::new(client), None, now)),
        server: End::new(ServerSession::new(Arc::new(server), None, now)),
        to_server: Wire::new(conditions.window_octets),
        to_client: Wire::new(conditions.window_octets),
        lost: false,
        sending: 0,
        sent_octets: 0,
        receiving: Vec::new(),
        received: Vec::new(),
        told: Vec::new(),
        client_closed: None,
        server_closed: None,
    };
    pair.run()
}

impl Pair<'_> {
    fn run(mut self) -> Report {
        for _ in 0..TURNS_MAX {
            let moved = self.client_turn() | self.server_turn() | self.link_turn();
            if self.client.closed && self.server.closed {
                break;
            }
            if !moved {
                self.let_time_pass();
            }
        }
        Report {
            received: self.received,
            told: self.told,
            client_closed: self.client_closed.expect("the client's session ends"),
            server_closed: self.server_closed.expect("the server's session ends"),
            elapsed: self.now - self.begun,
        }
    }

    fn client_turn(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.client.session.handle_input(self.now, &mut self.client.input) {
            self.client_event(event);
            moved = true;
        }
        let delay = self.delay();
        moved | self.client.write(&mut self.to_server, self.now, delay)
    }

    fn server_turn(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.server.session.handle_input(self.now, &mut self.server.input) {
            self.server_event(event);
            moved = true;
        }
        let delay = self.delay();
        moved | self.server.write(&mut self.to_client, self.now, delay)
    }

    fn link_turn(&mut self) -> bool {
        self.lose_link();
        if self.lost {
            return false;
        }
        let most = self.random.usize(1..=self.conditions.piece_octets_max.clamp(1, 1 << 20));
        let read = self.server.read(&mut self.to_server, self.now, most);
        let read = read | self.client.read(&mut self.to_client, self.now, most);
        let ended = self.to_server.tell_end();
        if ended && let Some(event) = self.server.session.handle_eof() {
            self.server_event(event);
        }
        let also_ended = self.to_client.tell_end();
        if also_ended && let Some(event) = self.client.session.handle_eof() {
            self.client_event(event);
        }
        read | ended | also_ended
    }

    fn lose_link(&mut self) {
        let carried = self.to_server.carried + self.to_client.carried;
        let told = match self.conditions.lost {
            Some(Lost::Reset { after_octets }) if carried >= after_octets => true,
            Some(Lost::Silent { after_octets }) if carried >= after_octets => false,
            _ => return,
        };
        if std::mem::replace(&mut self.lost, true) {
            return;
        }
        self.to_server.pieces.clear();
        self.to_client.pieces.clear();
        if told {
            if let Some(event) = self.client.session.handle_eof() {
                self.client_event(event);
            }
            if let Some(event) = self.server.session.handle_eof() {
                self.server_event(event);
            }
        }
    }

    /// Nothing can be done now: on to the next arrival or deadline.
    fn let_time_pass(&mut self) {
        let deadlines = [self.client.session.poll_timeout(), self.server.session.poll_timeout()];
        let deadlines = deadlines.into_iter().flatten().map(|deadline| deadline.at);
        let arrivals = [self.to_server.next_arrival(), self.to_client.next_arrival()].into_iter().flatten();
        let next = deadlines.chain(arrivals.filter(|at| *at > self.now)).min();
        self.now = self.now.max(next.expect("one side waits for something"));
        if let Some(event) = self.client.session.handle_timeout(self.now) {
            self.client_event(event);
        }
        if let Some(event) = self.server.session.handle_timeout(self.now) {
            self.server_event(event);
        }
    }

    fn delay(&mut self) -> Duration {
        self.conditions.delay_max.mul_f64(self.random.f64())
    }

    fn client_event(&mut self, event: client::Event) {
        let now = self.now;
        let session = &mut self.client.session;
        match event {
            client::Event::Ready(offered) if offered.starttls && session.tls().is_none() => {
                session.start_tls(now).expect("TLS is offered");
            }
            client::Event::Ready(_) => self.next_message(),
            client::Event::StartTls => {
                assert!(self.to_server.pieces.is_empty() && self.to_client.pieces.is_empty(), "only TLS may follow");
                session.tls_established(TlsFacts::default(), now);
                self.server.session.tls_established(TlsFacts::default(), now);
            }
            client::Event::MailDataWanted => self.send_mail_data(),
            client::Event::Recipient { index, reply } => {
                if reply.class() != ReplyClass::Completion {
                    self.told.push((self.sending, index, false));
                }
            }
            client::Event::Delivered { index, .. } => self.told.push((self.sending, index, true)),
            client::Event::Finished | client::Event::Refused { .. } => {
                self.sending += 1;
                self.next_message();
            }
            client::Event::Closed(reason) => {
                self.client.closed = true;
                self.to_server.ended = true;
                self.client_closed = Some(reason);
            }
            other => panic!("no such event is known here: {other:?}"),
        }
    }

    fn next_message(&mut self) {
        self.sent_octets = 0;
        let session = &mut self.client.session;
        while let Some(message) = self.messages.get(self.sending) {
            let facts = ContentFacts::of(&message.content);
            if session.begin(&message.envelope, &facts, self.now).is_ok() {
                return;
            }
            self.sending += 1;
        }
        session.quit(self.now);
    }

    fn send_mail_data(&mut self) {
        let rest = &self.messages[self.sending].content[self.sent_octets..];
        let session = &mut self.client.session;
        if rest.is_empty() {
            session.finish_mail_data(self.now).expect("mail data is wanted");
            return;
        }
        let chunk = &rest[..rest.len().min(self.conditions.chunk_octets)];
        self.sent_octets += chunk.len();
        session.send_mail_data(Bytes::copy_from_slice(chunk), self.now).expect("mail data is wanted");
    }

    fn server_event(&mut self, event: server::Event) {
        let now = self.now;
        let session = &mut self.server.session;
        let answered = match event {
            server::Event::Connected => {
                session.reply(Reply::without_status(ReplyCode::SERVICE_READY, "mx.example.com"), now)
            }
            server::Event::Hello(_) => session.hello(self.conditions.offered.clone(), now),
            server::Event::Mail(_) => session.reply(OK, now),
            server::Event::Rcpt(rcpt) => session.reply(if is_refused(&rcpt) { NO_SUCH_USER } else { OK }, now),
            server::Event::MailDataStart(_) => session.begin_mail_data(now),
            server::Event::MailData(octets) => {
                self.receiving.extend_from_slice(&octets);
                Ok(())
            }
            server::Event::MailDataEnd(facts) => {
                let content = std::mem::take(&mut self.receiving);
                assert_eq!(ContentFacts::of(&content), facts, "the facts are those of the content");
                let envelope = session.envelope().expect("a transaction is open").clone();
                self.received.push(Message { envelope, content });
                session.reply(OK, now)
            }
            server::Event::Reset => {
                self.receiving.clear();
                Ok(())
            }
            server::Event::StartTls | server::Event::Refused(_) => Ok(()),
            server::Event::Closed(reason) => {
                self.server.closed = true;
                self.to_client.ended = true;
                self.server_closed = Some(reason);
                Ok(())
            }
            other => panic!("no such event is known here: {other:?}"),
        };
        answered.expect("the event waits for this answer");
    }
}

/// Whether the server of [`talk`] refuses a recipient.
pub fn is_refused(rcpt: &Rcpt) -> bool {
    matches!(&rcpt.forward_path, ForwardPath::Mailbox(mailbox) if mailbox.local_part().as_str().starts_with("no"))
}

const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "OK");
const NO_SUCH_USER: Reply = Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, EnhancedStatus::new(5, 1, 1), "No such user");
