//! What outcomes mean: when a recipient is tried again, and who is owed a report.

use std::io;
use std::time::SystemTime;

use smtp_mail::dsn::{self, DsnKind, DsnRecipient, DsnRequest};
use smtp_mail::header::HeaderBlock;
use smtp_mail::{Attempt, Content, DeliveryResult, Outcome, RecipientId, Report};
use smtp_proto::{DeliverByMode, EnhancedStatus, Notify, Ret};
use smtp_queue::{Lease, NewMessage, NewReport, Overdue, RecipientChange, RecipientOutcome, Settlement};

use super::deadline;
use crate::config::Config;
use crate::deliveries::Deliveries;
use crate::log;
use crate::metrics::{self, AttemptResult, DeliveryClass};
use crate::shared::{Attempted, Shared};

/// Content up to this size is returned whole to a sender who asked for that, in octets; of longer content the header is.
const RETURNED_OCTETS_MAX: u64 = 256 * 1024;
/// So much of it is read at a time.
const READ_OCTETS: usize = 64 * 1024;

/// What the outcomes of an attempt mean: each is logged and counted, and what failed for good is reported.
pub(super) async fn settlement(shared: &Shared, lease: Lease, outcomes: Vec<Outcome>, now: SystemTime) -> Settlement {
    let config = shared.config();
    let judged = outcomes.into_iter().map(|outcome| judge(&config, &lease, outcome, now)).collect();
    conclude(shared, &config, lease, judged, now).await
}

/// What it means that a message's time is up, or that it is late.
/// What was not tried itself is told the `trouble` with its next hop, if there is any.
pub(super) async fn overdue(shared: &Shared, lease: Lease, trouble: Option<&Report>, now: SystemTime) -> Settlement {
    let config = shared.config();
    if lease.overdue() == Some(Overdue::NoticeOwed) {
        return delay_notice(shared, &config, lease, trouble, now).await;
    }
    let expire = |recipient: &smtp_mail::AttemptRecipient| {
        let known = lease.last_report_of(recipient.number).or(trouble);
        let known = known.cloned().unwrap_or_else(never_tried);
        let report = deadline::told(&lease, DeliverByMode::Return, known, now);
        Judged {
            number: recipient.number,
            result: AttemptResult::Expired,
            change: RecipientChange::Failed,
            report,
            reports_passed_on: false,
            deadline_passed_on: false,
        }
    };
    let judged = lease.attempt().recipients.iter().map(expire).collect();
    conclude(shared, &config, lease, judged, now).await
}

/// What became of one recipient.
struct Judged {
    number: u32,
    result: AttemptResult,
    change: RecipientChange,
    report: Report,
    reports_passed_on: bool,
    deadline_passed_on: bool,
}

fn judge(config: &Config, lease: &Lease, outcome: Outcome, now: SystemTime) -> Judged {
    let Outcome { recipient: number, reports_passed_on, deadline_passed_on, .. } = outcome;
    let (result, change, report) = match outcome.result {
        DeliveryResult::Delivered(report) => (AttemptResult::Delivered, RecipientChange::Delivered, report),
        DeliveryResult::Failed(report) => (AttemptResult::Failed, RecipientChange::Failed, report),
        DeliveryResult::Deferred(report) if now >= lease.expires_at() => {
            (AttemptResult::Expired, RecipientChange::Failed, deadline::told(lease, DeliverByMode::Return, report, now))
        }
        DeliveryResult::Deferred(report) => {
            let attempts = lease.attempts_of(number) + 1;
            let due = config.queue.retry.next(attempts, now, lease.expires_at(), lease.id().as_raw());
            (AttemptResult::Deferred, RecipientChange::Deferred { due }, report)
        }
    };
    Judged { number, result, change, report, reports_passed_on, deadline_passed_on }
}

/// Logs, counts and tells what was judged, and adds the reports that failures and successes owe.
async fn conclude(shared: &Shared, config: &Config, lease: Lease, judged: Vec<Judged>, now: SystemTime) -> Settlement {
    for recipient in &judged {
        note(shared, &lease, recipient, now);
    }
    let reports = reports(shared, config, &lease, &judged, now).await;
    let outcomes = judged
        .into_iter()
        .map(|Judged { number, change, report, .. }| RecipientOutcome { number, change, report })
        .collect();
    Settlement { lease, outcomes, reports, notice_sent: false }
}

/// What the sender is told of this attempt: of failures, and of successes where it has asked for that (RFC 3461 §5.2).
async fn reports(
    shared: &Shared,
    config: &Config,
    lease: &Lease,
    judged: &[Judged],
    now: SystemTime,
) -> Vec<NewReport> {
    let owed = |kind: DsnKind, is_due: fn(&Judged) -> bool| {
        let recipients = judged.iter().filter(|judged| is_due(judged)).map(|judged| (judged.number, &judged.report));
        wanted(lease, kind, recipients)
    };
    let mut reports = Vec::new();
    let failed = owed(DsnKind::Failed, |judged| judged.change == RecipientChange::Failed);
    if !failed.is_empty() {
        let report = report(shared, config, lease, DsnKind::Failed, &failed, now).await;
        if let Some(id) = report.as_ref().and_then(|report| report.id) {
            log::bounced(lease.id(), id);
            shared.metrics().dsn(metrics::DsnKind::Failed);
        } else {
            log::not_reported(lease.id(), &lease.attempt().mail.reverse_path, failed.len());
        }
        reports.extend(report);
    }
    let (kind, counted) = if lease.lane().is_local() {
        (DsnKind::Delivered, metrics::DsnKind::Delivered)
    } else {
        (DsnKind::Relayed, metrics::DsnKind::Relayed)
    };
    let succeeded: Vec<_> = judged
        .iter()
        .filter(|judged| judged.change == RecipientChange::Delivered && hears_of_success(lease, kind, judged, now))
        .map(|judged| (judged.number, &judged.report))
        .collect();
    if !succeeded.is_empty()
        && let Some(report) = report(shared, config, lease, kind, &succeeded, now).await
    {
        if let Some(id) = report.id {
            log::success_reported(lease.id(), id);
        }
        shared.metrics().dsn(counted);
        reports.push(report);
    }
    reports
}

/// Whether the sender is told that a recipient has the message, or that it was handed on.
fn hears_of_success(lease: &Lease, kind: DsnKind, judged: &Judged, now: SystemTime) -> bool {
    let notify = notify(lease, judged.number);
    let by_notify = !judged.reports_passed_on && kind.is_wanted(notify);
    by_notify || deadline::hears_of_relay(lease, notify, judged.deadline_passed_on, now)
}

/// Of what the sender wants to hear for a recipient, as far as it has said.
fn notify(lease: &Lease, number: u32) -> Option<Notify> {
    let all = &lease.attempt().recipients;
    all.iter().find(|recipient| recipient.number == number)?.rcpt.parameters.notify
}

/// Of these recipients, those whose sender wants to hear of it.
fn wanted<'a>(
    lease: &Lease,
    kind: DsnKind,
    recipients: impl Iterator<Item = (u32, &'a Report)>,
) -> Vec<(u32, &'a Report)> {
    recipients.filter(|(number, _)| kind.is_wanted(notify(lease, *number))).collect()
}

/// Tells the sender that the message is late. Nothing is told twice, and nothing to the null reverse-path.
async fn delay_notice(
    shared: &Shared,
    config: &Config,
    lease: Lease,
    trouble: Option<&Report>,
    now: SystemTime,
) -> Settlement {
    let kind = DsnKind::Delayed { retry_until: lease.expires_at() };
    let known = lease.attempt().recipients.iter().map(|recipient| {
        let known = lease.last_report_of(recipient.number).or(trouble).cloned().unwrap_or_else(never_tried);
        (recipient.number, deadline::told(&lease, DeliverByMode::Notify, known, now))
    });
    let known: Vec<_> = known.collect();
    let waiting = wanted(&lease, kind, known.iter().map(|(number, report)| (*number, report)));
    let report = if waiting.is_empty() { None } else { report(shared, config, &lease, kind, &waiting, now).await };
    if let Some(id) = report.as_ref().and_then(|report| report.id) {
        log::delay_notice(lease.id(), id);
        shared.metrics().dsn(metrics::DsnKind::Delayed);
    }
    Settlement { lease, outcomes: Vec::new(), reports: report.into_iter().collect(), notice_sent: true }
}

/// The report to the sender of the lease's message; `None` where nobody can be told: the message is a report itself, or
/// its sender is a local address that nobody has.
async fn report(
    shared: &Shared,
    config: &Config,
    lease: &Lease,
    kind: DsnKind,
    recipients: &[(u32, &Report)],
    now: SystemTime,
) -> Option<NewReport> {
    let attempt = lease.attempt();
    let sender = attempt.mail.reverse_path.mailbox()?;
    let targets = config.targets_of(sender)?;
    let recipients = dsn_recipients(lease, recipients, now);
    let id = shared.queue().next_id();
    let content = returned_content(kind, attempt).await;
    let dsn = dsn::compose(&DsnRequest {
        kind,
        id,
        reporting_mta: &config.hostname,
        message: lease.id(),
        reverse_path: sender,
        parameters: &attempt.mail.parameters,
        received_at: lease.received_at(),
        header: &HeaderBlock::from_bytes(attempt.content.header().clone()),
        content: content.as_deref(),
        recipients: &recipients,
        now,
    });
    let mut deliveries = Deliveries::default();
    deliveries.add_all(targets, &dsn.rcpt);
    let message = NewMessage {
        mail: dsn.mail,
        header: dsn.header,
        facts: dsn.facts,
        received_at: now,
        expires_at: now + config.queue.expire_after,
        delay_notice_at: None,
        deliveries: deliveries.into_vec(),
        origin: format!("report on {}", lease.id()),
        hold: None,
    };
    Some(NewReport { message, body: dsn.body, id: Some(id) })
}

/// What the report says of each of these recipients.
fn dsn_recipients<'a>(lease: &'a Lease, recipients: &[(u32, &'a Report)], now: SystemTime) -> Vec<DsnRecipient<'a>> {
    let told = lease.attempt().recipients.iter().filter_map(|recipient| {
        let (_, report) = recipients.iter().find(|(number, _)| *number == recipient.number)?;
        Some(DsnRecipient {
            number: recipient.number,
            forward_path: &recipient.rcpt.forward_path,
            original: recipient.original.as_ref(),
            original_recipient: recipient.rcpt.parameters.original_recipient.as_ref(),
            report,
            last_attempt_at: match lease.overdue() {
                Some(_) => lease.last_attempt_at(recipient.number),
                None => Some(now),
            },
        })
    });
    told.collect()
}

/// The content that a report of failure returns, where the sender wants all of it back (RFC 3461 §4.3) and it is of a size
/// that is no burden. Where it cannot be read, the header does.
async fn returned_content(kind: DsnKind, attempt: &Attempt) -> Option<Vec<u8>> {
    let parameters = &attempt.mail.parameters;
    let wanted = kind == DsnKind::Failed && parameters.ret == Some(Ret::Full) && !parameters.require_tls;
    if !wanted || attempt.content.octets() > RETURNED_OCTETS_MAX {
        return None;
    }
    let content = attempt.content.clone();
    // A disk that is slow keeps no session waiting.
    tokio::task::spawn_blocking(move || read(&content)).await.ok()?.ok()
}

fn read(content: &Content) -> io::Result<Vec<u8>> {
    let octets = content.octets();
    let mut read = Vec::new();
    while (read.len() as u64) < octets {
        read.extend_from_slice(&content.chunk(read.len() as u64, READ_OCTETS)?);
    }
    Ok(read)
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
