//! Who has failed to log in too often: by the client's address and by the login. Pure: the time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Keys that one table may have. What is over it makes those go that were quiet the longest.
const KEYS_MAX: usize = 65_536;
/// How many are let go at once, so that a full table does not sort itself at every failure.
const SPARE: usize = KEYS_MAX / 8;
/// Doublings of the delay.
const DOUBLINGS_MAX: u32 = 3;

/// What is too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardLimits {
    /// Failures from one IPv4 address or one IPv6 /64 until it is locked out.
    pub failures_per_client: u32,
    /// Failures of one login until it is locked.
    pub failures_per_login: u32,
    /// How long failures count, and how long whoever has too many is locked out.
    pub lockout: Duration,
    /// How long the answer to a client's first failure waits; it doubles with each further one, up to eight times.
    pub failure_delay: Duration,
}

/// Too many failures: who has them, and how long the lock-out lasts still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LockedOut {
    /// The client, by its IPv4 address or its IPv6 /64.
    #[error("too many failures from {network}")]
    Client {
        /// The address, the first of a /64.
        network: IpAddr,
        /// How long it lasts.
        wait: Duration,
    },
    /// The login.
    #[error("too many failures for this login")]
    Login {
        /// How long it lasts.
        wait: Duration,
    },
}

/// The failures of late. Bounded, whatever is tried.
#[derive(Debug, Default)]
pub struct LoginGuard {
    clients: Failures<IpAddr>,
    logins: Failures<Box<str>>,
    /// From where a login has succeeded lately: these clients are not kept out by failures of others.
    known: Failures<(IpAddr, Box<str>)>,
}

impl LoginGuard {
    /// Whether this client may try to log in now.
    ///
    /// # Errors
    /// When it is locked out.
    pub fn permit_client(&self, client: IpAddr, limits: &GuardLimits, now: Instant) -> Result<(), LockedOut> {
        let network = network_of(client);
        match self.clients.wait(&network, limits.failures_per_client, limits.lockout, now) {
            Some(wait) => Err(LockedOut::Client { network, wait }),
            None => Ok(()),
        }
    }

    /// Whether this login may be tried from this client now.
    ///
    /// # Errors
    /// When it is locked.
    pub fn permit_login(
        &self,
        client: IpAddr,
        login: &str,
        limits: &GuardLimits,
        now: Instant,
    ) -> Result<(), LockedOut> {
        let wait = self.logins.wait(login, limits.failures_per_login, limits.lockout, now);
        match wait.filter(|_| !self.known.is_fresh(&(network_of(client), login.into()), limits.lockout, now)) {
            Some(wait) => Err(LockedOut::Login { wait }),
            None => Ok(()),
        }
    }

    /// Counts a failure; how long its answer should wait.
    pub fn failed(&mut self, client: IpAddr, login: Option<&str>, limits: &GuardLimits, now: Instant) -> Duration {
        let failures = self.clients.add(network_of(client), limits.lockout, now);
        if let Some(login) = login {
            self.logins.add(login.into(), limits.lockout, now);
        }
        limits.failure_delay * 2u32.pow((failures - 1).min(DOUBLINGS_MAX))
    }

    /// A login has succeeded: the failures of this client were slips. Those of others stay.
    pub fn succeeded(&mut self, client: IpAddr, login: &str, limits: &GuardLimits, now: Instant) {
        let network = network_of(client);
        self.clients.entries.remove(&network);
        self.known.add((network, login.into()), limits.lockout, now);
    }

    /// The keys that are kept.
    pub fn len(&self) -> usize {
        self.clients.entries.len() + self.logins.entries.len() + self.known.entries.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How often, and when the last time.
#[derive(Debug, Clone, Copy)]
struct Count {
    times: u32,
    last: Instant,
}

#[derive(Debug)]
struct Failures<K> {
    entries: HashMap<K, Count>,
}

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<K: Eq + Hash> Failures<K> {
    fn add(&mut self, key: K, period: Duration, now: Instant) -> u32 {
        if self.entries.len() >= KEYS_MAX {
            self.make_room(period, now);
        }
        let count = self.entries.entry(key).or_insert(Count { times: 0, last: now });
        if now.saturating_duration_since(count.last) >= period {
            count.times = 0;
        }
        *count = Count { times: count.times.saturating_add(1), last: now };
        count.times
    }

    /// How long the key has to wait, where it was counted `times` or more.
    fn wait<Q>(&self, key: &Q, times: u32, period: Duration, now: Instant) -> Option<Duration>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let count = self.entries.get(key).filter(|count| count.times >= times)?;
        let over = now.saturating_duration_since(count.last);
        period.checked_sub(over).filter(|wait| !wait.is_zero())
    }

    fn is_fresh(&self, key: &K, period: Duration, now: Instant) -> bool {
        self.wait(key, 1, period, now).is_some()
    }

    fn make_room(&mut self, period: Duration, now: Instant) {
        self.entries.retain(|_, count| now.saturating_duration_since(count.last) < period);
        let over = (self.entries.len() + SPARE).saturating_sub(KEYS_MAX);
        if over > 0 {
            let mut ends: Vec<Instant> = self.entries.values().map(|count| count.last).collect();
            let (_, newest_to_go, _) = ends.select_nth_unstable(over - 1);
            let (newest_to_go, mut left) = (*newest_to_go, over);
            // Many may have the same instant.
            self.entries.retain(|_, count| {
                let goes = left > 0 && count.last <= newest_to_go;
                left -= usize::from(goes);
                !goes
            });
        }
    }
}

/// An IPv4 address, also one that is mapped into IPv6; of an IPv6 address the /64, which one customer has at the least.
fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests;
