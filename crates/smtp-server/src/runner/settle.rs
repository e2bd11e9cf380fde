//! What outcomes mean: when a recipient is tried again, and who is owed a report.

use std::time::SystemTime;

use smtp_mail::dsn::{self, DsnKind, DsnRecipient, DsnRequest};
use smtp_mail::header::HeaderBlock;
use smtp_mail::{DeliveryResult, Outcome, RecipientId, Report};
use smtp_policy::recipients::{Expansion, Resolution, Target};
use smtp_proto::{EnhancedStatus, ForwardPath, Mailbox};
use smtp_queue::{Lease, NewMessage, NewReport, Overdue, RecipientChange, RecipientOutcome, Settlement};

use crate::config::Config;
use crate::deliveries::Deliveries;
use crate::log;
use crate::metrics::{self, AttemptResult, DeliveryClass};
use crate::shared::{Attempted, Shared};

/// What the outcomes of an attempt mean: each is logged and counted, and what failed for good is reported.
pub(super) fn settlement(shared: &Shared, lease: Lease, outcomes: Vec<Outcome>, now: SystemTime) -> Settlement {
    let config = shared.config();
    let judged = outcomes.into_iter().map(|outcome| judge(&config, &lease, outcome, now)).collect();
    conclude(shared, &config, lease, judged, now)
}

/// What it means that a message's time is up, or that it is late.
/// What was not tried itself is told the `trouble` with its next hop, if there is any.
pub(super) fn overdue(shared: &Shared, lease: Lease, trouble: Option<&Report>, now: SystemTime) -> Settlement {
    let config = shared.config();
    if lease.overdue() == Some(Overdue::NoticeOwed) {
        return delay_notice(shared, &config, lease, trouble, now);
    }
    let expire = |recipient: &smtp_mail::AttemptRecipient| {
        let known = lease.last_report_of(recipient.number).or(trouble);
        let report = known.cloned().unwrap_or_else(never_tried);
        Judged { number: recipient.number, result: AttemptResult::Expired, change: RecipientChange::Failed, report }
    };
    let judged = lease.attempt().recipients.iter().map(expire).collect();
    conclude(shared, &config, lease, judged, now)
}

/// What became of one recipient.
struct Judged {
    number: u32,
    result: AttemptResult,
    change: RecipientChange,
    report: Report,
}

fn judge(config: &Config, lease: &Lease, outcome: Outcome, now: SystemTime) -> Judged {
    let number = outcome.recipient;
    let (result, change, report) = match outcome.result {
        DeliveryResult::Delivered(report) => (AttemptResult::Delivered, RecipientChange::Delivered, report),
        DeliveryResult::Failed(report) => (AttemptResult::Failed, RecipientChange::Failed, report),
        DeliveryResult::Deferred(report) if now >= lease.expires_at() => {
            (AttemptResult::Expired, RecipientChange::Failed, report)
        }
        DeliveryResult::Deferred(report) => {
            let attempts = lease.attempts_of(number) + 1;
            let due = config.queue.retry.next(attempts, now, lease.expires_at(), lease.id().as_raw());
            (AttemptResult::Deferred, RecipientChange::Deferred { due }, report)
        }
    };
    Judged { number, result, change, report }
}

/// Logs, counts and tells what was judged, and adds the report that the failures owe.
fn conclude(shared: &Shared, config: &Config, lease: Lease, judged: Vec<Judged>, now: SystemTime) -> Settlement {
    for recipient in &judged {
        note(shared, &lease, recipient, now);
    }
    let failed: Vec<_> = judged
        .iter()
        .filter(|recipient| recipient.change == RecipientChange::Failed)
        .map(|r| (r.number, &r.report))
        .collect();
    let report = (!failed.is_empty()).then(|| report(shared, config, &lease, DsnKind::Failed, &failed, now)).flatten();
    if let Some(id) = report.as_ref().and_then(|report| report.id) {
        log::bounced(lease.id(), id);
        shared.metrics().dsn(metrics::DsnKind::Failed);
    } else if !failed.is_empty() {
        log::not_reported(lease.id(), &lease.attempt().mail.reverse_path, failed.len());
    }
    let outcomes = judged
        .into_iter()
        .map(|Judged { number, change, report, .. }| RecipientOutcome { number, change, report })
        .collect();
    Settlement { lease, outcomes, reports: report.into_iter().collect(), notice_sent: false }
}

/// Tells the sender that the message is late. Nothing is told twice, and nothing to the null reverse-path.
fn delay_notice(
    shared: &Shared,
    config: &Config,
    lease: Lease,
    trouble: Option<&Report>,
    now: SystemTime,
) -> Settlement {
    let kind = DsnKind::Delayed { retry_until: lease.expires_at() };
    let never_tried = never_tried();
    let waiting: Vec<_> = lease
        .attempt()
        .recipients
        .iter()
        .map(|recipient| {
            let known = lease.last_report_of(recipient.number).or(trouble);
            (recipient.number, known.unwrap_or(&never_tried))
        })
        .collect();
    let report = report(shared, config, &lease, kind, &waiting, now);
    if let Some(id) = report.as_ref().and_then(|report| report.id) {
        log::delay_notice(lease.id(), id);
        shared.metrics().dsn(metrics::DsnKind::Delayed);
    }
    Settlement { lease, outcomes: Vec::new(), reports: report.into_iter().collect(), notice_sent: true }
}

/// The report to the sender of the lease's message; `None` where nobody can be told: the message is a report itself, or
/// its sender is a local address that nobody has.
fn report(
    shared: &Shared,
    config: &Config,
    lease: &Lease,
    kind: DsnKind,
    recipients: &[(u32, &Report)],
    now: SystemTime,
) -> Option<NewReport> {
    let attempt = lease.attempt();
    let sender = attempt.mail.reverse_path.mailbox()?;
    let targets = targets(config, sender)?;
    let header = HeaderBlock::from_bytes(attempt.content.header().clone());
    let recipients: Vec<_> = attempt
        .recipients
        .iter()
        .filter_map(|recipient| {
            let (_, report) = recipients.iter().find(|(number, _)| *number == recipient.number)?;
            Some(DsnRecipient {
                number: recipient.number,
                forward_path: &recipient.rcpt.forward_path,
                original: recipient.original.as_ref(),
                report,
                last_attempt_at: match lease.overdue() {
                    Some(_) => lease.last_attempt_at(recipient.number),
                    None => Some(now),
                },
            })
        })
        .collect();
    let id = shared.queue().next_id();
    let dsn = dsn::compose(&DsnRequest {
        kind,
        id,
        reporting_mta: &config.hostname,
        message: lease.id(),
        reverse_path: sender,
        received_at: lease.received_at(),
        header: &header,
        recipients: &recipients,
        now,
    });
    let mut deliveries = Deliveries::default();
    for target in targets {
        deliveries.add(target, &dsn.rcpt);
    }
    let message = NewMessage {
        mail: dsn.mail,
        header: dsn.header,
        facts: dsn.facts,
        received_at: now,
        expires_at: now + config.queue.expire_after,
        delay_notice_at: None,
        deliveries: deliveries.into_vec(),
        origin: format!("report on {}", lease.id()),
    };
    Some(NewReport { message, body: dsn.body, id: Some(id) })
}

/// Where mail for the sender goes.
fn targets(config: &Config, sender: &Mailbox) -> Option<Vec<Target>> {
    let path = ForwardPath::Mailbox(sender.clone());
    match config.policy.local().map_or(Resolution::NotLocal, |local| local.resolve(&path)) {
        Resolution::Targets(Expansion { targets, .. }) => Some(targets),
        Resolution::NotLocal => Some(vec![Target::Mailbox(sender.clone())]),
        Resolution::Unknown | Resolution::Loop | Resolution::TooMany => None,
    }
}

fn note(shared: &Shared, lease: &Lease, judged: &Judged, now: SystemTime) {
    let attempt = lease.attempt();
    let Some(recipient) = attempt.recipients.iter().find(|recipient| recipient.number == judged.number) else { return };
    let class = if lease.lane().is_local() { DeliveryClass::Local } else { DeliveryClass::Remote };
    let age = now.duration_since(lease.received_at()).unwrap_or_default();
    // What has expired was not tried once more.
    let tried = u32::from(lease.overdue().is_none());
    let attempts = lease.attempts_of(judged.number) + tried;
    shared.metrics().delivery(judged.result, class, age);
    log::attempt(log::Attempt {
        recipient: RecipientId { message: attempt.id, number: judged.number },
        result: judged.result,
        class,
        lane: lease.lane(),
        attempts,
        age,
        due: match judged.change {
            RecipientChange::Deferred { due } => Some(due),
            RecipientChange::Delivered | RecipientChange::Failed => None,
        },
        reverse_path: &attempt.mail.reverse_path,
        forward_path: &recipient.rcpt.forward_path,
        original: recipient.original.as_ref(),
        report: &judged.report,
    });
    shared.tell(|| Attempted {
        message: attempt.id,
        reverse_path: attempt.mail.reverse_path.clone(),
        forward_path: recipient.rcpt.forward_path.clone(),
        result: judged.result,
        attempts,
        age,
        report: judged.report.clone(),
    });
}

/// The time was up before the first attempt: the next hop was out of reach, or the message was held.
fn never_tried() -> Report {
    Report::new(
        EnhancedStatus::new(4, 4, 7),
        "no attempt could be made: the next hop was out of reach, or the mail was held",
    )
}
