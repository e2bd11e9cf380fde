//! Content by BDAT (RFC 3030 §2): every chunk is answered, and read to its end whatever becomes of it.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Instant;

use bytes::BytesMut;

use super::content::{Until, refusal};
use super::event::{CloseReason, Event, Framing, Refusal, Subject};
use super::state::{Flow, State};
use super::{ServerSession, replies};
use crate::chunk::{self, ChunkPiece, ChunkReader};
use crate::{BodyType, Command, Envelope, Reply, ReplyCode};

/// What a BDAT command has said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    octets: u64,
    last: bool,
}

impl From<Chunk> for Command {
    fn from(Chunk { octets, last }: Chunk) -> Self {
        Self::Bdat { octets, last }
    }
}

/// A message that comes in chunks.
#[derive(Debug)]
pub(super) struct Chunked {
    pub(super) envelope: Box<Envelope>,
    reader: ChunkReader,
    until: Until,
    /// The chunk that is coming in is the last one.
    last: bool,
}

impl Chunked {
    pub(super) fn until(&self) -> Instant {
        self.until.0
    }
}

/// A chunk that is refused at its end.
#[derive(Debug)]
pub(super) struct RefusedChunk {
    /// Octets of it that have not come.
    left: u64,
    last: bool,
    until: Until,
    failed: FailedChunks,
    /// The chunk belonged to a message, and so do those behind it.
    in_message: bool,
}

impl RefusedChunk {
    pub(super) fn until(&self) -> Instant {
        self.until.0
    }
}

/// What the chunks of a message that has failed are answered with.
#[derive(Clone, Debug)]
pub(super) struct FailedChunks {
    reply: Reply,
    /// The recipients that were accepted before.
    recipients: usize,
}

impl ServerSession {
    pub(super) fn bdat(&mut self, octets: u64, last: bool, now: Instant, behind_refusal: bool) -> Flow {
        let chunk = Chunk { octets, last };
        if self.is_idle_chunk(chunk) && self.is_one_idle_command_too_many() {
            return Continue(());
        }
        let offered = self.client.as_deref().is_some_and(|client| client.offered.chunking);
        match std::mem::take(&mut self.state) {
            State::Transaction(envelope) if offered && envelope.recipients.is_empty() => {
                // Not an error: a client that pipelines cannot know (RFC 2920 §3.1).
                self.fail_chunk(chunk, self.no_recipients(), &envelope, now)
            }
            State::Transaction(envelope) if offered && octets > self.message_octets_max() => {
                self.fail_chunk(chunk, replies::TOO_LARGE, &envelope, now)
            }
            State::Transaction(envelope) if offered => {
                self.state = State::MailDataStartAsked(envelope, Some(chunk));
                Break(Some(Event::MailDataStart(Framing::Chunked)))
            }
            State::BetweenChunks(chunked) => self.next_chunk(*chunked, chunk, now),
            State::ChunksFailed(failed) => {
                self.swallow_chunk(chunk, *failed, true, now);
                Continue(())
            }
            State::Transaction(envelope) => {
                self.reset_due = true;
                let recipients = envelope.recipients.len();
                self.refuse_chunk(chunk, replies::NOT_IMPLEMENTED, recipients, now)
            }
            other => {
                self.state = other;
                match self.client {
                    None => self.refuse_chunk(chunk, replies::HELLO_FIRST, 0, now),
                    Some(_) if !offered => self.refuse_chunk(chunk, replies::NOT_IMPLEMENTED, 0, now),
                    Some(_) if behind_refusal => {
                        self.behind_refusal = true;
                        self.refuse_chunk_alone(chunk, replies::MAIL_FIRST, 0, now)
                    }
                    Some(_) => self.refuse_chunk(chunk, replies::MAIL_FIRST, 0, now),
                }
            }
        }
    }

    /// Whether a chunk brings a message that has begun no nearer to its end. They cost the client nothing, and could go
    /// on without end.
    fn is_idle_chunk(&self, chunk: Chunk) -> bool {
        chunk.octets == 0 && !chunk.last && matches!(self.state, State::BetweenChunks(_) | State::ChunksFailed(_))
    }

    /// The answer to [`Event::MailDataStart`] for a first chunk: it may come.
    pub(super) fn begin_chunks(&mut self, envelope: Box<Envelope>, chunk: Chunk, until: Instant) {
        let is_binary = envelope.mail.parameters.body == Some(BodyType::BinaryMime);
        let mut reader = if is_binary { ChunkReader::binary() } else { ChunkReader::default() };
        reader.begin(chunk.octets);
        let until = Until(until);
        self.state = State::Chunk(Box::new(Chunked { envelope, reader, until, last: chunk.last }));
    }

    /// The answer to [`Event::MailDataStart`] for a first chunk: it may not; it is read to its end before that is said,
    /// unless the session is over.
    pub(super) fn refuse_first_chunk(&mut self, envelope: &Envelope, chunk: Chunk, reply: Reply, now: Instant) {
        self.reset_due = true;
        self.progress = now;
        if reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE {
            return self.send(&reply);
        }
        let failed = FailedChunks { reply, recipients: envelope.recipients.len() };
        self.swallow_chunk(chunk, failed, true, now);
    }

    fn next_chunk(&mut self, mut chunked: Chunked, chunk: Chunk, now: Instant) -> Flow {
        let octets = chunked.reader.facts().octets.saturating_add(chunk.octets);
        if octets > self.message_octets_max() {
            return self.fail_chunk(chunk, replies::TOO_LARGE, &chunked.envelope, now);
        }
        chunked.reader.begin(chunk.octets);
        chunked.last = chunk.last;
        self.state = State::Chunk(Box::new(chunked));
        Continue(())
    }

    /// The message fails with this chunk.
    fn fail_chunk(&mut self, chunk: Chunk, reply: Reply, envelope: &Envelope, now: Instant) -> Flow {
        self.reset_due = true;
        let failed = FailedChunks { reply: reply.clone(), recipients: envelope.recipients.len() };
        self.swallow_chunk(chunk, failed, true, now);
        Break(Some(Event::Refused(Refusal { subject: Command::from(chunk).into(), reply })))
    }

    /// A chunk where none may be: an error, unless it is answered with the end of the session.
    fn refuse_chunk(&mut self, chunk: Chunk, reply: Reply, recipients: usize, now: Instant) -> Flow {
        if self.is_one_error_too_many() {
            return Continue(());
        }
        self.behind_refusal = true;
        self.refuse_chunk_alone(chunk, reply, recipients, now)
    }

    fn refuse_chunk_alone(&mut self, chunk: Chunk, reply: Reply, recipients: usize, now: Instant) -> Flow {
        let failed = FailedChunks { reply: reply.clone(), recipients };
        self.swallow_chunk(chunk, failed, false, now);
        Break(Some(Event::Refused(Refusal { subject: Command::from(chunk).into(), reply })))
    }

    fn swallow_chunk(&mut self, chunk: Chunk, failed: FailedChunks, in_message: bool, now: Instant) {
        let until = Until(now + self.config.timeouts.mail_data);
        let Chunk { octets: left, last } = chunk;
        self.state = State::SwallowingChunk(Box::new(RefusedChunk { left, last, until, failed, in_message }));
    }

    pub(super) fn chunk(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let State::Chunk(chunked) = &mut self.state else { return Break(None) };
        if let Some(fault) = chunked.reader.fault() {
            return self.refuse_chunk_content(refusal(fault));
        }
        let waiting = input.len();
        let piece = chunked.reader.next_piece(input);
        if waiting > input.len() {
            chunked.until.took(waiting - input.len());
            self.progress = now;
        }
        match piece {
            Some(ChunkPiece::Content(octets)) => Break(Some(Event::MailData(octets))),
            Some(ChunkPiece::End) => self.chunk_end(),
            None => match chunked.reader.fault() {
                Some(_) => Continue(()),
                None => Break(None),
            },
        }
    }

    fn chunk_end(&mut self) -> Flow {
        let State::Chunk(chunked) = &mut self.state else { return Break(None) };
        let is_last = chunked.last;
        if is_last {
            chunked.reader.finish();
        }
        if let Some(fault) = chunked.reader.fault() {
            return self.refuse_chunk_content(refusal(fault));
        }
        let State::Chunk(chunked) = std::mem::take(&mut self.state) else { return Break(None) };
        if is_last {
            self.idle_commands = 0;
            self.state = State::MailDataEndAsked(chunked.envelope, 0);
            return Break(Some(Event::MailDataEnd(chunked.reader.facts())));
        }
        self.state = State::BetweenChunks(chunked);
        self.settled(&replies::CHUNK_TAKEN)
    }

    fn refuse_chunk_content(&mut self, reply: Reply) -> Flow {
        self.refuse_chunks(reply.clone());
        Break(Some(Event::Refused(Refusal { subject: Subject::Content, reply })))
    }

    /// The content will be refused at the end of this chunk, or with the next one; until then it is only read.
    pub(super) fn refuse_chunks(&mut self, reply: Reply) {
        self.state = match std::mem::take(&mut self.state) {
            State::Chunk(chunked) => {
                self.reset_due = true;
                let failed = FailedChunks { reply, recipients: chunked.envelope.recipients.len() };
                let (left, last, until) = (chunked.reader.left(), chunked.last, chunked.until);
                State::SwallowingChunk(Box::new(RefusedChunk { left, last, until, failed, in_message: true }))
            }
            State::BetweenChunks(chunked) => {
                self.reset_due = true;
                State::ChunksFailed(Box::new(FailedChunks { reply, recipients: chunked.envelope.recipients.len() }))
            }
            other => other,
        };
    }

    pub(super) fn swallow_rest_of_chunk(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let State::SwallowingChunk(refused) = &mut self.state else { return Break(None) };
        let waiting = input.len();
        refused.left = chunk::swallow(refused.left, input);
        if waiting > input.len() {
            refused.until.took(waiting - input.len());
            self.progress = now;
        }
        if refused.left > 0 {
            return Break(None);
        }
        let State::SwallowingChunk(refused) = std::mem::take(&mut self.state) else { return Break(None) };
        let RefusedChunk { last, in_message, failed, .. } = *refused;
        let recipients = if last { failed.recipients } else { 1 };
        let reply = failed.reply.clone();
        // Behind the last chunk the message is over, as it is behind the dot of DATA.
        self.state = if in_message && !last { State::ChunksFailed(Box::new(failed)) } else { State::Ready };
        self.send_final(&reply, recipients);
        Continue(())
    }

    /// A BDAT command that cannot be read, or not as a line: where its chunk ends is not known, and the chunk must not
    /// be taken for commands.
    pub(super) fn malformed_chunk(&mut self, reply: &Reply) -> Flow {
        reply.encode(&mut self.output);
        self.end(CloseReason::MalformedChunk);
        Continue(())
    }
}
