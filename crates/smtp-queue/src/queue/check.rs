//! Looking through the whole queue for what is wrong with it.

use std::fmt;
use std::ops::ControlFlow;

use smtp_mail::MessageId;

use super::Queue;
use crate::CheckError;
use crate::report::Damage;
use crate::row::MessageRow;
use crate::schedule::DeliveryId;
use crate::shared::chain;
use crate::store::ReadError;

/// What looking through the queue came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Messages looked at, with their content.
    pub messages: u64,
    /// Deliveries looked at.
    pub deliveries: u64,
    /// Records of the log read.
    pub records: u64,
    /// Whether the index was compared with the log: not where mail came or went meanwhile.
    pub compared: bool,
    /// What is wrong. Nothing, if it is empty.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A place of the log is unreadable.
    Log(Damage),
    /// The content of a message is not what was written, or cannot be read.
    Content {
        /// The message.
        message: MessageId,
        /// What is wrong.
        reason: String,
    },
    /// A delivery belongs to no message.
    NoMessage(DeliveryId),
    /// A message has no delivery.
    NoDelivery(MessageId),
    /// The index does not say of a message what the log says: `smtpctl rebuild` makes it anew.
    Index(MessageId),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(damage) => {
                write!(f, "{}: {} octets at {} are damaged", damage.segment.display(), damage.octets, damage.offset)?;
                damage.message.map_or(Ok(()), |message| write!(f, ", of message {message}"))
            }
            Self::Content { message, reason } => write!(f, "message {message}: {reason}"),
            Self::NoMessage(id) => {
                write!(f, "delivery {} of message {}: there is no such message", id.number, id.message)
            }
            Self::NoDelivery(message) => write!(f, "message {message}: it has no delivery"),
            Self::Index(message) => write!(f, "message {message}: the index does not say what the log says"),
        }
    }
}

impl Queue {
    /// Reads everything there is, while mail flows: rows, content, the log. Blocks for as long as that takes.
    ///
    /// # Errors
    /// The index or the log cannot be read at all.
    pub fn check(&self) -> Result<CheckReport, CheckError> {
        let mut report = CheckReport::default();
        let log = self.shared.store.check()?;
        report.records = log.records;
        report.compared = log.differing.is_some();
        report.problems.extend(log.damage.into_iter().map(Problem::Log));
        report.problems.extend(log.differing.into_iter().flatten().map(Problem::Index));
        self.check_deliveries(&mut report)?;
        self.check_messages(&mut report)?;
        Ok(report)
    }

    fn check_deliveries(&self, report: &mut CheckReport) -> Result<(), ReadError> {
        let mut result = Ok(());
        self.shared.store.each_delivery(None, None, &mut |row| {
            report.deliveries += 1;
            match self.shared.store.message(row.id.message) {
                Ok(Some(_)) => {}
                // Unless it was finished since.
                Ok(None) => match self.shared.store.delivery(row.id) {
                    Ok(Some(_)) => report.problems.push(Problem::NoMessage(row.id)),
                    Ok(None) => {}
                    Err(error) => result = Err(error),
                },
                Err(error) => result = Err(error),
            }
            if result.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        result
    }

    fn check_messages(&self, report: &mut CheckReport) -> Result<(), ReadError> {
        let mut result = Ok(());
        self.shared.store.each_message(&mut |row| {
            report.messages += 1;
            match self.check_message(&row) {
                Ok(problem) => report.problems.extend(problem),
                Err(error) => result = Err(error),
            }
            if result.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        result
    }

    fn check_message(&self, row: &MessageRow) -> Result<Option<Problem>, ReadError> {
        let mut deliveries = (1..=row.deliveries).map(|number| DeliveryId { message: row.id, number });
        let delivery = deliveries.find_map(|id| self.shared.store.delivery(id).transpose()).transpose()?;
        let problem = match (delivery, self.shared.store.content(row)) {
            (None, _) => Problem::NoDelivery(row.id),
            (Some(_), Ok(_)) => return Ok(None),
            (Some(_), Err(error)) => Problem::Content { message: row.id, reason: chain(&error) },
        };
        // Unless it was finished since.
        Ok(self.shared.store.message(row.id)?.map(|_| problem))
    }
}
