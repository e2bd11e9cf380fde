//! The committer: one thread that makes everything durable, all that waits as one batch.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use smtp_mail::MessageId;

use crate::control::ControlError;
use crate::error::{CommitError, FatalError};
use crate::lease::SettleError;
use crate::request::{Request, Taken};
use crate::shared::{Shared, Trouble, chain};
use crate::store::{PreparedBody, StoreWriter, WriteError};

mod plan;
#[cfg(test)]
mod tests;

use plan::{Done, Plan};

/// How often a log that could not be written is tried again.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long the committer sleeps at most when nothing comes.
const IDLE_PATIENCE: Duration = Duration::from_secs(1);

/// How many deliveries each message has left, where that is more than one.
pub(crate) type Unfinished = HashMap<MessageId, u32>;

/// Starts the thread.
pub(crate) fn start(
    shared: Arc<Shared>,
    writer: Box<dyn StoreWriter>,
    unfinished: Unfinished,
) -> std::io::Result<JoinHandle<()>> {
    let mut committer =
        Committer { shared, writer, unfinished, retained: Vec::new(), failed: None, more_upkeep: false };
    std::thread::Builder::new().name("queue-commit".to_owned()).spawn(move || committer.run_or_fail())
}

struct Committer {
    shared: Arc<Shared>,
    writer: Box<dyn StoreWriter>,
    unfinished: Unfinished,
    /// Settlements that wait for the log to be writable again: what was delivered must not be forgotten.
    retained: Vec<Request>,
    /// The error that made the log unwritable, and when that is looked at again.
    failed: Option<(WriteError, Instant)>,
    more_upkeep: bool,
}

impl Committer {
    /// Runs; after a panic the queue is as good as lost to this process.
    fn run_or_fail(&mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            let source = Arc::new(std::io::Error::other("the committer panicked"));
            self.fail(WriteError::Sync { path: self.shared.store.path(), source });
        }
        self.retained.clear();
        self.shared.requests.abandon();
    }

    fn run(&mut self) {
        loop {
            match self.shared.requests.take(self.patience()) {
                Taken::Batch(requests) => self.batch(requests),
                Taken::Idle => self.upkeep(),
                Taken::Closed => break,
            }
            self.probe();
            if self.shared.fatal.borrow().is_some() {
                return;
            }
        }
        self.writer.close();
    }

    fn patience(&self) -> Duration {
        match &self.failed {
            Some((_, at)) => at.saturating_duration_since(Instant::now()),
            None if self.more_upkeep => Duration::ZERO,
            None => IDLE_PATIENCE,
        }
    }

    fn upkeep(&mut self) {
        if self.failed.is_some() {
            return;
        }
        match self.writer.maintain() {
            Ok(more) => self.more_upkeep = more,
            Err(error) => self.fail(error),
        }
    }

    fn probe(&mut self) {
        if self.failed.as_ref().is_none_or(|(_, at)| Instant::now() < *at) {
            return;
        }
        match self.writer.probe() {
            Ok(()) => {
                tracing::info!("the queue can be written again");
                self.failed = None;
                self.shared.set_trouble(None);
                let retained = std::mem::take(&mut self.retained);
                if !retained.is_empty() {
                    self.batch(retained);
                }
                self.shared.changed.notify_one();
            }
            Err(error) => self.fail(error),
        }
    }

    /// The log cannot be written; or, after a failed sync, never again by this process.
    fn fail(&mut self, error: WriteError) {
        match &error {
            WriteError::Write { source, .. } => {
                if self.failed.is_none() {
                    tracing::error!(error = chain(&error), "the queue cannot be written; tried again every second");
                }
                let full = CommitError::of_write(std::path::PathBuf::new(), Arc::clone(source)).is_full();
                self.shared.set_trouble(Some(Trouble { reason: chain(&error), full }));
            }
            WriteError::Sync { path, source } => {
                tracing::error!(error = chain(&error), "what was written to the queue may not be durable");
                let fatal = FatalError { path: path.clone(), source: Arc::clone(source) };
                self.shared.set_trouble(Some(Trouble { reason: chain(&error), full: false }));
                self.shared.fatal.send_replace(Some(fatal));
            }
        }
        self.failed = Some((error, Instant::now() + PROBE_EVERY));
    }

    fn batch(&mut self, mut requests: Vec<Request>) {
        if let Some((error, _)) = &self.failed {
            let error = error.clone();
            self.refuse(requests, &error);
            return;
        }
        keep_bodies(&mut requests, true);
        let mut plan = Plan::new(&self.shared, &self.unfinished);
        for request in &requests {
            plan.add(request);
        }
        let (changes, effects, done) = plan.finish();
        let written = if changes.is_empty() { Ok(()) } else { self.writer.append(&changes) };
        if let Err(error) = written {
            drop(changes);
            self.fail(error.clone());
            keep_bodies(&mut requests, matches!(error, WriteError::Sync { .. }));
            self.refuse(requests, &error);
            return;
        }
        effects.apply(&self.shared, &mut self.unfinished);
        let messages = requests.iter().filter(|request| matches!(request, Request::Commit { .. })).count();
        self.shared.count_batch(messages as u64);
        self.shared.space.written(requests.iter().map(Request::octets).sum());
        self.shared.changed.notify_one();
        crate::fail_point::pass("commit.before_answer");
        for (request, done) in requests.into_iter().zip(done) {
            answer(request, done);
        }
        self.more_upkeep = true;
    }

    /// Nothing of this is durable. Settlements are kept until it can be.
    fn refuse(&mut self, requests: Vec<Request>, error: &WriteError) {
        let fatal = matches!(error, WriteError::Sync { .. });
        for request in requests {
            // Nobody may listen any more: then nobody needs to know.
            match request {
                Request::Commit { answer, .. } => drop(answer.send(Err(commit_error(error)))),
                Request::Settle { answer, .. } if fatal => drop(answer.send(Err(SettleError::Closed))),
                Request::Settle { .. } => self.retained.push(request),
                Request::Control { answer, .. } => drop(answer.send(Err(unavailable(error)))),
                Request::Pauses { answer, .. } => drop(answer.send(Err(unavailable(error)))),
            }
        }
    }
}

/// The names of body files are in the record that is about to be written: from then on they stay, whatever happens.
fn keep_bodies(requests: &mut [Request], kept: bool) {
    for request in requests {
        if let Request::Commit { message, .. } = request
            && let PreparedBody::File(file) = &mut message.body
        {
            file.keep(kept);
        }
    }
}

fn answer(request: Request, done: Done) {
    // Nobody may listen any more: then nobody needs to know.
    match (request, done) {
        (Request::Commit { answer, .. }, _) => drop(answer.send(Ok(()))),
        (Request::Settle { answer, .. }, Done::Settled(settled)) => drop(answer.send(Ok(settled))),
        (Request::Control { answer, .. }, Done::Controlled(result)) => drop(answer.send(result)),
        (Request::Pauses { answer, .. }, Done::Pauses(changed)) => drop(answer.send(Ok(changed))),
        (request, done) => unreachable!("{request:?} is not answered with {done:?}"),
    }
}

fn commit_error(error: &WriteError) -> CommitError {
    match error {
        WriteError::Write { path, source } => CommitError::of_write(path.clone(), Arc::clone(source)),
        WriteError::Sync { path, source } => CommitError::Sync { path: path.clone(), source: Arc::clone(source) },
    }
}

fn unavailable(error: &WriteError) -> ControlError {
    ControlError::Unavailable { reason: chain(error) }
}

/// The clock, for what operators did and when pauses end; never for when mail is due.
fn now() -> SystemTime {
    SystemTime::now()
}
