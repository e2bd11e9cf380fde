//! What a peer answers, and when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use tokio::sync::{Semaphore, watch};

/// The moments at which a script can interfere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The greeting.
    Connect,
    /// EHLO, or LHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS; after a reply of 220 the handshake follows.
    StartTls,
    /// AUTH.
    Auth,
    /// An answer to a challenge.
    AuthResponse,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// Within the mail data, before it is read.
    Content,
    /// A chunk of BDAT that is not the last, when it was read.
    Chunk,
    /// The end of the mail data: the lone dot, or the last chunk. In LMTP once for each recipient.
    Dot,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// What the peer does at a stage.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Sends these lines; several are separated by CRLF. The last CRLF is added.
    Reply(String),
    /// Sends these lines, then closes the connection.
    ReplyAndClose(String),
    /// Closes the connection without a word.
    Close,
    /// Says nothing and goes on: at [`Stage::Content`] the way to take the mail data.
    Nothing,
    /// Keeps the connection open and never says anything again.
    Silence,
    /// Waits until the test opens the gate, then does the other thing.
    Wait(Gate, Box<Answer>),
    /// At [`Stage::Content`]: reads so many octets of mail data, then does the other thing.
    After(usize, Box<Answer>),
}

impl From<&str> for Answer {
    fn from(reply: &str) -> Self {
        Self::Reply(reply.to_owned())
    }
}

/// Where a peer stands still until the test lets it go on.
#[derive(Debug, Clone)]
pub struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    arrived: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(GateState { arrived: watch::Sender::new(0), open: watch::Sender::new(false) }))
    }

    /// Lets everybody pass, now and later.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Waits until `count` connections have come to the gate.
    pub async fn reached(&self, count: usize) {
        let mut arrived = self.0.arrived.subscribe();
        arrived.wait_for(|&number| number >= count).await.expect("the gate holds its sender");
    }

    pub(super) async fn pass(&self) {
        self.0.arrived.send_modify(|number| *number += 1);
        let mut open = self.0.open.subscribe();
        open.wait_for(|&open| open).await.expect("the gate holds its sender");
    }
}

/// Lets a peer read mail data only as fast as the test allows.
#[derive(Debug, Clone)]
pub struct Throttle {
    allowed: Arc<Semaphore>,
    done: Arc<watch::Sender<usize>>,
    octets: usize,
}

impl Throttle {
    /// Each read takes at most `octets`; none is allowed yet.
    pub fn new(octets: usize) -> Self {
        Self { allowed: Arc::new(Semaphore::new(0)), done: Arc::new(watch::Sender::new(0)), octets }
    }

    /// Allows `count` more reads.
    pub fn allow(&self, count: usize) {
        self.allowed.add_permits(count);
    }

    /// Waits until so many reads have been made, from the beginning.
    pub async fn reached(&self, count: usize) {
        let mut done = self.done.subscribe();
        done.wait_for(|&number| number >= count).await.expect("the throttle holds its sender");
    }

    /// Waits for leave to read; how many octets at most.
    pub(super) async fn before_read(&self) -> usize {
        self.allowed.acquire().await.expect("the semaphore is never closed").forget();
        self.octets
    }

    pub(super) fn after_read(&self) {
        self.done.send_modify(|count| *count += 1);
    }
}

#[derive(Debug)]
struct Rule {
    stage: Stage,
    recipient: Option<String>,
    answers: Vec<Answer>,
    used: AtomicUsize,
}

/// The behaviour of a [`Peer`](super::Peer). Left as it is, it takes everything.
#[derive(Debug, Default)]
pub struct Script {
    rules: Mutex<Vec<Arc<Rule>>>,
    pub(super) extensions: Vec<String>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) implicit_tls: bool,
    pub(super) window_octets: Option<u32>,
    pub(super) throttle: Option<Throttle>,
}

impl Script {
    /// Takes everything, and offers PIPELINING, 8BITMIME, SMTPUTF8 and ENHANCEDSTATUSCODES.
    pub fn new() -> Self {
        Self::default().extensions(&["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"])
    }

    /// The lines of the EHLO reply below the first one. STARTTLS is added where there is TLS.
    #[must_use]
    pub fn extensions(mut self, extensions: &[&str]) -> Self {
        self.extensions = extensions.iter().map(|&line| line.to_owned()).collect();
        self
    }

    /// Offers STARTTLS.
    #[must_use]
    pub fn starttls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Begins with the TLS handshake.
    #[must_use]
    pub fn implicit_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self.implicit_tls = true;
        self
    }

    /// Gives the connections this little room for what is not yet read (`SO_RCVBUF`).
    #[must_use]
    pub fn window_octets(mut self, octets: u32) -> Self {
        self.window_octets = Some(octets);
        self
    }

    /// Reads mail data only as the test allows.
    #[must_use]
    pub fn throttle(mut self, throttle: &Throttle) -> Self {
        self.throttle = Some(throttle.clone());
        self
    }

    /// Always does `answer` at `stage`.
    #[must_use]
    pub fn on(self, stage: Stage, answer: impl Into<Answer>) -> Self {
        self.on_each(stage, [answer.into()])
    }

    /// Does the first of `answers` the first time `stage` is reached, and so on over all connections; the last repeats.
    #[must_use]
    pub fn on_each(self, stage: Stage, answers: impl IntoIterator<Item = impl Into<Answer>>) -> Self {
        self.with_rule(stage, None, answers)
    }

    /// The same at the end of the mail data, for one recipient: after LHLO.
    #[must_use]
    pub fn on_delivery(self, recipient: &str, answers: impl IntoIterator<Item = impl Into<Answer>>) -> Self {
        self.with_rule(Stage::Dot, Some(recipient.to_owned()), answers)
    }

    /// The same at RCPT, for one recipient. The address is written as in `RCPT TO:<…>`, and case counts.
    #[must_use]
    pub fn on_recipient(self, recipient: &str, answers: impl IntoIterator<Item = impl Into<Answer>>) -> Self {
        self.with_rule(Stage::Rcpt, Some(recipient.to_owned()), answers)
    }

    fn with_rule(
        self,
        stage: Stage,
        recipient: Option<String>,
        answers: impl IntoIterator<Item = impl Into<Answer>>,
    ) -> Self {
        let answers: Vec<Answer> = answers.into_iter().map(Into::into).collect();
        assert!(!answers.is_empty(), "a rule says what to do");
        let rule = Rule { stage, recipient, answers, used: AtomicUsize::new(0) };
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(rule));
        self
    }

    /// What the first rule that fits says; none fits: `None`.
    pub(super) fn answer(&self, stage: Stage, recipient: Option<&str>) -> Option<Answer> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |rule: &&Arc<Rule>| {
            rule.stage == stage && rule.recipient.as_deref().is_none_or(|named| Some(named) == recipient)
        };
        let rule = rules.iter().find(fits)?;
        let turn = rule.used.fetch_add(1, Ordering::Relaxed);
        rule.answers.get(turn).or(rule.answers.last()).cloned()
    }
}
