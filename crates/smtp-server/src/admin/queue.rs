//! What is in the queue, and acts on it.

use std::convert::Infallible;
use std::error::Error;
use std::time::SystemTime;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use smtp_admin::queue as view;
use smtp_admin::{ControlReport, JSON_LINES, QueueCheck, QueuedMessage, QueuedRecipient};
use smtp_queue::select::IdSelector;
use smtp_queue::{Act, DeliveryView, MessageView, Page, Queue, Selector};
use tokio::task::spawn_blocking;

use super::answer::{Json, Refusal, read};
use super::state::until;
use super::{Peer, now};
use crate::control::Control;
use crate::log;

/// Deliveries that are read at once for a list: what a list holds in memory, whatever the length of the queue.
const PAGE: usize = 500;

/// Octets of content that are read at once.
const CHUNK_OCTETS: usize = 64 * 1024;

pub(super) async fn find(State(control): State<Control>, body: Bytes) -> Result<Response, Refusal> {
    let given: smtp_admin::Selector = read(&body)?;
    let selector = view::selector(&given).map_err(Refusal::bad_request)?;
    let lines = stream::unfold(List::new(&control, selector, now()), async |mut list| {
        let lines = list.lines().await?;
        Some((Ok::<_, Infallible>(lines), list))
    });
    Ok(([(CONTENT_TYPE, JSON_LINES)], Body::from_stream(lines)).into_response())
}

/// A walk through the queue, page by page.
struct List {
    queue: Queue,
    selector: Selector,
    /// The next one; `None`: the end is reached.
    page: Option<Page>,
    /// Recipients that the limit still admits.
    left: usize,
    now: SystemTime,
}

impl List {
    fn new(control: &Control, selector: Selector, now: SystemTime) -> Self {
        let left = selector.limit.unwrap_or(usize::MAX);
        Self { queue: control.queue().clone(), selector, page: Some(Page::first(PAGE)), left, now }
    }

    /// The deliveries of the next page; `None` at the end.
    async fn page(&mut self) -> Result<Option<Vec<DeliveryView>>, Refusal> {
        let Some(page) = self.page.take().filter(|_| self.left > 0) else { return Ok(None) };
        let (queue, selector, now) = (self.queue.clone(), self.selector.clone(), self.now);
        let deliveries = blocking(move || queue.find(&selector, page, now)).await?;
        self.page = deliveries.last().map(|last| page.after(last.id));
        Ok(self.page.is_some().then_some(deliveries))
    }

    /// The recipients of these deliveries that are meant, as far as the limit admits them.
    fn recipients(&mut self, deliveries: &[DeliveryView]) -> Vec<QueuedRecipient> {
        let meant = deliveries.iter().flat_map(|delivery| view::selected(delivery, &self.selector, self.now));
        let admitted: Vec<_> = meant.take(self.left).collect();
        self.left -= admitted.len();
        admitted
    }

    /// The lines of the next page that has any. An error becomes the last line of the list.
    async fn lines(&mut self) -> Option<Bytes> {
        loop {
            let mut lines = Vec::new();
            match self.page().await {
                Ok(None) => return None,
                Ok(Some(deliveries)) => {
                    for recipient in self.recipients(&deliveries) {
                        push(&mut lines, &recipient);
                    }
                }
                Err(refusal) => push(&mut lines, &refusal.into_problem()),
            }
            if !lines.is_empty() {
                return Some(lines.into());
            }
        }
    }
}

fn push(lines: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(&mut *lines, value).expect("what the API has can be written as JSON");
    lines.push(b'\n');
}

/// Runs what reads from the disk where it may block.
async fn blocking<T, E>(read: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Refusal>
where
    T: Send + 'static,
    E: Error + Send + 'static,
{
    let done = spawn_blocking(read).await.map_err(|error| Refusal::failed(&error))?;
    done.map_err(|error| Refusal::failed(&error))
}

pub(super) async fn control(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Json<ControlReport>, Refusal> {
    let request: smtp_admin::Control = read(&body)?;
    let selector = view::selector(&request.selector).map_err(Refusal::bad_request)?;
    let now = now();
    let act = act(&request, now)?;
    if request.dry_run {
        let mut list = List::new(&control, selector, now);
        let mut matched = 0;
        while let Some(deliveries) = list.page().await? {
            matched += list.recipients(&deliveries).len() as u64;
        }
        return Ok(Json(ControlReport { matched, changed: 0 }));
    }
    let report = control.queue().control(&selector, act, now).await.map_err(|error| Refusal::failed(&error))?;
    let report = ControlReport { matched: report.matched as u64, changed: report.changed as u64 };
    let target = serde_json::to_string(&request.selector).unwrap_or_default();
    let (act, reason) = (request.act.as_str(), request.reason.as_deref());
    log::act(log::Act { uid: peer.uid, act, target: &target, changed: report.changed, reason });
    Ok(Json(report))
}

fn act(request: &smtp_admin::Control, now: SystemTime) -> Result<Act, Refusal> {
    Ok(match request.act {
        smtp_admin::Act::Hold => {
            let reason = request.reason.clone().unwrap_or_else(|| "held by an operator".to_owned());
            Act::Hold { reason, until: until(now, request.for_seconds)? }
        }
        smtp_admin::Act::Release => Act::Release,
        smtp_admin::Act::Schedule => Act::DueNow,
        smtp_admin::Act::Remove => Act::Remove,
    })
}

pub(super) async fn message(
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Result<Json<QueuedMessage>, Refusal> {
    let found = look_up(&control, &id).await?;
    Ok(Json(view::message(&found, now())))
}

pub(super) async fn content(State(control): State<Control>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let found = look_up(&control, &id).await?;
    let Some(content) = found.content else {
        return Err(Refusal::conflict(format!("the content of {} is damaged and was put aside", found.id)));
    };
    let chunks = stream::try_unfold((content, 0), async |(content, position)| {
        let (chunk, content) = spawn_blocking(move || (content.chunk(position, CHUNK_OCTETS), content)).await?;
        let chunk: Bytes = chunk?;
        let next = (content, position + chunk.len() as u64);
        Ok::<_, std::io::Error>(if chunk.is_empty() { None } else { Some((chunk, next)) })
    });
    Ok(([(CONTENT_TYPE, "message/rfc822")], Body::from_stream(chunks)).into_response())
}

pub(super) async fn check(State(control): State<Control>) -> Result<Json<QueueCheck>, Refusal> {
    let queue = control.queue().clone();
    Ok(Json(blocking(move || view::check(&queue, now())).await?))
}

/// The message of this id, or the one that has a recipient of this id.
async fn look_up(control: &Control, text: &str) -> Result<MessageView, Refusal> {
    let id: IdSelector = text.parse().map_err(|error| Refusal::not_found(format!("`{text}` is not an id: {error}")))?;
    let queue = control.queue().clone();
    let found = blocking(move || queue.message(id.message(), now())).await?;
    let missing = || Refusal::not_found(format!("there is no {text} in the queue: it is done with, or never was"));
    let found = found.ok_or_else(missing)?;
    let mut numbers =
        found.deliveries.iter().flat_map(|delivery| &delivery.recipients).map(|recipient| recipient.number);
    match id {
        IdSelector::Recipient(id) if !numbers.any(|number| number == id.number) => Err(missing()),
        _ => Ok(found),
    }
}
