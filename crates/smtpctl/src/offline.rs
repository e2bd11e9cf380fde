//! What works without a server, on the directory of the queue itself.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde::Serialize;
use smtp_admin::queue as view;
use smtp_admin::{ClientError, QueueCheck, Selector};
use smtp_queue::{OpenError, Page, Queue, QueueConfig, StartReport};

use crate::act::line;
use crate::failure::Failure;
use crate::place::Place;
use crate::render;
use crate::show::QueueList;

/// Deliveries that are read at once.
const PAGE: usize = 500;

/// `show queue` when nobody answers: `not_running` says so.
pub(crate) fn find(
    directory: &Path,
    selector: &Selector,
    list: &mut QueueList,
    not_running: ClientError,
) -> Result<(), Failure> {
    if !directory.exists() {
        return Err(not_running.into());
    }
    let selector = view::selector(selector).map_err(|error| Failure::Usage(error.to_string()))?;
    let (queue, _) = open(directory, Queue::open)?;
    note(directory);
    let now = SystemTime::now();
    let mut page = Page::first(PAGE);
    let mut left = selector.limit.unwrap_or(usize::MAX);
    loop {
        let deliveries = queue.find(&selector, page, now).map_err(|error| Failure::Failed(error.into()))?;
        let Some(end) = deliveries.last().filter(|_| left > 0) else { break };
        page = page.after(end.id);
        for recipient in deliveries.iter().flat_map(|delivery| view::selected(delivery, &selector, now)).take(left) {
            list.push(&recipient)?;
            left -= 1;
        }
    }
    queue.close();
    Ok(())
}

/// `check`: by the server where one runs, else here.
pub(crate) async fn check(directory: Option<PathBuf>, place: &Place, json: bool) -> Result<(), Failure> {
    let check = match directory {
        Some(directory) => check_here(&directory)?,
        None => match place.client()?.check().await {
            Ok(check) => check,
            Err(ClientError::NotRunning { .. }) => check_here(&place.queue_directory()?)?,
            Err(error) => return Err(error.into()),
        },
    };
    let mut output = io::stdout().lock();
    if json {
        writeln!(output, "{}", line(&check)?)?;
    } else {
        render::check(&mut output, &check)?;
    }
    match check.problems.len() {
        0 => Ok(()),
        problems => Err(Failure::Failed(anyhow::anyhow!("{}", render::count(problems as u64, "problem")))),
    }
}

fn check_here(directory: &Path) -> Result<QueueCheck, Failure> {
    let (queue, report) = open(directory, Queue::open)?;
    note(directory);
    let check = view::check(&queue, SystemTime::now()).map_err(|error| Failure::Failed(error.into()));
    queue.close();
    let mut check = check?;
    check.problems.splice(0..0, damage(&report));
    Ok(check)
}

/// What `rebuild` did, for programs.
#[derive(Serialize)]
struct Rebuilt {
    messages: u64,
    deliveries: u64,
    old_index: Option<PathBuf>,
    problems: Vec<String>,
}

/// `rebuild`: nothing but the log is believed.
pub(crate) fn rebuild(directory: Option<PathBuf>, place: &Place, json: bool) -> Result<(), Failure> {
    let directory = directory.map_or_else(|| place.queue_directory(), Ok)?;
    let (queue, report) = open(&directory, Queue::rebuild)?;
    queue.close();
    let rebuilt = Rebuilt {
        messages: report.messages,
        deliveries: report.deliveries,
        problems: damage(&report).collect(),
        old_index: report.index_set_aside,
    };
    let mut output = io::stdout().lock();
    if json {
        writeln!(output, "{}", line(&rebuilt)?)?;
        return Ok(());
    }
    for problem in &rebuilt.problems {
        writeln!(output, "{problem}")?;
    }
    let (messages, deliveries) = (render::count(rebuilt.messages, "message"), render::deliveries(rebuilt.deliveries));
    writeln!(output, "the index was made anew: {messages}, {deliveries}")?;
    if let Some(old) = &rebuilt.old_index {
        writeln!(output, "the old one is {}; remove it when all is well", old.display())?;
    }
    Ok(())
}

/// What was wrong with the log when it was opened.
fn damage(report: &StartReport) -> impl Iterator<Item = String> {
    report.damage.iter().map(|damage| {
        let message = damage.message.map_or_else(String::new, |id| format!(" of message {id}"));
        let (path, offset, octets) = (damage.segment.display(), damage.offset, damage.octets);
        format!("{path}: {octets} octets{message} from octet {offset} on cannot be read")
    })
}

/// Opens the queue as its owner.
fn open(
    directory: &Path,
    by: fn(&QueueConfig) -> Result<(Queue, StartReport), OpenError>,
) -> Result<(Queue, StartReport), Failure> {
    become_owner(directory)?;
    by(&QueueConfig::new(directory)).map_err(|error| match error {
        OpenError::Locked { .. } => {
            Failure::Failed(anyhow::anyhow!("{error}: stop the server, or say with --socket where it listens"))
        }
        error => Failure::Failed(error.into()),
    })
}

/// Becomes the user that owns the directory, so that every file which is made there belongs to the server.
fn become_owner(directory: &Path) -> Result<(), Failure> {
    let found = fs::metadata(directory);
    let found =
        found.with_context(|| format!("there is no queue at {}", directory.display())).map_err(Failure::Failed)?;
    let (own, owner) = (geteuid().as_raw(), found.uid());
    if own == owner {
        return Ok(());
    }
    if own != 0 {
        let directory = directory.display();
        let text = format!("the queue {directory} belongs to user id {owner}: run this as root or as that user");
        return Err(Failure::NotPermitted(text));
    }
    change_user(Uid::from_raw(owner), Gid::from_raw(found.gid()))
        .with_context(|| format!("cannot become the owner of {}", directory.display()))
        .map_err(Failure::Failed)
}

/// The threads that the queue starts later inherit it; there are no others yet.
fn change_user(uid: Uid, gid: Gid) -> io::Result<()> {
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

fn note(directory: &Path) {
    let _ = writeln!(io::stderr(), "smtpctl: the server is not running; this is what is in {}", directory.display());
}
