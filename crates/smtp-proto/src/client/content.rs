//! Content on its way to the server: by DATA, with dots stuffed (RFC 5321 §4.5.2), or by BDAT, in chunks (RFC 3030 §2);
//! and what the server says to it.

use std::collections::VecDeque;
use std::ops::ControlFlow::{Break, Continue};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::ClientSession;
use super::event::{CloseReason, Event, Stage};
use super::state::{Flow, State, Transaction};
use crate::mail_data::{ContentFault, ContentScan, Stuffer};
use crate::session::{NotAwaited, Protocol};
use crate::{BodyType, Command, RemoteReply, ReplyClass};

/// Content on its way to the server.
#[derive(Debug)]
pub(super) struct MailData {
    pub(super) transaction: Box<Transaction>,
    writer: Writer,
    /// [`Event::MailDataWanted`] has been told, and nothing has been given since.
    pub(super) wanted: bool,
}

#[derive(Debug)]
enum Writer {
    /// Up to the lone dot.
    Data(Stuffer),
    Chunks(Chunks),
}

/// What is given between two groups of output makes one chunk, so that a small message is one in all.
#[derive(Debug)]
struct Chunks {
    /// `None` for binary content, which has no faults.
    scan: Option<ContentScan>,
    /// Given, and in no chunk yet.
    pieces: Vec<Bytes>,
    octets: u64,
}

impl MailData {
    /// The server said 354.
    pub(super) fn after_data(transaction: Box<Transaction>) -> Self {
        Self { transaction, writer: Writer::Data(Stuffer::default()), wanted: false }
    }

    /// A recipient was accepted, and BDAT may begin.
    pub(super) fn in_chunks(transaction: Box<Transaction>) -> Self {
        let is_binary = transaction.envelope.mail.parameters.body == Some(BodyType::BinaryMime);
        let scan = (!is_binary).then(ContentScan::new);
        let writer = Writer::Chunks(Chunks { scan, pieces: Vec::new(), octets: 0 });
        Self { transaction, writer, wanted: false }
    }

    fn put(&mut self, content: Bytes, output: &mut VecDeque<Bytes>) -> Result<(), ContentFault> {
        if content.is_empty() {
            return Ok(());
        }
        match &mut self.writer {
            Writer::Data(stuffer) => output.push_back(stuffer.stuff(content)?),
            Writer::Chunks(chunks) => chunks.put(content)?,
        }
        Ok(())
    }

    fn finish(&mut self, output: &mut VecDeque<Bytes>) -> Result<(), ContentFault> {
        match &mut self.writer {
            Writer::Data(stuffer) => output.push_back(Bytes::from_static(stuffer.finish()?)),
            Writer::Chunks(chunks) => chunks.finish(output)?,
        }
        Ok(())
    }

    /// Whether nothing that was given waits here, and no reply is needed before more is given: without PIPELINING one
    /// chunk waits for the reply to the other.
    fn has_room(&self) -> bool {
        match &self.writer {
            Writer::Data(_) => true,
            Writer::Chunks(chunks) => {
                chunks.pieces.is_empty() && (self.transaction.pipelined || self.transaction.unanswered_chunks == 0)
            }
        }
    }
}

impl Chunks {
    fn put(&mut self, content: Bytes) -> Result<(), ContentFault> {
        if let Some(scan) = &mut self.scan {
            scan.put(&content);
            scan.fault().map_or(Ok(()), Err)?;
        }
        self.octets += content.len() as u64;
        self.pieces.push(content);
        Ok(())
    }

    fn finish(&mut self, output: &mut VecDeque<Bytes>) -> Result<(), ContentFault> {
        if let Some(scan) = &mut self.scan {
            scan.finish();
            scan.fault().map_or(Ok(()), Err)?;
        }
        self.frame(true, output);
        Ok(())
    }

    fn frame(&mut self, last: bool, output: &mut VecDeque<Bytes>) {
        let mut line = BytesMut::new();
        Command::Bdat { octets: std::mem::take(&mut self.octets), last }.encode(&mut line);
        line.extend_from_slice(b"\r\n");
        output.push_back(line.freeze());
        output.extend(self.pieces.drain(..));
    }
}

impl ClientSession {
    /// Sends one more piece of content, as [`Event::MailDataWanted`] asks for. Lines may be cut anywhere; dots are
    /// stuffed, or chunks framed, here.
    ///
    /// Content with a bare CR, a bare LF or a NUL never leaves, unless it was declared binary and goes by BDAT: the
    /// session closes instead.
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where no mail data is wanted: the server has refused it meanwhile, or the session has ended.
    pub fn send_mail_data(&mut self, content: Bytes, now: Instant) -> Result<(), NotAwaited> {
        let State::MailData(mail_data) = &mut self.state else { return Err(NotAwaited) };
        mail_data.wanted = false;
        self.progress = now;
        if let Err(fault) = mail_data.put(content, &mut self.output) {
            self.end(CloseReason::Content(fault));
        }
        Ok(())
    }

    /// Ends the mail data: after DATA with the CRLF that the last line may lack, and the lone dot; in chunks with the
    /// last one. The reply decides.
    ///
    /// # Errors
    ///
    /// [`NotAwaited`], as for [`send_mail_data`](Self::send_mail_data).
    pub fn finish_mail_data(&mut self, now: Instant) -> Result<(), NotAwaited> {
        let State::MailData(mail_data) = &mut self.state else { return Err(NotAwaited) };
        self.progress = now;
        if let Err(fault) = mail_data.finish(&mut self.output) {
            self.end(CloseReason::Content(fault));
            return Ok(());
        }
        self.state = match std::mem::take(&mut self.state) {
            State::MailData(mail_data) => State::MailDataEnd(mail_data.transaction),
            other => other,
        };
        Ok(())
    }

    /// What was given since the last group of output becomes a chunk.
    pub(super) fn frame_chunk(&mut self) {
        if let State::MailData(mail_data) = &mut self.state
            && let Writer::Chunks(chunks) = &mut mail_data.writer
            && !chunks.pieces.is_empty()
        {
            chunks.frame(false, &mut self.output);
            mail_data.transaction.unanswered_chunks += 1;
        }
    }

    /// More mail data may be given when what was given has left.
    pub(super) fn want_mail_data(&mut self) -> Option<Event> {
        match &mut self.state {
            State::MailData(mail_data) if !mail_data.wanted && self.output.is_empty() && mail_data.has_room() => {
                mail_data.wanted = true;
                Some(Event::MailDataWanted)
            }
            _ => None,
        }
    }

    /// A reply before the end of the mail data was given: to a chunk; after DATA only a refusal can be meant.
    pub(super) fn mail_data(&mut self, mut mail_data: Box<MailData>, reply: RemoteReply) -> Flow {
        match mail_data.writer {
            Writer::Data(_) => self.refused_in_mail_data(State::MailData(mail_data), reply),
            Writer::Chunks(_) if is_refusal(&reply) => match mail_data.transaction.unanswered_chunks {
                0 => self.unexpected(State::MailData(mail_data), reply),
                unanswered => self.chunk_refused(mail_data.transaction, unanswered - 1, reply),
            },
            Writer::Chunks(_) if self.take_chunk_reply(&mut mail_data.transaction, &reply) => {
                self.state = State::MailData(mail_data);
                Continue(())
            }
            Writer::Chunks(_) => self.unexpected(State::MailData(mail_data), reply),
        }
    }

    /// Books that a chunk was taken, if one that has left wholly awaits its reply.
    fn take_chunk_reply(&self, transaction: &mut Transaction, reply: &RemoteReply) -> bool {
        // The output holds one chunk at most.
        let leaving = u32::from(!self.output.is_empty());
        let taken = reply.class() == ReplyClass::Completion && transaction.unanswered_chunks > leaving;
        transaction.unanswered_chunks -= u32::from(taken);
        taken
    }

    /// The message has failed, and no chunk follows; those that were sent are answered all the same (RFC 3030 §2).
    fn chunk_refused(&mut self, mut transaction: Box<Transaction>, unanswered: u32, reply: RemoteReply) -> Flow {
        transaction.refusal = Some((Stage::MailData, reply));
        transaction.unanswered_chunks = unanswered;
        self.swallow_replies(transaction)
    }

    /// A reply to a chunk behind the refused one: it can change nothing.
    pub(super) fn chunk_swallowed(&mut self, mut transaction: Box<Transaction>) -> Flow {
        transaction.unanswered_chunks = transaction.unanswered_chunks.saturating_sub(1);
        self.swallow_replies(transaction)
    }

    fn swallow_replies(&mut self, transaction: Box<Transaction>) -> Flow {
        if transaction.unanswered_chunks == 0 {
            return self.transaction_over(transaction);
        }
        self.state = State::ChunksRefused(transaction);
        Continue(())
    }

    /// The end of the mail data was given.
    pub(super) fn mail_data_end(&mut self, mut transaction: Box<Transaction>, reply: RemoteReply) -> Flow {
        let unanswered = transaction.unanswered_chunks;
        if unanswered > 0 && is_refusal(&reply) {
            // How many replies an LMTP server has for the last chunk of a message that has failed, nobody has laid down.
            if self.config.protocol == Protocol::Lmtp {
                return self.refused_in_mail_data(State::MailDataEnd(transaction), reply);
            }
            return self.chunk_refused(transaction, unanswered, reply);
        }
        if unanswered > 0 {
            let taken = reply.class() == ReplyClass::Completion;
            transaction.unanswered_chunks -= u32::from(taken);
            self.state = State::MailDataEnd(transaction);
            return if taken { Continue(()) } else { self.ends(CloseReason::Unexpected(reply)) };
        }
        let refused_chunk = transaction.chunked && is_refusal(&reply);
        if !self.output.is_empty() && !refused_chunk {
            return self.refused_in_mail_data(State::MailDataEnd(transaction), reply);
        }
        // After a refused chunk the server's state is of no use, even if it was the last (RFC 3030 §2).
        self.stale = refused_chunk;
        match self.config.protocol {
            Protocol::Smtp => self.message_reply(transaction, reply),
            Protocol::Lmtp => self.recipient_reply(transaction, reply),
        }
    }

    /// SMTP: one reply for all recipients.
    fn message_reply(&mut self, mut transaction: Box<Transaction>, reply: RemoteReply) -> Flow {
        match reply.class() {
            ReplyClass::Completion => {
                self.state = State::Delivered(transaction, reply, 0);
                Continue(())
            }
            ReplyClass::Intermediate => self.unexpected(State::MailDataEnd(transaction), reply),
            ReplyClass::Transient | ReplyClass::Permanent => {
                transaction.refusal = Some((Stage::MailDataEnd, reply));
                self.transaction_over(transaction)
            }
        }
    }

    /// LMTP: one reply for each accepted recipient, in their order, told as it comes (RFC 2033 §4.2).
    fn recipient_reply(&mut self, mut transaction: Box<Transaction>, reply: RemoteReply) -> Flow {
        let Some(&index) = transaction.accepted.get(transaction.answered) else {
            return self.unexpected(State::MailDataEnd(transaction), reply);
        };
        let event = match reply.class() {
            ReplyClass::Completion => Event::Delivered { index, reply },
            ReplyClass::Transient | ReplyClass::Permanent => Event::NotDelivered { index, reply },
            ReplyClass::Intermediate => return self.unexpected(State::MailDataEnd(transaction), reply),
        };
        transaction.answered += 1;
        let is_last = transaction.answered == transaction.accepted.len();
        self.state = if is_last { State::Over(transaction) } else { State::MailDataEnd(transaction) };
        Break(Some(event))
    }

    /// A reply before the end of the mail data has left: only a refusal can be meant, and the connection is given up.
    fn refused_in_mail_data(&mut self, state: State, reply: RemoteReply) -> Flow {
        if !is_refusal(&reply) {
            return self.unexpected(state, reply);
        }
        self.state = state;
        self.end(CloseReason::RefusedInMailData);
        Break(Some(Event::Refused { stage: Stage::MailData, reply }))
    }
}

fn is_refusal(reply: &RemoteReply) -> bool {
    matches!(reply.class(), ReplyClass::Transient | ReplyClass::Permanent)
}
