//! What the daemon counts, as `OpenMetrics` text.
//!
//! Two faults are made impossible by the shapes here. A gauge cannot drift: what goes up comes down when its guard is
//! dropped, however the session or the attempt ends. The number of series cannot grow with the traffic: every label is
//! one of the enumerations of `label`.

mod label;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use smtp_proto::{ReplyCode, TlsFacts};

pub use self::label::{
    AttemptResult, AuthMechanism, AuthResult, Cipher, Class, ClientLogin, DeliveryClass, Direction, DsnKind,
    ExcessLimit, Guard, GuardAction, KeyExchange, ProxyRefusal, QueueState, ReloadResult, Service, Stage, TlsFailure,
    TlsVersion, Verb,
};
use self::label::{
    ByAuth, ByCertificate, ByClass, ByClientLogin, ByCommand, ByDelivery, ByExcess, ByGuard, ByKind, ByProxyRefusal,
    ByReject, ByReload, ByService, ByState, ByTls, ByTlsFailure, YesNo,
};

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the delivery time, in seconds: from a local delivery to the end of a five-day queue.
const DELIVERY_SECONDS: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3600.0, 43_200.0, 432_000.0];

/// The handle to all counters; a clone counts into the same ones.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

struct Inner {
    registry: Registry,
    sessions: Family<ByService, Gauge>,
    sessions_opened: Family<ByService, Counter>,
    client_sessions: Counter,
    commands: Family<ByCommand, Counter>,
    rejects: Family<ByReject, Counter>,
    guards: Family<ByGuard, Counter>,
    proxy_refusals: Family<ByProxyRefusal, Counter>,
    tls: Family<ByTls, Counter>,
    tls_failures: Family<ByTlsFailure, Counter>,
    excess: Family<ByExcess, Counter>,
    auth: Family<ByAuth, Counter>,
    client_logins: Family<ByClientLogin, Counter>,
    received_messages: Family<ByService, Counter>,
    received_octets: Counter,
    attempts: Family<ByClass, Gauge>,
    deliveries: Family<ByDelivery, Counter>,
    delivery_seconds: Histogram,
    dsn: Family<ByKind, Counter>,
    queue_messages: Gauge,
    queue_deliveries: Family<ByState, Gauge>,
    queue_oldest_age: Gauge,
    spool_free: OptionalGauge,
    certificate_expiry: Family<ByCertificate, Gauge>,
    certificates: Mutex<BTreeMap<String, SystemTime>>,
    config_reload: Family<ByReload, Counter>,
    panics: Counter,
}

impl Metrics {
    /// All counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("smtp_server");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that is running", build);
        let mut inner = Inner::register(&mut registry);
        inner.registry = registry;
        inner.start_at_zero();
        Self { inner: Arc::new(inner) }
    }

    /// Counts a session that was accepted. The session is open until the guard is dropped.
    #[must_use = "the session counts as open only while the guard lives"]
    pub fn session_opened(&self, service: Service) -> SessionGuard {
        let labels = ByService { service };
        self.inner.sessions_opened.get_or_create(&labels).inc();
        Raised::new(self.inner.sessions.get_or_create_owned(&labels))
    }

    /// Counts a session that was made with a next hop, and its TLS where it is under one.
    pub fn client_connected(&self, tls: Option<&TlsFacts>) {
        self.inner.client_sessions.inc();
        if let Some(facts) = tls {
            self.count_tls(Direction::Out, facts);
        }
    }

    /// Counts a log-in at a next hop.
    pub fn client_login(&self, result: ClientLogin) {
        self.inner.client_logins.get_or_create(&ByClientLogin { result }).inc();
    }

    /// Counts an attempt that begins. It is under way until the guard is dropped.
    #[must_use = "the attempt counts as under way only while the guard lives"]
    pub fn attempt_begun(&self, class: DeliveryClass) -> AttemptGuard {
        Raised::new(self.inner.attempts.get_or_create_owned(&ByClass { class }))
    }

    /// Counts a command and the reply code that it was answered with.
    pub fn command(&self, verb: Verb, code: ReplyCode) {
        let class = code.class().into();
        self.inner.commands.get_or_create(&ByCommand { verb, class }).inc();
    }

    /// Counts a refusal: the stage of the session and the code of the reply.
    pub fn reject(&self, stage: Stage, code: ReplyCode) {
        self.inner.rejects.get_or_create(&ByReject { stage, code: code.number() }).inc();
    }

    /// Counts a client that went over a limit, or broke a rule that is watched.
    pub fn guard(&self, guard: Guard, action: GuardAction) {
        self.inner.guards.get_or_create(&ByGuard { guard, action }).inc();
    }

    /// Counts a connection that was closed for its PROXY header.
    pub fn proxy_refused(&self, reason: ProxyRefusal) {
        self.inner.proxy_refusals.get_or_create(&ByProxyRefusal { reason }).inc();
    }

    /// Counts what a sender has sent too much of: it is refused, or the message is held.
    pub fn excess(&self, limit: ExcessLimit, held: bool) {
        self.inner.excess.get_or_create(&ByExcess { limit, held: YesNo(held) }).inc();
    }

    /// Counts a message that is durable in the queue.
    pub fn message_received(&self, service: Service, octets: u64) {
        self.inner.received_messages.get_or_create(&ByService { service }).inc();
        self.inner.received_octets.inc_by(octets);
    }

    /// Counts a finished TLS handshake with a client.
    pub fn tls(&self, facts: &TlsFacts) {
        self.count_tls(Direction::In, facts);
    }

    fn count_tls(&self, dir: Direction, facts: &TlsFacts) {
        let labels = ByTls {
            dir,
            version: TlsVersion::from_name(&facts.version),
            cipher: Cipher::of_suite(&facts.cipher_suite),
            key_exchange: KeyExchange::from_name(facts.key_exchange.as_deref().unwrap_or_default()),
            verified: YesNo(facts.verified),
        };
        self.inner.tls.get_or_create(&labels).inc();
    }

    /// Counts an exchange of AUTH that has ended.
    pub fn auth(&self, mechanism: AuthMechanism, result: AuthResult) {
        self.inner.auth.get_or_create(&ByAuth { mechanism, result }).inc();
    }

    /// Counts a TLS handshake with a client that failed.
    pub fn tls_failed(&self, reason: TlsFailure) {
        self.inner.tls_failures.get_or_create(&ByTlsFailure { dir: Direction::In, reason }).inc();
    }

    /// Counts how an attempt ended for one recipient. `age` is the time since the message was received; it goes into the
    /// histogram when the recipient is done with (all but [`AttemptResult::Deferred`]).
    pub fn delivery(&self, result: AttemptResult, class: DeliveryClass, age: Duration) {
        self.inner.deliveries.get_or_create(&ByDelivery { result, class }).inc();
        if result != AttemptResult::Deferred {
            self.inner.delivery_seconds.observe(age.as_secs_f64());
        }
    }

    /// Counts a delivery report that was put into the queue.
    pub fn dsn(&self, kind: DsnKind) {
        self.inner.dsn.get_or_create(&ByKind { kind }).inc();
    }

    /// Counts a reload of the configuration.
    pub fn config_reload(&self, result: ReloadResult) {
        self.inner.config_reload.get_or_create(&ByReload { result }).inc();
    }

    /// Counts a task that panicked.
    pub fn panicked(&self) {
        self.inner.panics.inc();
    }

    /// Sets when the certificates in use end: the name of each as the configuration writes it, and its `notAfter`.
    /// What is not named again is forgotten.
    pub fn certificates(&self, ends: impl IntoIterator<Item = (String, SystemTime)>) {
        *self.inner.certificates.lock().unwrap_or_else(PoisonError::into_inner) = ends.into_iter().collect();
    }

    /// How many sessions are open now.
    pub fn sessions_open(&self) -> u64 {
        Service::ALL.iter().map(|&service| level(&self.inner.sessions.get_or_create(&ByService { service }))).sum()
    }

    /// How many attempts are under way now.
    pub fn attempts_under_way(&self, class: DeliveryClass) -> u64 {
        level(&self.inner.attempts.get_or_create(&ByClass { class }))
    }

    /// How many sessions were made with next hops since the start.
    pub fn client_sessions(&self) -> u64 {
        self.inner.client_sessions.get()
    }

    /// How many recipients have come to this result since the start.
    pub fn deliveries(&self, result: AttemptResult, class: DeliveryClass) -> u64 {
        self.inner.deliveries.get_or_create(&ByDelivery { result, class }).get()
    }

    /// How many sessions were accepted since the start.
    pub fn sessions_opened(&self, service: Service) -> u64 {
        self.inner.sessions_opened.get_or_create(&ByService { service }).get()
    }

    /// How many messages were accepted since the start.
    pub fn messages_received(&self, service: Service) -> u64 {
        self.inner.received_messages.get_or_create(&ByService { service }).get()
    }

    /// How many reports were put into the queue since the start.
    pub fn dsns(&self, kind: DsnKind) -> u64 {
        self.inner.dsn.get_or_create(&ByKind { kind }).get()
    }

    /// Sets what is read off the queue when somebody asks, and renders everything as `OpenMetrics` text.
    #[expect(clippy::missing_panics_doc, reason = "writing to a String does not fail")]
    pub fn render(&self, queue: &QueueReading, now: SystemTime) -> String {
        self.inner.read(queue, now);
        let mut output = String::new();
        text::encode(&mut output, &self.inner.registry).expect("writing to a String does not fail");
        output
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What the queue says of itself at the moment of a scrape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueReading {
    /// Messages.
    pub messages: u64,
    /// Deliveries whose next attempt is due.
    pub due: u64,
    /// Deliveries whose next attempt has a time in the future, or that rest with their lane or under a pause.
    pub waiting: u64,
    /// Deliveries with an attempt under way.
    pub in_flight: u64,
    /// Deliveries that are held.
    pub held: u64,
    /// Octets of the content of all messages.
    pub content_octets: u64,
    /// The age of the oldest message.
    pub oldest_age: Duration,
    /// Octets free on the disk of the queue; `None` for a queue in memory.
    pub free_octets: Option<u64>,
}

impl Inner {
    /// Registers every metric; the registry itself is put in afterwards, since it is what is written to here.
    fn register(registry: &mut Registry) -> Self {
        let inner = Self {
            registry: Registry::default(),
            sessions: Family::default(),
            sessions_opened: Family::default(),
            client_sessions: Counter::default(),
            commands: Family::default(),
            rejects: Family::default(),
            guards: Family::default(),
            proxy_refusals: Family::default(),
            excess: Family::default(),
            tls: Family::default(),
            tls_failures: Family::default(),
            auth: Family::default(),
            client_logins: Family::default(),
            received_messages: Family::default(),
            received_octets: Counter::default(),
            attempts: Family::default(),
            deliveries: Family::default(),
            delivery_seconds: Histogram::new(DELIVERY_SECONDS),
            dsn: Family::default(),
            queue_messages: Gauge::default(),
            queue_deliveries: Family::default(),
            queue_oldest_age: Gauge::default(),
            spool_free: OptionalGauge::default(),
            certificate_expiry: Family::default(),
            certificates: Mutex::default(),
            config_reload: Family::default(),
            panics: Counter::default(),
        };
        inner.register_sessions(registry);
        inner.register_deliveries(registry);
        inner.register_state(registry);
        inner
    }

    fn register_sessions(&self, registry: &mut Registry) {
        registry.register("sessions", "Sessions open now", self.sessions.clone());
        registry.register("sessions_opened", "Sessions accepted", self.sessions_opened.clone());
        registry.register("commands", "Commands answered, by the class of the reply", self.commands.clone());
        registry.register("rejects", "Refusals, by stage and reply code", self.rejects.clone());
        let help = "Clients that went over a limit or broke a rule, and whether they were refused";
        registry.register("guards", help, self.guards.clone());
        let help = "Connections closed without a word, by what was wrong with the PROXY header";
        registry.register("proxy_refusals", help, self.proxy_refusals.clone());
        registry.register("excess", "Refusals and held messages of senders of too much", self.excess.clone());
        registry.register("tls", "TLS handshakes finished", self.tls.clone());
        registry.register("tls_failures", "TLS handshakes failed", self.tls_failures.clone());
        registry.register("auth", "Exchanges of AUTH that ended, by mechanism and result", self.auth.clone());
        registry.register("messages_received", "Messages made durable and accepted", self.received_messages.clone());
        let help = "Content of the messages accepted";
        registry.register_with_unit("received", help, Unit::Bytes, self.received_octets.clone());
    }

    fn register_deliveries(&self, registry: &mut Registry) {
        registry.register("client_sessions", "Sessions made with next hops", self.client_sessions.clone());
        registry.register("client_logins", "Log-ins at next hops, by how they ended", self.client_logins.clone());
        registry.register("attempts", "Attempts under way now", self.attempts.clone());
        registry.register("deliveries", "Recipients, by how an attempt ended", self.deliveries.clone());
        let help = "Time from the receipt of a message to its end for a recipient";
        registry.register_with_unit("delivery", help, Unit::Seconds, self.delivery_seconds.clone());
        registry.register("dsn", "Delivery reports put into the queue", self.dsn.clone());
    }

    fn register_state(&self, registry: &mut Registry) {
        registry.register("queue_messages", "Messages in the queue", self.queue_messages.clone());
        let help = "Deliveries in the queue: a message to one domain or mailbox";
        registry.register("queue_deliveries", help, self.queue_deliveries.clone());
        let help = "Age of the oldest message in the queue";
        registry.register_with_unit("queue_oldest_age", help, Unit::Seconds, self.queue_oldest_age.clone());
        let help = "Room on the disk of the queue";
        registry.register_with_unit("spool_free", help, Unit::Bytes, self.spool_free.clone());
        let help = "Time until a certificate ends, negative when it has ended";
        registry.register_with_unit("cert_expiry", help, Unit::Seconds, self.certificate_expiry.clone());
        registry.register("config_reload", "Reloads of the configuration", self.config_reload.clone());
        registry.register("panics", "Tasks that panicked", self.panics.clone());
    }

    /// Makes the series of the small families, so that a rate over them is right from the first event on.
    fn start_at_zero(&self) {
        for &service in Service::ALL {
            let labels = ByService { service };
            self.sessions.get_or_create_owned(&labels);
            self.sessions_opened.get_or_create_owned(&labels);
            self.received_messages.get_or_create_owned(&labels);
        }
        for &class in DeliveryClass::ALL {
            self.attempts.get_or_create_owned(&ByClass { class });
            for &result in AttemptResult::ALL {
                self.deliveries.get_or_create_owned(&ByDelivery { result, class });
            }
        }
        for &kind in DsnKind::ALL {
            self.dsn.get_or_create_owned(&ByKind { kind });
        }
        for &result in ReloadResult::ALL {
            self.config_reload.get_or_create_owned(&ByReload { result });
        }
        for &guard in Guard::ALL {
            self.guards.get_or_create_owned(&ByGuard { guard, action: GuardAction::Refused });
        }
        for &reason in ProxyRefusal::ALL {
            self.proxy_refusals.get_or_create_owned(&ByProxyRefusal { reason });
        }
        for &limit in ExcessLimit::ALL {
            for held in [false, true] {
                self.excess.get_or_create_owned(&ByExcess { limit, held: YesNo(held) });
            }
        }
        for &mechanism in AuthMechanism::ALL {
            for &result in AuthResult::ALL {
                self.auth.get_or_create_owned(&ByAuth { mechanism, result });
            }
        }
        for &result in ClientLogin::ALL {
            self.client_logins.get_or_create_owned(&ByClientLogin { result });
        }
        for &reason in TlsFailure::ALL {
            self.tls_failures.get_or_create_owned(&ByTlsFailure { dir: Direction::In, reason });
        }
    }

    fn read(&self, queue: &QueueReading, now: SystemTime) {
        let by_state = [
            (QueueState::Due, queue.due),
            (QueueState::Waiting, queue.waiting),
            (QueueState::InFlight, queue.in_flight),
            (QueueState::Held, queue.held),
        ];
        for (state, deliveries) in by_state {
            self.queue_deliveries.get_or_create(&ByState { state }).set(whole(deliveries));
        }
        self.queue_messages.set(whole(queue.messages));
        self.queue_oldest_age.set(whole(queue.oldest_age.as_secs()));
        self.spool_free.set(queue.free_octets);
        self.certificate_expiry.clear();
        for (certificate, &end) in &*self.certificates.lock().unwrap_or_else(PoisonError::into_inner) {
            let labels = ByCertificate { certificate: certificate.clone() };
            self.certificate_expiry.get_or_create(&labels).set(seconds_until(end, now));
        }
    }
}

/// A gauge that has no sample while there is nothing to measure.
#[derive(Debug, Clone, Default)]
struct OptionalGauge {
    value: Arc<Mutex<Option<u64>>>,
}

impl OptionalGauge {
    fn set(&self, value: Option<u64>) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl EncodeMetric for OptionalGauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match *self.value.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(value) => encoder.encode_gauge(&value),
            None => Ok(()),
        }
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

/// A gauge that is one higher as long as this lives.
#[derive(Debug)]
pub struct Raised {
    gauge: Gauge,
}

/// A session that is open.
pub type SessionGuard = Raised;
/// An attempt that is under way.
pub type AttemptGuard = Raised;

impl Raised {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self { gauge }
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn level(gauge: &Gauge) -> u64 {
    u64::try_from(gauge.get()).unwrap_or(0)
}

fn seconds_until(end: SystemTime, now: SystemTime) -> i64 {
    match end.duration_since(now) {
        Ok(left) => whole(left.as_secs()),
        Err(over) => -whole(over.duration().as_secs()),
    }
}
