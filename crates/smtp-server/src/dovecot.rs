//! Dovecot as a second source of credentials: a client of its authentication protocol, version 1, over its Unix socket.
//!
//! All exchanges share one connection, told apart by their numbers, so that a client that is slow to answer holds nothing up. It is made
//! when it is first needed, and again when it is lost.

mod line;
mod link;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use smtp_proto::{ChannelBindings, Mechanism, Secret};
use smtp_sasl::{Client, Credentials, Login};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use self::link::Link;

/// Questions that wait for Dovecot at once; others wait for their turn, within the same time.
const QUESTIONS_MAX: usize = 256;
/// How long Dovecot may take to say what it can, which it knows without thinking.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// After one has not come to its end in time, or not in order, none is tried for as long, so that those who wait for it do not
/// wait one after the other.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The mechanisms that may be handed on: those that this server knows, and that show a password to nobody but Dovecot. They are bound to no
/// channel, since the channel is ours.
const SAFE: [Mechanism; 3] = [Mechanism::SCRAM_SHA_256, Mechanism::PLAIN, Mechanism::LOGIN];
/// What is offered while it is not known what Dovecot has: who logs in is then told to come again.
const PRESUMED: [Mechanism; 2] = [Mechanism::PLAIN, Mechanism::LOGIN];

/// Why Dovecot could not be asked, or did not know: the client is to come again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// Nobody listens at the socket, or this server may not connect to it.
    #[error("Dovecot's socket {path} cannot be connected to: {error}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// What is said there is not version 1 of the protocol.
    #[error("what answers at the socket does not speak version 1 of Dovecot's authentication protocol")]
    Protocol,
    /// The connection has ended before the answer came.
    #[error("Dovecot has closed the connection")]
    Lost,
    /// It has not answered in time.
    #[error("Dovecot has not answered in time")]
    TimedOut,
    /// It has said that it cannot tell now.
    #[error("Dovecot cannot verify passwords at the moment: its own log says why")]
    Temporary,
    /// It would hand this user on to another server, which is to verify the password.
    #[error("Dovecot is a proxy for this user, whose password only the server behind it knows")]
    Proxied,
    /// It has come to have other mechanisms than those that were offered.
    #[error("Dovecot does not have the mechanism {0}")]
    Mechanism(Mechanism),
}

/// What is told about the client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// There is TLS.
    pub(crate) secured: bool,
    /// Where it connects from.
    pub(crate) address: Option<IpAddr>,
}

/// What Dovecot says to a step.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The next challenge.
    Challenge(Secret),
    /// The client is this one.
    Authenticated(Login),
    /// It is not; the login as Dovecot has read it, where it says so.
    Refused(Option<Login>),
}

/// Dovecot, by its socket.
pub struct Dovecot {
    path: PathBuf,
    within: Duration,
    questions: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    failed: Option<(Instant, Unavailable)>,
}

impl fmt::Debug for Dovecot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dovecot").field("path", &self.path).field("within", &self.within).finish_non_exhaustive()
    }
}

impl Dovecot {
    /// The one at this socket, which is to answer each step within that time. Nothing is connected yet.
    pub fn new(path: PathBuf, within: Duration) -> Self {
        Self { path, within, questions: Semaphore::new(QUESTIONS_MAX), state: Mutex::default() }
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mechanisms that it has and that may be handed on, the best first.
    pub(crate) async fn mechanisms(&self) -> Vec<Mechanism> {
        match self.link().await {
            Ok(link) => {
                // Passwords are asked about by PLAIN, whichever way they have come.
                let needed = |safe| if safe == Mechanism::LOGIN { Mechanism::PLAIN } else { safe };
                let has = |mechanism| link.mechanisms().contains(&mechanism);
                SAFE.into_iter().filter(|&safe| has(safe) && has(needed(safe))).collect()
            }
            Err(_) => PRESUMED.to_vec(),
        }
    }

    /// Whether that is the password of that login: an [`Answer`] that is no challenge.
    pub(crate) async fn password(&self, about: About, login: Login, password: Secret) -> Result<Answer, Unavailable> {
        let (mechanism, credentials) = (Mechanism::PLAIN, Credentials::Password { login, password });
        let (_, message) = Client::start(mechanism, &[mechanism], &credentials, &ChannelBindings::default())
            .expect("PLAIN is for passwords");
        match self.begin(about, mechanism, message.as_ref()).await? {
            (_, Answer::Challenge(_)) => Err(Unavailable::Protocol),
            (_, answer) => Ok(answer),
        }
    }

    /// Begins an exchange, with what the client has said first.
    pub(crate) async fn begin(
        &self,
        about: About,
        mechanism: Mechanism,
        response: Option<&Secret>,
    ) -> Result<(Exchange, Answer), Unavailable> {
        let asked = async {
            let _turn = self.questions.acquire().await;
            let link = self.link().await?;
            match self.begin_on(link, about, mechanism, response).await {
                // It may have been restarted since it was asked the last time.
                Err(Unavailable::Lost) => self.begin_on(self.link().await?, about, mechanism, response).await,
                begun => begun,
            }
        };
        in_time(self.within, asked).await
    }

    async fn begin_on(
        &self,
        link: Arc<Link>,
        about: About,
        mechanism: Mechanism,
        response: Option<&Secret>,
    ) -> Result<(Exchange, Answer), Unavailable> {
        // Dovecot would end the connection at one that it does not have, and with it the exchanges of others.
        if !link.mechanisms().contains(&mechanism) {
            return Err(Unavailable::Mechanism(mechanism));
        }
        let id = link.next_id();
        let answer = link.ask(id, line::auth(id, mechanism, about, response)).await?;
        Ok((Exchange { link, id, within: self.within }, answer))
    }

    /// The connection that there is, or a new one.
    async fn link(&self) -> Result<Arc<Link>, Unavailable> {
        let mut state = self.state.lock().await;
        if let Some(link) = state.link.as_ref().filter(|link| link.is_open()) {
            return Ok(Arc::clone(link));
        }
        state.link = None;
        if let Some((at, error)) = &state.failed
            && at.elapsed() < RETRY_AFTER
        {
            return Err(error.clone());
        }
        match in_time(HANDSHAKE_WITHIN, Link::open(&self.path)).await {
            Ok(link) => {
                let link = Arc::new(link);
                *state = State { link: Some(Arc::clone(&link)), failed: None };
                Ok(link)
            }
            // That nobody listens is known at once, each time.
            Err(error @ Unavailable::Connect { .. }) => Err(error),
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// An exchange under way.
pub(crate) struct Exchange {
    link: Arc<Link>,
    id: u32,
    within: Duration,
}

impl Exchange {
    /// Hands on what the client has answered to the last challenge.
    pub(crate) async fn respond(&self, response: &Secret) -> Result<Answer, Unavailable> {
        in_time(self.within, self.link.ask(self.id, line::cont(self.id, response))).await
    }
}

async fn in_time<T>(within: Duration, work: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
    tokio::time::timeout(within, work).await.unwrap_or(Err(Unavailable::TimedOut))
}

#[cfg(test)]
mod tests;
