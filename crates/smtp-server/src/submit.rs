//! Mail from programs of this machine, by a Unix socket that every user may connect to.
//!
//! The session is that of a `submission` listener. Who the client is says the kernel (`SO_PEERCRED`): the user id is the key
//! of its limits and stands in the log, the trace field and the queue, and its name is what it may send under.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use nix::unistd::{Uid, User};
use smtp_config::file::ListenerTls;
use smtp_policy::LocalUserFacts;
use smtp_policy::rate::{Rate, TooOften};
use smtp_proto::{EnhancedStatus, Reply, ReplyCode, ReversePath};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

use crate::config::{Config, Listener};
use crate::daemon;
use crate::listener::Peer;
use crate::local_socket::LocalSocket;
use crate::log;
use crate::metrics::{Service, Stage};
use crate::receive::{self, Endpoint, Phase};
use crate::shared::Shared;

/// How long to wait when the system cannot give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The time of `[submit] messages_per_hour`.
const RATE_PERIOD: Duration = Duration::from_hours(1);

const NOT_YOURS: Reply = Reply::new(
    ReplyCode::MAILBOX_UNAVAILABLE,
    EnhancedStatus::new(5, 7, 1),
    "This user may not send under that address",
);
const TOO_OFTEN: Reply =
    Reply::new(ReplyCode::MAILBOX_BUSY, EnhancedStatus::new(4, 7, 1), "This user has sent too many messages lately");

/// A user of this machine who hands in mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submitter {
    uid: u32,
    name: Box<str>,
}

impl Submitter {
    /// Asks the system for the name of a user; one that has none goes by its number. This can take as long as a directory
    /// service does.
    pub(crate) async fn find(uid: u32) -> Self {
        let named = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(uid)).ok().flatten());
        let named = named.await.ok().flatten();
        Self { uid, name: named.map_or_else(|| uid.to_string(), |user| user.name).into() }
    }

    /// As the peer of a session.
    pub(crate) fn peer(&self) -> Peer {
        Peer::User(self.uid)
    }

    /// Whether this user may send a message under that path now; if so, it is counted.
    ///
    /// # Errors
    /// The reply to MAIL: the path is somebody else's, or there were too many messages in the last hour.
    pub(crate) fn permit(&self, shared: &Shared, config: &Config, path: &ReversePath) -> Result<(), Reply> {
        let privileged = self.uid == 0 || self.uid == rustix::process::geteuid().as_raw();
        if !config.submit.senders.permits(LocalUserFacts { name: &self.name, privileged }, path) {
            let text = format!("{path}: user {} may not send under this address ([submit] trusted_users)", self.name);
            return Err(NOT_YOURS.with_text(text).unwrap_or(NOT_YOURS));
        }
        let Some(events) = config.submit.messages_per_hour else { return Ok(()) };
        let rate = Rate { events, period: RATE_PERIOD };
        // Counting cannot panic half way, so a poisoned lock holds sound numbers.
        let mut rates = shared.submitted.lock().unwrap_or_else(PoisonError::into_inner);
        rates.count(self.uid, rate, Instant::now()).map_err(|too_often| self.too_often(too_often))
    }

    fn too_often(&self, TooOften { wait }: TooOften) -> Reply {
        let text = format!("uid {}: too many messages; the next may come in {} s", self.uid, wait.as_secs().max(1));
        TOO_OFTEN.with_text(text).unwrap_or(TOO_OFTEN)
    }
}

/// What sessions with programs of this machine need.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) shared: Arc<Shared>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Every session holds a clone.
    pub(crate) alive: mpsc::Sender<()>,
}

impl Submission {
    /// Takes connections for as long as it runs; with it goes the socket.
    pub(crate) async fn accept(self, socket: LocalSocket) {
        // One line tells of a shortage, however long it lasts.
        let mut short = false;
        loop {
            match socket.accept().await {
                Ok(unix) => {
                    short = false;
                    let credentials = unix.peer_cred().map(|credentials| credentials.uid());
                    tokio::spawn(self.clone().take(unix, credentials));
                }
                Err(error) => {
                    if !std::mem::replace(&mut short, true) {
                        log::not_accepted(&error);
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn take(self, unix: UnixStream, uid: io::Result<u32>) {
        // The client has gone, or the kernel does not say who it is: nobody to serve.
        let Ok(uid) = uid else { return };
        self.serve(unix, Submitter::find(uid).await).await;
    }

    /// Serves one session to its end.
    pub(crate) async fn serve(self, unix: UnixStream, submitter: Submitter) {
        let Self { shared, phase, alive } = self;
        let config = shared.config();
        let endpoint = Arc::new(endpoint(&config));
        let peer = submitter.peer();
        let permit = match shared.sessions.admit(peer, config.limits.sessions) {
            Ok(permit) => permit,
            Err(too_many) => {
                let reply = daemon::too_many(too_many);
                let mut line = bytes::BytesMut::new();
                reply.encode(&mut line);
                // A fresh connection has room for a line; if not, the client sees it closed.
                let _ = unix.try_write(&line);
                shared.metrics().reject(Stage::Connect, reply.code());
                return log::turned_away(&log::Session::new(endpoint.service, peer), &reply, &too_many);
            }
        };
        let session = receive::serve_local(unix, submitter, Arc::clone(&shared), endpoint, permit, phase);
        if AssertUnwindSafe(session).catch_unwind().await.is_err() {
            shared.metrics().panicked();
            log::panicked(&format_args!("the session of {peer}"));
        }
        drop(alive);
    }
}

/// The session of a submission listener without TLS. It greets with the domain of addresses that have none, since that is
/// what a program that hands in mail must know.
fn endpoint(config: &Config) -> Endpoint {
    let listener = Listener {
        service: Service::Submission,
        address: ([0, 0, 0, 0], 0).into(),
        tls: ListenerTls::None,
        proxy_from: Arc::default(),
        by_default: true,
    };
    daemon::endpoint(config, config.submit.domain.as_str(), &listener, None)
}
