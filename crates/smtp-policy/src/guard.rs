//! Who has failed to log in too often: by the client's address and by the login. Pure: the time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::network::client_network;

/// Keys that one table may have. What is over it makes those go that were quiet the longest.
const KEYS_MAX: usize = 65_536;
/// How many are let go at once, so that a full table does not sort itself at every failure.
const SPARE: usize = KEYS_MAX / 8;
/// Doublings of the delay.
const DOUBLINGS_MAX: u32 = 3;
/// How long it is known from where somebody has logged in: a holiday.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// What is too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardLimits {
    /// Failures from one IPv4 address or one IPv6 /64 until it is locked out.
    pub failures_per_client: u32,
    /// Failures of one login until it is locked.
    pub failures_per_login: u32,
    /// How long whoever has too many is locked out. Failures are forgotten when as long has passed since the last of them.
    pub lockout: Duration,
    /// How long the answer to a client's first failure waits; it doubles with each further one, up to eight times.
    pub failure_delay: Duration,
}

/// Too many failures, and of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LockedOut {
    /// The client, by its IPv4 address or its IPv6 /64.
    #[error("too many failures from {network}")]
    Client {
        /// The address, the first of a /64.
        network: IpAddr,
    },
    /// The login.
    #[error("too many failures for this login")]
    Login,
}

/// The failures of late. Bounded, whatever is tried.
#[derive(Debug, Default)]
pub struct LoginGuard {
    clients: Counts<IpAddr>,
    logins: Counts<Box<str>>,
    /// What each client has failed with, of which it may turn out that it was a slip of the owner.
    slips: Counts<(IpAddr, Box<str>)>,
    /// From where a login has succeeded in the last [`KNOWN_FOR`]: these clients are not kept out by failures of others.
    known: Counts<(IpAddr, Box<str>)>,
}

impl LoginGuard {
    /// Whether this client may try to log in now.
    ///
    /// # Errors
    /// When it is locked out.
    pub fn permit_client(&self, client: IpAddr, limits: &GuardLimits, now: Instant) -> Result<(), LockedOut> {
        let network = client_network(client);
        if self.clients.of(&network, limits.lockout, now) >= limits.failures_per_client {
            return Err(LockedOut::Client { network });
        }
        Ok(())
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
        if self.logins.of(login, limits.lockout, now) >= limits.failures_per_login
            && self.known.of(&(client_network(client), login.into()), KNOWN_FOR, now) == 0
        {
            return Err(LockedOut::Login);
        }
        Ok(())
    }

    /// Counts a failure; how long its answer should wait.
    pub fn failed(&mut self, client: IpAddr, login: Option<&str>, limits: &GuardLimits, now: Instant) -> Duration {
        let network = client_network(client);
        let failures = self.clients.add(network, limits.lockout, now);
        if let Some(login) = login {
            self.logins.add(login.into(), limits.lockout, now);
            self.slips.add((network, login.into()), limits.lockout, now);
        }
        limits.failure_delay * 2u32.pow((failures - 1).min(DOUBLINGS_MAX))
    }

    /// A login has succeeded: the failures of this client with this login were slips. Those with others stay, so that nobody who has an
    /// account guesses at the passwords of others without a limit; and so do those of other clients.
    pub fn succeeded(&mut self, client: IpAddr, login: &str, limits: &GuardLimits, now: Instant) {
        let key = (client_network(client), login.into());
        let slips = self.slips.of(&key, limits.lockout, now);
        self.slips.entries.remove(&key);
        self.clients.take_off(&key.0, slips);
        self.known.add(key, KNOWN_FOR, now);
    }
}

/// How often, and when the last time.
#[derive(Debug, Clone, Copy)]
struct Count {
    times: u32,
    last: Instant,
}

impl Count {
    fn times_within(self, period: Duration, now: Instant) -> u32 {
        if now.saturating_duration_since(self.last) < period { self.times } else { 0 }
    }
}

#[derive(Debug)]
struct Counts<K> {
    entries: HashMap<K, Count>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn add(&mut self, key: K, period: Duration, now: Instant) -> u32 {
        if self.entries.len() >= KEYS_MAX {
            self.make_room(period, now);
        }
        let count = self.entries.entry(key).or_insert(Count { times: 0, last: now });
        *count = Count { times: count.times_within(period, now).saturating_add(1), last: now };
        count.times
    }

    /// How often the key was counted; 0 where the last time is `period` ago.
    fn of<Q>(&self, key: &Q, period: Duration, now: Instant) -> u32
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key).map_or(0, |count| count.times_within(period, now))
    }

    fn take_off(&mut self, key: &K, times: u32) {
        if let Some(count) = self.entries.get_mut(key) {
            count.times = count.times.saturating_sub(times);
        }
    }

    fn make_room(&mut self, period: Duration, now: Instant) {
        self.entries.retain(|_, count| count.times_within(period, now) > 0);
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

#[cfg(test)]
mod tests;
