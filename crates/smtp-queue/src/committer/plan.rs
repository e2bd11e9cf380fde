//! What requests change: rows to be written, and then the schedule. Nothing here is durable yet.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use smtp_mail::MessageId;

use super::Unfinished;
use crate::codec::stored_time;
use crate::control::{Act, ControlError, Selected};
use crate::lease::{Lease, RecipientChange, Settled, Settlement};
use crate::pause::Pause;
use crate::request::{ControlAct, PauseChange, PreparedSettlement, Request};
use crate::row::{DeliveryRow, Hold, HoldCause, RecipientState};
use crate::schedule::{DeliveryId, Overdue, Standing};
use crate::shared::{Shared, chain, kept_reason, schedule_row};
use crate::store::{Change, Grouped, ReadError, StateCause, StateChange};

/// What a request came to.
#[derive(Debug)]
pub(super) enum Done {
    Committed,
    Settled(Vec<Settled>),
    Controlled(Result<usize, ControlError>),
    Pauses(bool),
}

/// A batch in the making.
pub(super) struct Plan<'a> {
    shared: &'a Shared,
    unfinished: &'a Unfinished,
    changes: Vec<Grouped<'a>>,
    effects: Effects,
    done: Vec<Done>,
    /// Rows as they are after the changes so far.
    rows: HashMap<DeliveryId, Option<Arc<DeliveryRow>>>,
    /// Deliveries that an operator's act has touched in this batch: no lease on them counts any more.
    controlled: HashSet<DeliveryId>,
}

/// What is to be done when the changes are durable.
#[derive(Default)]
pub(super) struct Effects {
    schedule: Vec<Effect>,
    unfinished: Unfinished,
    /// Last, since it is about entries that were just replaced.
    due_now: Vec<(DeliveryId, SystemTime)>,
    pauses: Option<Vec<Pause>>,
    pause_changes: Vec<PauseChange>,
}

enum Effect {
    Insert(Arc<DeliveryRow>),
    /// Its state is another: what the schedule knew of it, a lease too, is over.
    Replace(Arc<DeliveryRow>),
    Remove(DeliveryId),
}

impl<'a> Plan<'a> {
    pub(super) fn new(shared: &'a Shared, unfinished: &'a Unfinished) -> Self {
        Self {
            shared,
            unfinished,
            changes: Vec::new(),
            effects: Effects::default(),
            done: Vec::new(),
            rows: HashMap::new(),
            controlled: HashSet::new(),
        }
    }

    pub(super) fn finish(self) -> (Vec<Grouped<'a>>, Effects, Vec<Done>) {
        (self.changes, self.effects, self.done)
    }

    pub(super) fn add(&mut self, request: &'a Request) {
        let done = match request {
            Request::Commit { message, .. } => {
                self.message(message, false);
                Done::Committed
            }
            Request::Settle { settlements, .. } => {
                Done::Settled(settlements.iter().map(|settlement| self.settle(settlement)).collect())
            }
            Request::Control { deliveries, act, now, .. } => Done::Controlled(self.control(deliveries, act, *now)),
            Request::Pauses { change, .. } => Done::Pauses(self.pauses(change)),
        };
        self.done.push(done);
    }

    fn message(&mut self, message: &'a crate::store::PreparedMessage, continues: bool) {
        for row in &message.deliveries {
            self.effects.schedule.push(Effect::Insert(Arc::clone(row)));
        }
        self.effects.unfinished.insert(message.row.id, message.row.deliveries);
        self.changes.push(Grouped { change: Change::Message(message), continues });
    }

    fn settle(&mut self, prepared: &'a PreparedSettlement) -> Settled {
        let settlement = &prepared.settlement;
        let lease = &settlement.lease;
        let valid: HashSet<DeliveryId> = {
            let schedule = self.shared.schedule();
            let valid = |id: &DeliveryId| !self.controlled.contains(id) && schedule.is_leased(*id, lease.number);
            lease.ids().filter(valid).collect()
        };
        let whole = valid.len() == lease.deliveries.len();
        let mut deliveries = Vec::with_capacity(lease.deliveries.len());
        for leased in &lease.deliveries {
            let id = leased.id;
            // Under a valid lease nobody else has changed the row.
            let current = if valid.contains(&id) { Some(Arc::clone(leased)) } else { self.row(id).ok().flatten() };
            let Some(current) = current else {
                continue;
            };
            let take = Take { leased: valid.contains(&id), failures: whole };
            if let Some(row) = settled_row(&current, settlement, take) {
                deliveries.push((id, (!row.is_finished()).then(|| Arc::new(row))));
            }
        }
        let reports = if whole { &prepared.reports[..] } else { &[] };
        self.state_change(lease.id(), StateCause::Settlement, deliveries, !reports.is_empty());
        for (index, report) in reports.iter().enumerate() {
            self.message(report, index + 1 < reports.len());
        }
        if whole { Settled::Settled } else { Settled::Superseded }
    }

    /// Carries out an act. How many recipients are different for it.
    fn control(&mut self, deliveries: &[Selected], act: &ControlAct, now: SystemTime) -> Result<usize, ControlError> {
        let mut count = 0;
        let mut rest = deliveries;
        while let Some(first) = rest.first() {
            let of_message = rest.iter().take_while(|selected| selected.id.message == first.id.message).count();
            let (these, others) = rest.split_at(of_message);
            rest = others;
            let mut changes = Vec::new();
            for selected in these {
                let row = self.row(selected.id).map_err(|error| ControlError::Unreadable { reason: chain(&error) })?;
                let Some(row) = row else {
                    continue;
                };
                if self.control_row(&row, selected, act, now, &mut changes) {
                    count += match (act, &selected.recipients) {
                        (ControlAct::Operator(Act::Remove), Some(recipients)) => recipients.len(),
                        _ => row.queued().count(),
                    };
                }
            }
            self.state_change(first.id.message, StateCause::Control, changes, false);
        }
        Ok(count)
    }

    /// Whether the act changes anything; a new row goes to `changes`.
    fn control_row(
        &mut self,
        row: &Arc<DeliveryRow>,
        selected: &Selected,
        act: &ControlAct,
        now: SystemTime,
        changes: &mut Vec<(DeliveryId, Option<Arc<DeliveryRow>>)>,
    ) -> bool {
        let new = match act {
            ControlAct::Operator(Act::DueNow) => return self.due_now(row, now, changes),
            ControlAct::Operator(Act::Remove) => without(row, selected.recipients.as_deref()),
            ControlAct::Operator(Act::Release) if row.hold.is_none() => return false,
            ControlAct::Operator(Act::Release) => Some(with_hold(row, None)),
            ControlAct::Operator(Act::Hold { reason, until }) => {
                let hold =
                    Hold { cause: HoldCause::Operator, reason: kept_reason(reason), until: until.map(stored_time) };
                if row.hold.as_ref() == Some(&hold) {
                    return false;
                }
                Some(with_hold(row, Some(hold)))
            }
            ControlAct::HoldDamaged(reason) => {
                let hold = Hold { cause: HoldCause::Damage, reason: kept_reason(reason), until: None };
                Some(with_hold(row, Some(hold)))
            }
        };
        self.controlled.insert(row.id);
        changes.push((row.id, new.map(Arc::new)));
        true
    }

    fn due_now(
        &mut self,
        row: &Arc<DeliveryRow>,
        now: SystemTime,
        changes: &mut Vec<(DeliveryId, Option<Arc<DeliveryRow>>)>,
    ) -> bool {
        let standing = self.shared.schedule().standing(row.id).map(|(standing, _)| standing);
        if !matches!(standing, Some(Standing::Waiting { .. })) || self.controlled.contains(&row.id) {
            return false;
        }
        if row.due > now {
            changes.push((row.id, Some(Arc::new(DeliveryRow { due: stored_time(now), ..DeliveryRow::clone(row) }))));
        }
        // It also ends the rest of the lane, so it counts even where the delivery was due.
        self.effects.due_now.push((row.id, now));
        true
    }

    fn pauses(&mut self, change: &PauseChange) -> bool {
        let now = super::now();
        let mut pauses = self.effects.pauses.clone().unwrap_or_else(|| self.shared.pauses().clone());
        pauses.retain(|pause| pause.is_in_force(now));
        let scope = match change {
            PauseChange::Pause(pause) => &pause.scope,
            PauseChange::Resume(scope) => scope,
        };
        let before = pauses.len();
        pauses.retain(|pause| pause.scope != *scope);
        let found = pauses.len() < before;
        if let PauseChange::Pause(pause) = change {
            pauses.push(Pause {
                scope: pause.scope.clone(),
                until: pause.until.map(stored_time),
                reason: kept_reason(&pause.reason),
            });
        } else if !found {
            return false;
        }
        self.changes.push(Grouped { change: Change::Pauses(pauses.clone()), continues: false });
        self.effects.pauses = Some(pauses);
        self.effects.pause_changes.push(change.clone());
        true
    }

    fn state_change(
        &mut self,
        message: MessageId,
        cause: StateCause,
        deliveries: Vec<(DeliveryId, Option<Arc<DeliveryRow>>)>,
        continues: bool,
    ) {
        if deliveries.is_empty() {
            return;
        }
        let finished = deliveries.iter().filter(|(_, row)| row.is_none()).count();
        let pending = self.effects.unfinished.get(&message).or_else(|| self.unfinished.get(&message));
        let before = pending.copied().unwrap_or(1);
        let left = before.saturating_sub(u32::try_from(finished).unwrap_or(u32::MAX));
        if left != before {
            self.effects.unfinished.insert(message, left);
        }
        for (id, row) in &deliveries {
            self.rows.insert(*id, row.clone());
            self.effects.schedule.push(match row {
                Some(row) => Effect::Replace(Arc::clone(row)),
                None => Effect::Remove(*id),
            });
        }
        let change = StateChange { message, cause, deliveries, message_finished: left == 0 };
        self.changes.push(Grouped { change: Change::Deliveries(change), continues });
    }

    fn row(&self, id: DeliveryId) -> Result<Option<Arc<DeliveryRow>>, ReadError> {
        match self.rows.get(&id) {
            Some(row) => Ok(row.clone()),
            None => self.shared.store.delivery(id),
        }
    }
}

fn with_hold(row: &DeliveryRow, hold: Option<Hold>) -> DeliveryRow {
    DeliveryRow { hold, ..row.clone() }
}

/// The row without these recipients, or without all; `None` where none is left to be reached.
fn without(row: &DeliveryRow, recipients: Option<&[u32]>) -> Option<DeliveryRow> {
    let removed = recipients?;
    let mut new = row.clone();
    new.recipients.retain(|recipient| !removed.contains(&recipient.number));
    (!new.is_finished()).then_some(new)
}

/// What of a settlement counts for a delivery.
#[derive(Clone, Copy)]
struct Take {
    /// Whether the lease is still valid for it; if not, only what was delivered counts.
    leased: bool,
    /// Whether failures count: not where their report is not sent.
    failures: bool,
}

/// The row after the settlement; `None` where it does not change.
fn settled_row(row: &DeliveryRow, settlement: &Settlement, take: Take) -> Option<DeliveryRow> {
    let mut new = row.clone();
    let mut touched = false;
    let mut due: Option<SystemTime> = None;
    for recipient in &mut new.recipients {
        let outcome = settlement.outcomes.iter().find(|outcome| outcome.number == recipient.number);
        let Some(outcome) = outcome.filter(|_| recipient.state == RecipientState::Queued) else {
            continue;
        };
        match outcome.change {
            RecipientChange::Delivered => recipient.state = RecipientState::Delivered,
            RecipientChange::Failed if take.leased && take.failures => recipient.state = RecipientState::Failed,
            RecipientChange::Deferred { due: at } if take.leased => due = Some(due.map_or(at, |due| due.min(at))),
            _ => continue,
        }
        touched = true;
    }
    if touched {
        new.set_reports(|number| {
            let outcome = settlement.outcomes.iter().find(|outcome| outcome.number == number)?;
            Some(outcome.report.clone())
        });
        count_attempt(&mut new, &settlement.lease);
    }
    if take.leased {
        new.hold = None;
        new.due = due.map_or(new.due, stored_time);
        if settlement.notice_sent && take.failures {
            new.delay_notice_at = None;
            touched = true;
        }
    }
    touched.then_some(new)
}

fn count_attempt(row: &mut DeliveryRow, lease: &Lease) {
    if !matches!(lease.overdue, Some(Overdue::Expired | Overdue::NoticeOwed)) {
        row.attempts = row.attempts.saturating_add(1);
        row.last_attempt_at = Some(stored_time(lease.leased_at));
    }
}

impl Effects {
    /// Makes the schedule agree with the rows.
    pub(super) fn apply(self, shared: &Shared, unfinished: &mut Unfinished) {
        for (message, left) in self.unfinished {
            if left > 1 {
                unfinished.insert(message, left);
            } else {
                unfinished.remove(&message);
            }
        }
        if let Some(pauses) = self.pauses {
            *shared.pauses() = pauses;
        }
        let mut schedule = shared.schedule();
        for change in self.pause_changes {
            match change {
                PauseChange::Pause(pause) => schedule.pause(&pause.scope, pause.until),
                PauseChange::Resume(scope) => drop(schedule.resume(&scope)),
            }
        }
        for effect in self.schedule {
            match effect {
                Effect::Insert(row) => schedule_row(&mut schedule, &row),
                Effect::Replace(row) => {
                    schedule.remove(row.id);
                    schedule_row(&mut schedule, &row);
                }
                Effect::Remove(id) => drop(schedule.remove(id)),
            }
        }
        for (id, now) in self.due_now {
            schedule.due_now(id, now);
        }
    }
}
