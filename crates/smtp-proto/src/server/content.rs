//! Mail data by DATA: told as it comes, or swallowed to its true end; and the answers behind it.

use std::ops::ControlFlow::{Break, Continue};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::event::{Event, Refusal, Subject};
use super::state::{Flow, State};
use super::{Protocol, ServerSession, replies};
use crate::mail_data::{ContentFault, MailDataPiece, Unstuffer};
use crate::{Envelope, Reply};

#[derive(Debug)]
pub(super) struct MailData {
    pub(super) envelope: Box<Envelope>,
    intake: Intake,
}

#[derive(Debug)]
pub(super) struct Swallowing {
    intake: Intake,
    refusal: Reply,
    /// The recipients that were accepted before it.
    recipients: usize,
}

/// Mail data as it comes in, and how long it may go on.
#[derive(Debug)]
struct Intake {
    unstuffer: Unstuffer,
    until: Until,
}

impl Intake {
    /// The next piece, and whether any octets were taken for it.
    fn next_piece(&mut self, input: &mut BytesMut) -> (Option<MailDataPiece>, bool) {
        let waiting = input.len();
        let piece = self.unstuffer.next_piece(input);
        let taken = waiting - input.len();
        self.until.took(taken);
        (piece, taken > 0)
    }
}

/// Until when mail data may go on coming: the later, the more of it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until(pub(super) Instant);

impl Until {
    /// By so much the time is longer for each octet that has come: mail data that keeps up 1,000 octets a second is
    /// never too slow.
    const TIME_PER_OCTET: Duration = Duration::from_millis(1);

    pub(super) fn took(&mut self, octets: usize) {
        self.0 += Self::TIME_PER_OCTET * u32::try_from(octets).unwrap_or(u32::MAX);
    }
}

impl MailData {
    pub(super) fn new(envelope: Box<Envelope>, octets_max: u64, until: Instant) -> Self {
        Self { envelope, intake: Intake { unstuffer: Unstuffer::new(octets_max), until: Until(until) } }
    }

    pub(super) fn until(&self) -> Instant {
        self.intake.until.0
    }
}

impl Swallowing {
    pub(super) fn until(&self) -> Instant {
        self.intake.until.0
    }
}

impl ServerSession {
    pub(super) fn mail_data(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let State::MailData(mail_data) = &mut self.state else { return Break(None) };
        let (piece, progress) = match mail_data.intake.unstuffer.fault() {
            None => mail_data.intake.next_piece(input),
            Some(fault) => return self.refuse_fault(fault),
        };
        let fault = mail_data.intake.unstuffer.fault();
        if progress {
            self.progress = now;
        }
        match (piece, fault) {
            (Some(MailDataPiece::Content(octets)), _) => Break(Some(Event::MailData(octets))),
            (Some(MailDataPiece::End), None) => self.mail_data_end(),
            (Some(MailDataPiece::End), Some(fault)) => {
                let recipients = mail_data.envelope.recipients.len();
                self.state = State::Ready;
                self.reset_due = true;
                self.took_content();
                let reply = refusal(fault);
                self.send_final(&reply, recipients);
                Break(Some(Event::Refused(Refusal { subject: Subject::Content, reply })))
            }
            (None, Some(fault)) => self.refuse_fault(fault),
            (None, None) => Break(None),
        }
    }

    fn mail_data_end(&mut self) -> Flow {
        self.took_content();
        let State::MailData(mail_data) = std::mem::take(&mut self.state) else { return Break(None) };
        self.idle_commands = 0;
        self.state = State::MailDataEndAsked(mail_data.envelope, 0);
        Break(Some(Event::MailDataEnd(mail_data.intake.unstuffer.facts())))
    }

    pub(super) fn refuse_fault(&mut self, fault: ContentFault) -> Flow {
        let reply = refusal(fault);
        self.refuse_content(reply.clone());
        Break(Some(Event::Refused(Refusal { subject: Subject::Content, reply })))
    }

    /// The content will be refused at its end; until then it is only read.
    pub(super) fn refuse_content(&mut self, refusal: Reply) {
        self.state = match std::mem::take(&mut self.state) {
            State::MailData(mail_data) => {
                self.reset_due = true;
                let MailData { envelope, intake } = *mail_data;
                let recipients = envelope.recipients.len();
                State::Swallowing(Box::new(Swallowing { intake, refusal, recipients }))
            }
            other => other,
        };
    }

    pub(super) fn swallow(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let State::Swallowing(swallowing) = &mut self.state else { return Break(None) };
        let (piece, progress) = swallowing.intake.next_piece(input);
        if progress {
            self.progress = now;
        }
        match piece {
            Some(MailDataPiece::Content(_)) => Continue(()),
            Some(MailDataPiece::End) => {
                let (refusal, recipients) = (swallowing.refusal.clone(), swallowing.recipients);
                self.state = State::Ready;
                self.took_content();
                self.send_final(&refusal, recipients);
                Continue(())
            }
            None => Break(None),
        }
    }

    /// Whether mail data for so many accepted recipients has all its answers: in LMTP each has its own
    /// (RFC 2033 §4.2).
    pub(super) fn is_answered(&self, answers: usize, recipients: usize) -> bool {
        self.config.protocol == Protocol::Smtp || answers >= recipients
    }

    /// Queues the same answer to mail data for all accepted recipients.
    pub(super) fn send_final(&mut self, reply: &Reply, recipients: usize) {
        let answers = if self.config.protocol == Protocol::Lmtp { recipients.max(1) } else { 1 };
        for _ in 0..answers {
            self.send(reply);
        }
    }
}

pub(super) fn refusal(fault: ContentFault) -> Reply {
    match fault {
        ContentFault::BareLineEnd => replies::BARE_LINE_END,
        ContentFault::Nul => replies::NUL,
        ContentFault::TooLong => replies::TOO_LARGE,
    }
}
