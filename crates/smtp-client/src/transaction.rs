//! One message to one host.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use smtp_io::{ConnectionError, now};
use smtp_mail::terms::{self, TimeOver};
use smtp_mail::{Attempt, Body, Content, DeliveryResult, Outcome, Report, Stage};
use smtp_proto::client::{self, BeginError, CloseReason, Event};
use smtp_proto::{EnhancedStatus, Envelope, Mail, RemoteReply, ReplyClass, StatusClass, Unfit};

use tokio::time::Instant;

use crate::client::{Client, mail_stage};
use crate::error::{close_status, lost_text, reply_report};

/// So much of a file is read at once without leaving the task: most often it is in memory still.
const READ_IN_PLACE_OCTETS: usize = 16 * 1024;

/// The server closed the connection while it was idle, so nothing of the attempt has begun: it is to be made over a new
/// connection, and does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server closed the idle connection")]
pub struct Stale;

/// One transaction of an attempt, which may need several. Its recipients are numbered as in the envelope, and each
/// stands for one of the attempt's.
struct Transaction<'a> {
    /// The place in the attempt of each recipient.
    round: &'a [usize],
    /// Of all recipients of the attempt.
    results: &'a mut [Option<DeliveryResult>],
    /// Those, by their place in the attempt, that are to have another transaction.
    again: Vec<usize>,
}

impl Transaction<'_> {
    /// Whether nothing has come of the attempt so far.
    fn is_first(&self) -> bool {
        self.results.iter().all(Option::is_none)
    }

    fn set(&mut self, index: usize, result: DeliveryResult) {
        self.results[self.round[index]] = Some(result);
    }

    /// Gives `result` to those that have none yet.
    fn fill(&mut self, result: &DeliveryResult) {
        for &place in self.round {
            self.results[place].get_or_insert_with(|| result.clone());
        }
    }
}

/// Why content did not get to the session.
enum Broken {
    /// It cannot be read here.
    Content(io::Error),
    /// It is not wanted any more; the next event says why.
    NotWanted,
}

impl Client {
    /// Carries out `attempt` and says what came of it for each recipient, in their order. Those whom the server put off
    /// as too many at once (RFC 5321 §4.5.3.1.10) are brought in further transactions at once.
    ///
    /// Replies decide by their first digit only (RFC 5321 §4.2.1): 2 delivers, 4 defers, 5 fails. A recipient without a
    /// final reply is deferred. What the server cannot take by what it offers fails without being sent.
    ///
    /// # Errors
    /// [`Stale`]: on a connection that was used before, the server was gone before it answered anything.
    pub async fn deliver(&mut self, attempt: &Attempt) -> Result<Vec<Outcome>, Stale> {
        let mut results: Vec<Option<DeliveryResult>> = vec![None; attempt.recipients.len()];
        let mut round: Vec<usize> = (0..results.len()).collect();
        let until = Instant::now() + self.settings.attempt_timeout;
        while !round.is_empty() {
            let mut transaction = Transaction { round: &round, results: &mut results, again: Vec::new() };
            self.transact(attempt, until, &mut transaction).await?;
            let again = transaction.again;
            // A server that took none of them will not take them now.
            if !self.usable || again.len() >= round.len() {
                break;
            }
            for &place in &again {
                results[place] = None;
            }
            round = again;
        }
        let offered = self.connection.session().extensions();
        let (reports_passed_on, deadline_passed_on) = (offered.dsn, offered.deliver_by.is_some());
        let unanswered = || DeliveryResult::Deferred(self.complete(no_reply()));
        let outcome = |(recipient, result): (&smtp_mail::AttemptRecipient, Option<DeliveryResult>)| Outcome {
            recipient: recipient.number,
            result: result.unwrap_or_else(unanswered),
            reports_passed_on,
            deadline_passed_on,
        };
        Ok(attempt.recipients.iter().zip(results).map(outcome).collect())
    }

    /// Runs one transaction to its end.
    async fn transact(
        &mut self,
        attempt: &Attempt,
        until: Instant,
        transaction: &mut Transaction<'_>,
    ) -> Result<(), Stale> {
        let recipients = transaction.round.iter().map(|&index| attempt.recipients[index].rcpt.clone()).collect();
        let mut envelope = Envelope { mail: attempt.mail.clone(), recipients };
        // The queue has held the message for as long as that asks: no other server is to hold it again (RFC 4865 §4.2).
        envelope.mail.parameters.hold = None;
        if let Err(over) = count_down(&mut envelope.mail, attempt.received_at) {
            let report = Report::new(EnhancedStatus::new(4, 4, 7), &over.to_string()).at_stage(Stage::Mail);
            transaction.fill(&DeliveryResult::Deferred(self.complete(report)));
            return Ok(());
        }
        if let Err(error) = self.connection.session().begin(&envelope, &attempt.facts, now()) {
            self.not_begun(error, transaction);
            return Ok(());
        }
        let mut may_be_stale = self.transactions > 0 && transaction.is_first();
        self.transactions += 1;
        let mut position = 0;
        loop {
            let Ok(event) = tokio::time::timeout_at(until, self.connection.next_event()).await else {
                self.abandon(transaction, too_slow(self.settings.attempt_timeout));
                return Ok(());
            };
            if std::mem::take(&mut may_be_stale) && is_gone(&event) {
                self.usable = false;
                return Err(Stale);
            }
            if matches!(event, Ok(Event::MailDataWanted)) {
                // Where it is not wanted any more, the next event says why.
                if let Err(Broken::Content(error)) = self.feed(&attempt.content, &mut position).await {
                    self.abandon(transaction, local_fault(&error));
                    return Ok(());
                }
            } else if self.take(event, transaction).is_break() {
                return Ok(());
            }
        }
    }

    /// Books what came of it for whom; breaks when the transaction is over.
    fn take(&mut self, event: Result<Event, ConnectionError>, transaction: &mut Transaction<'_>) -> ControlFlow<()> {
        match event {
            Ok(Event::Recipient { index, reply }) => {
                if reply.class() != ReplyClass::Completion {
                    if reply.is_too_many_recipients() {
                        transaction.again.push(transaction.round[index]);
                    }
                    transaction.set(index, self.refused(Stage::Rcpt, reply));
                }
                return ControlFlow::Continue(());
            }
            Ok(Event::Delivered { index, reply }) => {
                let report = self.complete(Report::of_reply(reply)).at_stage(Stage::MailData);
                transaction.set(index, DeliveryResult::of(report));
                return ControlFlow::Continue(());
            }
            Ok(Event::NotDelivered { index, reply }) => {
                transaction.set(index, self.refused(Stage::MailData, reply));
                return ControlFlow::Continue(());
            }
            Ok(Event::Finished) => {}
            Ok(Event::Refused { stage, reply }) => {
                self.usable = self.connection.session().stage() == client::Stage::Idle;
                transaction.fill(&self.refused(mail_stage(stage), reply));
            }
            Ok(Event::Closed(reason)) => self.abandon(transaction, closed(reason)),
            Ok(_) => return ControlFlow::Continue(()),
            Err(error) => self.abandon(transaction, lost(&error)),
        }
        ControlFlow::Break(())
    }

    /// Hands the session what is next of the content, and its end together with the last of it.
    async fn feed(&mut self, content: &Content, position: &mut u64) -> Result<(), Broken> {
        let mut room = self.settings.chunk_octets;
        while room > 0 {
            let chunk = chunk(content, *position, room).await.map_err(Broken::Content)?;
            *position += chunk.len() as u64;
            room -= chunk.len();
            if !chunk.is_empty() {
                self.connection.session().send_mail_data(chunk, now()).map_err(|_| Broken::NotWanted)?;
            }
            if *position >= content.octets() {
                return self.connection.session().finish_mail_data(now()).map_err(|_| Broken::NotWanted);
            }
        }
        Ok(())
    }

    /// Nothing was sent.
    fn not_begun(&mut self, error: BeginError, transaction: &mut Transaction<'_>) {
        let BeginError::Unfit(unfit) = error else {
            return self.abandon(transaction, DeliveryResult::Deferred(no_reply()));
        };
        let report = Report::new(unfit.status(), &unfit.to_string()).at_stage(Stage::Mail);
        let failed = DeliveryResult::Failed(self.complete(report));
        // One address that cannot go does not hold up the others.
        if let Unfit::ForwardPathUtf8 { index } = unfit {
            transaction.set(index, failed);
            let unfit = transaction.round[index];
            transaction.again = transaction.round.iter().copied().filter(|&other| other != unfit).collect();
        } else {
            transaction.fill(&failed);
        }
    }

    /// The connection is done with; `result` holds for all that have none.
    fn abandon(&mut self, transaction: &mut Transaction<'_>, result: DeliveryResult) {
        self.usable = false;
        let stage = mail_stage(self.connection.session().stage());
        let complete = |report: Report| self.complete(report).at_stage(stage);
        transaction.fill(&match result {
            DeliveryResult::Delivered(report) => DeliveryResult::Delivered(complete(report)),
            DeliveryResult::Deferred(report) => DeliveryResult::Deferred(complete(report)),
            DeliveryResult::Failed(report) => DeliveryResult::Failed(complete(report)),
        });
    }

    fn refused(&self, stage: Stage, reply: RemoteReply) -> DeliveryResult {
        let permanent =
            reply.class() == ReplyClass::Permanent && !is_too_many_at(stage, &reply) && !is_about_us(&reply);
        let status = match reply.class() {
            ReplyClass::Permanent if !permanent => {
                let own = reply.status().map(|status| status.with_class(StatusClass::PersistentTransient));
                let otherwise = if is_about_us(&reply) { (7, 0) } else { (5, 3) };
                own.unwrap_or(EnhancedStatus::new(4, otherwise.0, otherwise.1))
            }
            ReplyClass::Permanent => reply.status().unwrap_or(EnhancedStatus::new(5, 0, 0)),
            ReplyClass::Transient => reply.status().unwrap_or(EnhancedStatus::new(4, 0, 0)),
            // No reply to what was sent.
            _ => EnhancedStatus::new(4, 5, 0),
        };
        let report = self.complete(reply_report(reply, status)).at_stage(stage);
        if permanent { DeliveryResult::Failed(report) } else { DeliveryResult::Deferred(report) }
    }
}

/// However lively the host is, an attempt ends.
fn too_slow(within: Duration) -> DeliveryResult {
    let text = format!("the attempt has taken longer than {} s in all", within.as_secs());
    DeliveryResult::Deferred(Report::new(EnhancedStatus::new(4, 4, 2), &text))
}

/// The next server has what is left of the time for delivery (RFC 2852 §4.1.4).
fn count_down(mail: &mut Mail, received_at: SystemTime) -> Result<(), TimeOver> {
    let Some(deliver_by) = mail.parameters.deliver_by else { return Ok(()) };
    let elapsed = SystemTime::now().duration_since(received_at).unwrap_or_default();
    mail.parameters.deliver_by = Some(terms::counted_down(deliver_by, elapsed)?);
    Ok(())
}

/// Has the peer left without a word about this transaction?
fn is_gone(event: &Result<Event, ConnectionError>) -> bool {
    match event {
        Ok(Event::Closed(reason)) => matches!(reason, CloseReason::EndOfStream | CloseReason::ServiceNotAvailable(_)),
        Ok(_) => false,
        Err(error) => matches!(error, ConnectionError::Read(_) | ConnectionError::Write(_)),
    }
}

/// 530: who we are, or TLS, is asked for (RFC 4954 §6, RFC 3207 §4). That is no fault of the message, and can be set right
/// before it expires.
fn is_about_us(reply: &RemoteReply) -> bool {
    reply.code().number() == 530
}

fn is_too_many_at(stage: Stage, reply: &RemoteReply) -> bool {
    stage == Stage::Rcpt && reply.is_too_many_recipients()
}

fn no_reply() -> Report {
    Report::new(EnhancedStatus::new(4, 4, 2), "the connection ended before the host replied")
}

fn closed(reason: CloseReason) -> DeliveryResult {
    let status = close_status(&reason);
    match reason {
        CloseReason::Content(fault) => {
            let text = format!("the message cannot be sent by SMTP: {fault}");
            DeliveryResult::Failed(Report::new(EnhancedStatus::new(5, 6, 0), &text))
        }
        CloseReason::ServiceNotAvailable(reply) => DeliveryResult::Deferred(reply_report(reply, status)),
        other => DeliveryResult::Deferred(Report::new(status, &format!("the session ended: {other}"))),
    }
}

fn lost(error: &ConnectionError) -> DeliveryResult {
    DeliveryResult::Deferred(Report::new(EnhancedStatus::new(4, 4, 2), &lost_text(error)))
}

fn local_fault(error: &io::Error) -> DeliveryResult {
    let text = format!("the content of the message cannot be read here: {error}");
    DeliveryResult::Deferred(Report::new(EnhancedStatus::new(4, 3, 0), &text))
}

async fn chunk(content: &Content, position: u64, at_most: usize) -> io::Result<Bytes> {
    let in_header = position < content.header().len() as u64;
    let rest = content.octets().saturating_sub(position);
    let is_small = rest <= READ_IN_PLACE_OCTETS as u64;
    if in_header || is_small || matches!(content.body(), Body::Memory(_)) {
        return content.chunk(position, at_most);
    }
    let content = content.clone();
    let read = tokio::task::spawn_blocking(move || content.chunk(position, at_most)).await;
    read.unwrap_or_else(|_| Err(io::Error::other("the reading was broken off")))
}
