//! What operators ask of the daemon beyond the queue: which parts of it run, and how it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use smtp_queue::{DeliveryView, Page, Queue, Selector};

use crate::metrics::{Metrics, QueueReading};

/// The handle that the daemon makes once, and that its loops and the admin API share.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    metrics: Metrics,
    hostname: String,
    started_at: SystemTime,
    smtp_pause: Mutex<Option<SmtpPause>>,
    stopping: AtomicBool,
    problems: Mutex<BTreeMap<Topic, String>>,
}

/// A pause of taking mail in. It lasts until it is resumed, until its time, or until the daemon ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpPause {
    /// When it ends by itself; `None`: when it is resumed.
    pub until: Option<SystemTime>,
    /// Why, for people to read.
    pub reason: Option<String>,
}

/// What a problem is about. There is at most one problem of each topic, the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The last reload of the configuration.
    Configuration,
    /// The files of the certificates.
    Certificates,
    /// The users and aliases.
    Recipients,
    /// The listeners.
    Listeners,
}

impl Control {
    /// A daemon that begins now.
    pub fn new(queue: Queue, metrics: Metrics, hostname: impl Into<String>) -> Self {
        let shared = Shared {
            queue,
            metrics,
            hostname: hostname.into(),
            started_at: SystemTime::now(),
            smtp_pause: Mutex::default(),
            stopping: AtomicBool::new(false),
            problems: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The name of the host in the configuration that the daemon was started with.
    pub fn hostname(&self) -> &str {
        &self.shared.hostname
    }

    /// When the daemon began.
    pub fn started_at(&self) -> SystemTime {
        self.shared.started_at
    }

    /// If new sessions are to be served. While not, a client is answered 421 4.3.2 and the connection is closed.
    pub fn is_accepting(&self, now: SystemTime) -> bool {
        !self.is_stopping() && self.smtp_pause(now).is_none()
    }

    /// The pause of taking mail in, if one is in force.
    pub fn smtp_pause(&self, now: SystemTime) -> Option<SmtpPause> {
        let mut pause = lock(&self.shared.smtp_pause);
        if pause.as_ref().is_some_and(|pause| pause.until.is_some_and(|until| until <= now)) {
            *pause = None;
        }
        pause.clone()
    }

    /// Begins a pause of taking mail in, in place of one that is in force.
    pub fn pause_smtp(&self, pause: SmtpPause) {
        *lock(&self.shared.smtp_pause) = Some(pause);
    }

    /// Ends the pause of taking mail in. Whether there was one.
    pub fn resume_smtp(&self, now: SystemTime) -> bool {
        let in_force = self.smtp_pause(now).is_some();
        *lock(&self.shared.smtp_pause) = None;
        in_force
    }

    /// Says that the daemon is on its way down: it is no longer ready, and nothing undoes that.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }

    /// If the daemon is on its way down.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// Keeps a problem for the status, or forgets the one of that topic.
    pub fn set_problem(&self, topic: Topic, problem: Option<String>) {
        let mut problems = lock(&self.shared.problems);
        match problem {
            Some(problem) => drop(problems.insert(topic, problem)),
            None => drop(problems.remove(&topic)),
        }
    }

    /// How the daemon is at this moment.
    pub fn readiness(&self, now: SystemTime) -> Readiness {
        let mut problems = Vec::new();
        if self.is_stopping() {
            problems.push("the server is stopping".to_owned());
        }
        if let Some(pause) = self.smtp_pause(now) {
            let reason = pause.reason.map_or_else(String::new, |reason| format!(": {reason}"));
            problems.push(format!("taking mail in is paused{reason}"));
        }
        let health = self.shared.queue.health();
        if !health.writable {
            let reason = health.reason.clone().unwrap_or_else(|| "for a reason unknown".to_owned());
            problems.push(format!("the queue cannot be written: {reason}"));
        }
        let ready = problems.is_empty();
        if health.writable {
            problems.extend(health.reason);
        }
        problems.extend(lock(&self.shared.problems).values().cloned());
        Readiness { ready, problems }
    }

    /// What the queue says of itself now, for the metrics and the status.
    pub fn queue_reading(&self, now: SystemTime) -> QueueReading {
        let stats = self.shared.queue.stats(now);
        let done = stats.due + stats.in_flight + stats.held;
        // An index that cannot be read is told by the health of the queue; here it only has no oldest message.
        let oldest = self.shared.queue.find(&Selector::default(), Page::first(1), now).unwrap_or_default();
        let age = |delivery: &DeliveryView| now.duration_since(delivery.received_at).unwrap_or_default();
        QueueReading {
            messages: stats.messages,
            due: stats.due,
            waiting: stats.deliveries.saturating_sub(done),
            in_flight: stats.in_flight,
            held: stats.held,
            content_octets: stats.content_octets,
            oldest_age: oldest.first().map(age).unwrap_or_default(),
            // A queue in memory says that it has no bound.
            free_octets: Some(self.shared.queue.health().free_octets).filter(|&octets| i64::try_from(octets).is_ok()),
        }
    }

    /// How long the daemon has been running.
    pub fn uptime(&self, now: SystemTime) -> Duration {
        now.duration_since(self.shared.started_at).unwrap_or_default()
    }
}

/// If mail is accepted, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Mail is accepted and the queue can be written.
    pub ready: bool,
    /// What is wrong, a line each. A daemon that is ready can have problems too.
    pub problems: Vec<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
