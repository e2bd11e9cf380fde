//! Sessions that have nothing to do, kept for a moment so that the next message need not greet and secure again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smtp_client::{Client, NextHop};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::protection::Protection;

/// How long [`Pool::close`] waits for all its goodbyes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Idle sessions, for every next hop.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    idle_timeout: Duration,
    idle_sessions_max: usize,
}

#[derive(Debug, Default)]
struct Idle {
    /// The one that was put in first is the first to leave.
    sessions: VecDeque<IdleSession>,
    is_reaped: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct IdleSession {
    next_hop: NextHop,
    client: Client,
    until: Instant,
}

impl Pool {
    pub(crate) fn new(idle_timeout: Duration, idle_sessions_max: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), idle_timeout, idle_sessions_max })
    }

    /// A session with exactly this next hop, on exactly its terms, that is still alive. Where there is none, whoever asks makes one, and
    /// one that is kept with the same next hop on stricter or looser terms ends: those that work and those that are kept are no more
    /// together than ever worked at once.
    pub(crate) async fn take(&self, next_hop: &NextHop) -> Option<Client> {
        loop {
            let mut client = self.take_any(next_hop)?;
            if client.is_alive().await {
                return Some(client);
            }
        }
    }

    fn take_any(&self, next_hop: &NextHop) -> Option<Client> {
        let mut idle = self.lock();
        let exactly = idle.sessions.iter().rposition(|session| session.next_hop == *next_hop);
        if exactly.is_none()
            && let Some(other) = idle.sessions.iter().position(|session| is_same(&session.next_hop, next_hop))
            && let Some(session) = idle.sessions.remove(other)
        {
            tokio::spawn(session.client.quit());
        }
        idle.sessions.remove(exactly?).map(|session| session.client)
    }

    /// Keeps `client` for whoever wants it next. Where there is no room, it, or the oldest, says QUIT.
    pub(crate) fn put(self: &Arc<Self>, next_hop: NextHop, client: Client) {
        // Outside of the runtime, as after its end, nobody could close it later.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut idle = self.lock();
        if idle.is_closed || self.idle_sessions_max == 0 {
            runtime.spawn(client.quit());
            return;
        }
        if idle.sessions.len() >= self.idle_sessions_max
            && let Some(oldest) = idle.sessions.pop_front()
        {
            runtime.spawn(oldest.client.quit());
        }
        idle.sessions.push_back(IdleSession { next_hop, client, until: Instant::now() + self.idle_timeout });
        if !std::mem::replace(&mut idle.is_reaped, true) {
            runtime.spawn(reap(Arc::clone(self)));
        }
    }

    /// Says QUIT on all of them, and keeps none from now on.
    pub(crate) async fn close(&self) {
        let sessions = {
            let mut idle = self.lock();
            idle.is_closed = true;
            std::mem::take(&mut idle.sessions)
        };
        let goodbyes: JoinSet<()> = sessions.into_iter().map(|session| session.client.quit()).collect();
        // Who does not answer by then is left without.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbyes.join_all()).await;
    }

    /// Takes out a session whose time is over, or says when there will be one. `None`: all are gone, and the next to
    /// put one in must see to its end again.
    fn expired(&self) -> Option<Result<Client, Instant>> {
        let mut idle = self.lock();
        let Some(oldest) = idle.sessions.front() else {
            idle.is_reaped = false;
            return None;
        };
        if oldest.until > Instant::now() {
            return Some(Err(oldest.until));
        }
        idle.sessions.pop_front().map(|session| Ok(session.client))
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        // Nothing that is done under the lock can stop half way.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether both are one next hop, which some messages ask more of TLS of than others (RFC 8689).
fn is_same(one: &NextHop, other: &NextHop) -> bool {
    match (Protection::terms(one), Protection::terms(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Ends sessions whose time is over, as long as there are any.
async fn reap(pool: Arc<Pool>) {
    while let Some(expired) = pool.expired() {
        match expired {
            Ok(client) => drop(tokio::spawn(client.quit())),
            Err(until) => tokio::time::sleep_until(until).await,
        }
    }
}
