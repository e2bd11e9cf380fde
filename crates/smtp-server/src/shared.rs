//! What the loops of the daemon share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use smtp_client::{ClientSettings, ClientTls};
use smtp_delivery::{Deliverer, DelivererSettings};
use smtp_mail::{MessageId, Report};
use smtp_policy::allowance::Sent;
use smtp_policy::guard::LoginGuard;
use smtp_proto::{ForwardPath, HelloName, ReversePath};
use smtp_queue::Queue;
use tokio::sync::broadcast;

use crate::allowance::Account;
use crate::config::{Config, InForce};
use crate::control::Control;
use crate::listener::Sessions;
use crate::metrics::{AttemptResult, Metrics, Service};
use crate::receive::Endpoint;

/// Ends of attempts that wait for a slow watcher; past it the watcher misses the oldest.
const WATCHED_MAX: usize = 1024;

/// The configuration in force, the queue, and what is counted. One for all loops.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) control: Control,
    pub(crate) sessions: Arc<Sessions>,
    /// What each sender has sent of late. It outlives reloads.
    pub(crate) sent: Mutex<Sent<Account>>,
    /// Who has failed to log in too often. It outlives reloads.
    pub(crate) login_guard: Mutex<LoginGuard>,
    config: InForce,
    deliverer: ArcSwap<Deliverer>,
    submit_endpoint: ArcSwap<Endpoint>,
    watchers: broadcast::Sender<Arc<Attempted>>,
}

/// How an attempt ended for one recipient: for those who watch the daemon at work.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// The message.
    pub message: MessageId,
    /// Who sent it.
    pub reverse_path: ReversePath,
    /// The recipient.
    pub forward_path: ForwardPath,
    /// How it ended.
    pub result: AttemptResult,
    /// How many attempts there were with this one.
    pub attempts: u32,
    /// Time since the message was received.
    pub age: Duration,
    /// What is known about it.
    pub report: Report,
}

impl Shared {
    pub(crate) fn new(control: Control, config: Arc<Config>) -> Self {
        let (watchers, _) = broadcast::channel(WATCHED_MAX);
        let deliverer = ArcSwap::from_pointee(deliverer(&config));
        let submit_endpoint = ArcSwap::from_pointee(submit_endpoint(&config));
        Self {
            control,
            sessions: Arc::default(),
            sent: Mutex::default(),
            login_guard: Mutex::default(),
            config: InForce::new(config),
            deliverer,
            submit_endpoint,
            watchers,
        }
    }

    /// The configuration in force now. Whoever needs it to stay the same for a while keeps what this returns.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.load()
    }

    /// The same for who asks for it later.
    pub(crate) fn configuration(&self) -> InForce {
        self.config.clone()
    }

    pub(crate) fn set_config(&self, config: Arc<Config>) {
        self.deliverer.store(Arc::new(deliverer(&config)));
        self.submit_endpoint.store(Arc::new(submit_endpoint(&config)));
        self.config.store(config);
    }

    /// What brings mail to other hosts, with the sessions that it keeps.
    pub(crate) fn deliverer(&self) -> Arc<Deliverer> {
        self.deliverer.load_full()
    }

    /// What the sessions with programs of this machine have in common.
    pub(crate) fn submit_endpoint(&self) -> Arc<Endpoint> {
        self.submit_endpoint.load_full()
    }

    pub(crate) fn queue(&self) -> &Queue {
        self.control.queue()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.control.metrics()
    }

    /// Hears of every attempt from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<Attempted>> {
        self.watchers.subscribe()
    }

    /// Tells those who watch; what is told is made only where somebody does.
    pub(crate) fn tell(&self, attempted: impl FnOnce() -> Attempted) {
        if self.watchers.receiver_count() > 0 {
            // The last watcher may have gone since.
            let _ = self.watchers.send(Arc::new(attempted()));
        }
    }
}

/// What the server calls itself, in its greeting and after EHLO.
pub(crate) fn hello_name(name: &str) -> HelloName {
    name.parse().expect("a domain name in ASCII is a name for EHLO")
}

/// A submission that greets with the domain of addresses that have none, since that is what a program that hands in mail
/// must know.
fn submit_endpoint(config: &Config) -> Endpoint {
    Endpoint::new(config, config.submit.domain.as_str(), Service::Submission)
}

fn deliverer(config: &Config) -> Deliverer {
    let roots = config.authorities.clone();
    let tls = roots.map_or_else(ClientTls::with_system_roots, ClientTls::new);
    let client = ClientSettings {
        connect_timeout: config.timeouts.connect,
        handshake_timeout: config.timeouts.tls_handshake,
        attempt_timeout: config.timeouts.attempt,
        ..ClientSettings::new(hello_name(&config.hostname), tls)
    };
    Deliverer::new(DelivererSettings {
        messages_per_session: config.delivery.messages_per_session,
        ..DelivererSettings::new(Arc::new(client))
    })
}
