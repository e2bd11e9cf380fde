//! Brings attempts to their next hop.

use std::sync::Arc;
use std::time::Duration;

use smtp_client::{Client, ClientSettings, NextHop};
use smtp_mail::{Attempt, Outcome, Stage};
use smtp_proto::{Mechanism, TlsFacts};

use crate::pool::Pool;
use crate::resolve::{self, Unreachable};

/// How sessions with next hops are made and kept.
#[derive(Debug, Clone)]
pub struct DelivererSettings {
    /// How they are made.
    pub client: Arc<ClientSettings>,
    /// How long the look-up of a name may take.
    pub lookup_timeout: Duration,
    /// How many messages one session carries.
    pub messages_per_session: u32,
    /// How long a session without work is kept.
    pub idle_timeout: Duration,
    /// How many sessions without work are kept, over all next hops.
    pub idle_sessions_max: usize,
}

impl DelivererSettings {
    /// 30 s for look-ups, 100 messages a session, 100 idle sessions for 5 s.
    pub fn new(client: Arc<ClientSettings>) -> Self {
        Self {
            client,
            lookup_timeout: Duration::from_secs(30),
            messages_per_session: 100,
            idle_timeout: Duration::from_secs(5),
            idle_sessions_max: 100,
        }
    }
}

/// Brings attempts to next hops, and keeps the sessions that it made for a moment. Clones share them.
#[derive(Debug, Clone)]
pub struct Deliverer {
    settings: Arc<DelivererSettings>,
    pool: Arc<Pool>,
}

impl Deliverer {
    /// Without any session yet.
    pub fn new(settings: DelivererSettings) -> Self {
        let pool = Pool::new(settings.idle_timeout, settings.idle_sessions_max);
        Self { settings: Arc::new(settings), pool }
    }

    /// A carrier to `next_hop`. Costs nothing before its first attempt.
    pub fn carrier(&self, next_hop: NextHop) -> Carrier {
        Carrier { deliverer: self.clone(), next_hop, client: None, connected: None }
    }

    /// Ends all sessions that have no work, and keeps none from now on.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Makes attempts at one next hop, over one session as long as it lasts. Dropped, it leaves the session to the next
/// carrier to the same next hop.
#[derive(Debug)]
pub struct Carrier {
    deliverer: Deliverer,
    next_hop: NextHop,
    client: Option<Client>,
    connected: Option<Connected>,
}

/// A session that was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// How it is protected; `None` in the clear.
    pub tls: Option<TlsFacts>,
    /// By which mechanism the next hop was told who we are; `None`: it was not.
    pub login: Option<Mechanism>,
}

impl Carrier {
    /// The next hop.
    pub fn next_hop(&self) -> &NextHop {
        &self.next_hop
    }

    /// The last session that was made anew since this was asked last, for whoever counts.
    pub fn take_connected(&mut self) -> Option<Connected> {
        self.connected.take()
    }

    /// Sees that there is a session: one that is kept, or a new one.
    ///
    /// # Errors
    /// No session with the next hop could be had. The same is to be expected for every message to it, so one of them pays
    /// for it and the others need not be tried.
    pub async fn connect(&mut self) -> Result<(), Unreachable> {
        self.client = Some(self.session().await?);
        Ok(())
    }

    /// Makes one attempt. Cancelled, it leaves the recipients without an answer: the message may have been taken.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect); or the next hop turned away from a new session before it took anything, with 421 or 530:
    /// it wants no mail from us now, whichever message it is.
    pub async fn attempt(&mut self, attempt: &Attempt) -> Result<Vec<Outcome>, Unreachable> {
        loop {
            let mut client = self.session().await?;
            let is_new = client.transactions() == 0;
            // A session found dead at its first command costs nothing: the next one is new, or newer.
            let Ok(outcomes) = client.deliver(attempt).await else { continue };
            self.keep(client);
            return if is_new { turned_away(outcomes) } else { Ok(outcomes) };
        }
    }

    async fn session(&mut self) -> Result<Client, Unreachable> {
        if let Some(client) = self.client.take() {
            return Ok(client);
        }
        if let Some(client) = self.deliverer.pool.take(&self.next_hop).await {
            return Ok(client);
        }
        let settings = &self.deliverer.settings;
        let addresses = resolve::addresses(&self.next_hop, settings.lookup_timeout).await?;
        let client = Client::connect(&self.next_hop, &addresses, &settings.client).await?;
        self.connected = Some(Connected { tls: client.tls_facts().cloned(), login: client.login() });
        Ok(client)
    }

    fn keep(&mut self, client: Client) {
        if client.is_usable() && client.transactions() < self.deliverer.settings.messages_per_session {
            self.client = Some(client);
        } else {
            tokio::spawn(client.quit());
        }
    }
}

/// RFC 5321 §3.8: 421 is about the service, not about the message, which nobody has tried then. And 530 is about us (RFC 4954 §6).
fn turned_away(outcomes: Vec<Outcome>) -> Result<Vec<Outcome>, Unreachable> {
    let is_about_service = |outcome: &Outcome| {
        let report = outcome.result.report();
        let before_content = !matches!(report.stage, Some(Stage::MailData));
        before_content && report.reply.as_ref().is_some_and(|reply| matches!(reply.code().number(), 421 | 530))
    };
    match outcomes.first() {
        Some(first) if outcomes.iter().all(is_about_service) => {
            Err(Unreachable::TurnedAway(Box::new(first.result.report().clone())))
        }
        _ => Ok(outcomes),
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.deliverer.pool.put(self.next_hop.clone(), client);
        }
    }
}
