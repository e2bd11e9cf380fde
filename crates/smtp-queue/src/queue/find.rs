//! Looking into the queue.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use smtp_mail::{MessageId, RecipientId, Report, terms};

use super::Queue;
use crate::FindError;
use crate::control::Selected;
use crate::lane::Lane;
use crate::row::{DeliveryRow, MessageRow, RecipientRow, RecipientState};
use crate::schedule::{DeliveryId, Standing};
use crate::select::{Candidate, IdSelector, Page, Selector};
use crate::shared::content_octets;
use crate::store::{ContentError, ReadError, Visit};
use crate::view::{
    DeliveryState, DeliveryView, MessageView, QueueStats, RecipientProgress, RecipientView, is_released,
};

impl Queue {
    /// The deliveries of which the selector names a recipient, the oldest messages first. Reads every row that may be meant:
    /// call it where blocking is allowed.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn find(&self, selector: &Selector, page: Page, now: SystemTime) -> Result<Vec<DeliveryView>, FindError> {
        let mut views = Vec::new();
        let mut recipients = 0;
        self.walk(selector, page.after, now, &mut |found| {
            recipients += found.recipients.len();
            views.push(self.view(&found, now));
            let enough = views.len() >= page.at_most || selector.limit.is_some_and(|limit| recipients >= limit);
            if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(views)
    }

    /// The message with that id, with its content. May read from disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// The rows or the content cannot be read. Damaged content is no error: then the view is without it.
    pub fn message(&self, id: MessageId, now: SystemTime) -> Result<Option<MessageView>, FindError> {
        let Some(row) = self.shared.store.message(id)? else {
            return Ok(None);
        };
        let content = match self.shared.store.content(&row) {
            Ok(content) => Some(content),
            Err(ContentError::Damaged { .. }) => None,
            Err(error @ ContentError::Read { .. }) => return Err(error.into()),
        };
        let mut deliveries = Vec::new();
        self.walk(
            &Selector { ids: Some([IdSelector::Message(id)].into()), ..Selector::default() },
            None,
            now,
            &mut |found| {
                deliveries.push(self.view(&found, now));
                ControlFlow::Continue(())
            },
        )?;
        Ok(Some(MessageView {
            id,
            mail: row.mail.clone(),
            origin: row.origin.clone(),
            facts: row.facts,
            received_at: row.received_at,
            deliveries,
            content,
        }))
    }

    /// Counts and sizes. Reads nothing from disk.
    pub fn stats(&self, now: SystemTime) -> QueueStats {
        let (counts, due) = {
            let schedule = self.shared.schedule();
            (schedule.counts(), schedule.due(now) as u64)
        };
        let usage = self.shared.store.usage();
        QueueStats {
            messages: usage.messages,
            deliveries: counts.deliveries as u64,
            in_flight: counts.leased as u64,
            held: counts.held as u64,
            due,
            content_octets: usage.content_octets,
            log_octets: usage.log_octets,
            committed: self.shared.committed.load(Ordering::Relaxed),
            batches: self.shared.batches.load(Ordering::Relaxed),
        }
    }

    /// The deliveries that an act is meant for, and which of their recipients; and how many recipients that are.
    pub(super) fn select(&self, selector: &Selector, now: SystemTime) -> Result<(Vec<Selected>, usize), ReadError> {
        let mut selected = Vec::new();
        let limit = selector.limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return Ok((selected, 0));
        }
        let mut room = limit;
        self.walk(selector, None, now, &mut |mut found| {
            found.recipients.truncate(room);
            room -= found.recipients.len();
            let all = found.recipients.len() == found.delivery.queued().count();
            let recipients = (!all).then_some(found.recipients);
            selected.push(Selected { id: found.delivery.id, recipients });
            if room == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok((selected, limit - room))
    }

    /// Visits the deliveries of which the selector names a recipient that is left.
    fn walk(
        &self,
        selector: &Selector,
        after: Option<DeliveryId>,
        now: SystemTime,
        visit: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let mut message = None;
        let mut result = Ok(());
        let mut see = |delivery| match self.examine(selector, delivery, &mut message, now) {
            Ok(found) => found.map_or(ControlFlow::Continue(()), &mut *visit),
            Err(error) => {
                result = Err(error);
                ControlFlow::Break(())
            }
        };
        match selector.messages() {
            None => self.shared.store.each_delivery(after, selector.domain.as_ref(), &mut see)?,
            Some(messages) => self.each_delivery_of(messages, after, &mut see)?,
        }
        result
    }

    /// Visits the deliveries of these messages: each is asked for by its number.
    fn each_delivery_of(
        &self,
        messages: BTreeSet<MessageId>,
        after: Option<DeliveryId>,
        visit: Visit<'_>,
    ) -> Result<(), ReadError> {
        for message in messages {
            let Some(row) = self.shared.store.message(message)? else {
                continue;
            };
            let ids = (1..=row.deliveries).map(|number| DeliveryId { message, number });
            for id in ids.filter(|id| after.is_none_or(|after| *id > after)) {
                if let Some(delivery) = self.shared.store.delivery(id)?
                    && visit(delivery).is_break()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What the selector names of a delivery. `message` is the row that was read last.
    fn examine(
        &self,
        selector: &Selector,
        delivery: Arc<DeliveryRow>,
        message: &mut Option<Arc<MessageRow>>,
        now: SystemTime,
    ) -> Result<Option<Found>, ReadError> {
        // The row of the message is read only where it may matter: a domain is often all that is asked for.
        if !may_be_in_domain(selector, &delivery) {
            return Ok(None);
        }
        if message.as_ref().is_none_or(|row| row.id != delivery.id.message) {
            *message = self.shared.store.message(delivery.id.message)?;
        }
        let Some(row) = message.as_ref().filter(|row| row.id == delivery.id.message) else {
            // Finished since.
            return Ok(None);
        };
        let (standing, lane) = {
            let schedule = self.shared.schedule();
            match schedule.standing(delivery.id) {
                Some((standing, lane)) => (standing, lane.clone()),
                None => return Ok(None),
            }
        };
        let released = is_released(delivery.attempts, delivery.due, released_at(row), now);
        let matches = |recipient: &&RecipientRow| {
            let candidate = Candidate {
                id: RecipientId { message: row.id, number: recipient.number },
                reverse_path: delivery.reverse_path.as_ref().unwrap_or(&row.mail.reverse_path),
                forward_path: &recipient.rcpt.forward_path,
                original: recipient.original.as_ref(),
                lane: &lane,
                received_at: row.received_at,
                octets: content_octets(row),
                error: delivery.report_of(recipient).map(Report::text),
                held: matches!(standing, Standing::Held { .. }),
                released,
            };
            selector.matches(&candidate, now)
        };
        let recipients: Vec<u32> = delivery.queued().filter(matches).map(|recipient| recipient.number).collect();
        let message = Arc::clone(row);
        Ok((!recipients.is_empty()).then_some(Found { message, delivery, recipients, standing, lane }))
    }

    fn view(&self, found: &Found, now: SystemTime) -> DeliveryView {
        let Found { message, delivery, standing, lane, .. } = found;
        let state = match (standing, &delivery.hold) {
            (Standing::Leased, _) => DeliveryState::InFlight,
            (Standing::Held { .. }, Some(hold)) => DeliveryState::Held(hold.clone()),
            _ if self.shared.is_paused(&delivery.destination, now) => DeliveryState::Paused,
            _ => DeliveryState::Waiting,
        };
        DeliveryView {
            id: delivery.id,
            destination: delivery.destination.clone(),
            lane: lane.clone(),
            reverse_path: delivery.reverse_path.as_ref().unwrap_or(&message.mail.reverse_path).clone(),
            recipients: delivery.recipients.iter().map(|recipient| view_recipient(delivery, recipient)).collect(),
            octets: content_octets(message),
            origin: message.origin.clone(),
            received_at: message.received_at,
            expires_at: delivery.expires_at,
            delay_notice_at: delivery.delay_notice_at,
            state,
            due: delivery.due,
            released_at: released_at(message),
            attempts: delivery.attempts,
            last_attempt_at: delivery.last_attempt_at,
        }
    }
}

fn released_at(message: &MessageRow) -> SystemTime {
    terms::released_at(&message.mail.parameters, message.received_at)
}

/// A delivery that a selector names.
struct Found {
    message: Arc<MessageRow>,
    delivery: Arc<DeliveryRow>,
    /// The numbers of the recipients that are meant.
    recipients: Vec<u32>,
    standing: Standing,
    lane: Lane,
}

fn may_be_in_domain(selector: &Selector, delivery: &DeliveryRow) -> bool {
    let Some(pattern) = &selector.domain else {
        return true;
    };
    let mut mailboxes = delivery.queued().filter_map(|recipient| recipient.rcpt.forward_path.mailbox());
    mailboxes.any(|mailbox| pattern.matches(mailbox.domain()))
}

fn view_recipient(delivery: &DeliveryRow, recipient: &RecipientRow) -> RecipientView {
    RecipientView {
        number: recipient.number,
        rcpt: recipient.rcpt.clone(),
        original: recipient.original.clone(),
        state: match recipient.state {
            RecipientState::Queued => RecipientProgress::Queued,
            RecipientState::Delivered => RecipientProgress::Delivered,
            RecipientState::Failed => RecipientProgress::Failed,
        },
        report: delivery.report_of(recipient).cloned(),
    }
}
