//! How the daemon is, and what of it is paused.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use smtp_admin::queue::timestamp;
use smtp_admin::{Pause, PauseRequest, QueueCounts, ResumeRequest, Running, Scope, Stats, Status};
use smtp_queue::PauseScope;

use super::answer::{Json, Refusal, read};
use super::{Peer, now};
use crate::control::{Control, SmtpPause};
use crate::log::{self, Act};
use crate::metrics::{self, AttemptResult, DeliveryClass, DsnKind, Metrics, Service};

pub(super) async fn readyz(State(control): State<Control>) -> impl IntoResponse {
    let readiness = control.readiness(now());
    let mut text = if readiness.ready { "ok\n".to_owned() } else { String::new() };
    for problem in readiness.problems {
        text.push_str(&problem.replace(['\r', '\n'], " "));
        text.push('\n');
    }
    (if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

pub(super) async fn metrics(State(control): State<Control>) -> impl IntoResponse {
    let now = now();
    let reading = control.queue_reading(now);
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], control.metrics().render(&reading, now))
}

pub(super) async fn status(State(control): State<Control>) -> Json<Status> {
    Json(status_of(&control, now()))
}

pub(super) async fn stats(State(control): State<Control>) -> Json<Stats> {
    Json(Stats { uptime_seconds: control.uptime(now()).as_secs(), counters: counters(control.metrics()) })
}

pub(super) async fn pause(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Json<Status>, Refusal> {
    let PauseRequest { scope, for_seconds, reason } = read(&body)?;
    let now = now();
    let until = until(now, for_seconds)?;
    match queue_scope(&scope)? {
        None => control.pause_smtp(SmtpPause { until, reason: reason.clone() }),
        Some(scope) => {
            let pause = smtp_queue::Pause { scope, until, reason: reason.clone().unwrap_or_default() };
            control.queue().pause(pause).await.map_err(|error| Refusal::failed(&error))?;
        }
    }
    log::act(Act { uid: peer.uid, act: "pause", target: &scope, changed: 1, reason: reason.as_deref() });
    Ok(Json(status_of(&control, now)))
}

pub(super) async fn resume(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Json<Status>, Refusal> {
    let ResumeRequest { scope, reason } = read(&body)?;
    let now = now();
    let was_paused = match queue_scope(&scope)? {
        None => control.resume_smtp(now),
        Some(scope) => control.queue().resume(scope).await.map_err(|error| Refusal::failed(&error))?,
    };
    if !was_paused {
        return Err(Refusal::conflict(format!("{scope} is not paused")));
    }
    log::act(Act { uid: peer.uid, act: "resume", target: &scope, changed: 1, reason: reason.as_deref() });
    Ok(Json(status_of(&control, now)))
}

/// The end of a pause or a hold that lasts for some seconds.
pub(super) fn until(now: SystemTime, for_seconds: Option<u64>) -> Result<Option<SystemTime>, Refusal> {
    let end =
        |seconds| now.checked_add(Duration::from_secs(seconds)).ok_or_else(|| Refusal::bad_request("that is too long"));
    for_seconds.map(end).transpose()
}

/// The scope as the queue has it; `None`: it is not the queue's.
fn queue_scope(scope: &Scope) -> Result<Option<PauseScope>, Refusal> {
    Ok(match scope {
        Scope::Smtp => None,
        Scope::Mta => Some(PauseScope::Mta),
        Scope::Mda => Some(PauseScope::Mda),
        Scope::Domain(domain) => {
            let wrong = |error| Refusal::bad_request(format!("`{domain}` is not a domain: {error}"));
            Some(PauseScope::Domain(domain.parse().map_err(wrong)?))
        }
    })
}

fn status_of(control: &Control, now: SystemTime) -> Status {
    let readiness = control.readiness(now);
    let mut status = Status {
        mda: Running::default(),
        mta: Running::default(),
        smtp: Running::default(),
        paused_domains: BTreeMap::new(),
        ready: readiness.ready,
        problems: readiness.problems,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        hostname: control.hostname().to_owned(),
        started_at: timestamp(control.started_at()),
        sessions: control.metrics().sessions_open(),
        attempts: DeliveryClass::ALL.iter().map(|&class| control.metrics().attempts_under_way(class)).sum(),
        queue: queue_counts(control, now),
    };
    status.smtp.pause =
        control.smtp_pause(now).map(|pause| Pause { until: pause.until.map(timestamp), reason: pause.reason });
    for pause in control.queue().pauses(now) {
        let reason = Some(pause.reason).filter(|reason| !reason.is_empty());
        let shown = Pause { until: pause.until.map(timestamp), reason };
        match pause.scope {
            PauseScope::Mta => status.mta.pause = Some(shown),
            PauseScope::Mda => status.mda.pause = Some(shown),
            PauseScope::Domain(domain) => drop(status.paused_domains.insert(domain.to_string(), shown)),
        }
    }
    status
}

fn queue_counts(control: &Control, now: SystemTime) -> QueueCounts {
    let reading = control.queue_reading(now);
    QueueCounts {
        messages: reading.messages,
        deliveries: reading.due + reading.waiting + reading.in_flight + reading.held,
        due: reading.due,
        waiting: reading.waiting,
        in_flight: reading.in_flight,
        held: reading.held,
        content_octets: reading.content_octets,
        oldest_age_seconds: reading.oldest_age.as_secs(),
        free_octets: reading.free_octets,
    }
}

/// The counters by the names that OpenSMTPD gives to the same things; what it has no name for is named alike.
fn counters(metrics: &Metrics) -> BTreeMap<String, u64> {
    let by_class = |result| DeliveryClass::ALL.iter().map(|&class| metrics.deliveries(result, class)).sum::<u64>();
    let by_service =
        |count: fn(&Metrics, Service) -> u64| Service::ALL.iter().map(|&service| count(metrics, service)).sum();
    let mut counters = BTreeMap::from([
        ("scheduler.delivery.ok".to_owned(), by_class(AttemptResult::Delivered)),
        ("scheduler.delivery.tempfail".to_owned(), by_class(AttemptResult::Deferred)),
        ("scheduler.delivery.permfail".to_owned(), by_class(AttemptResult::Failed)),
        ("scheduler.delivery.expired".to_owned(), by_class(AttemptResult::Expired)),
        ("smtp.session".to_owned(), metrics.sessions_open()),
        ("smtp.session.total".to_owned(), by_service(Metrics::sessions_opened)),
        ("smtp.message.accepted".to_owned(), by_service(Metrics::messages_received)),
        ("mda.running".to_owned(), metrics.attempts_under_way(DeliveryClass::Local)),
        ("mta.running".to_owned(), metrics.attempts_under_way(DeliveryClass::Remote)),
        ("mta.session.total".to_owned(), metrics.client_sessions()),
        ("bounce.total".to_owned(), metrics.dsns(DsnKind::Failed)),
        ("bounce.delayed".to_owned(), metrics.dsns(DsnKind::Delayed)),
    ]);
    for &class in DeliveryClass::ALL {
        let part = match class {
            DeliveryClass::Local => "mda",
            DeliveryClass::Remote => "mta",
        };
        for &result in AttemptResult::ALL {
            counters.insert(format!("{part}.{result}"), metrics.deliveries(result, class));
        }
    }
    counters
}
