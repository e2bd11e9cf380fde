//! Mail from programs of this machine, by a Unix socket that every user may connect to.
//!
//! The session is that of a `submission` listener. Who the client is says the kernel (`SO_PEERCRED`): the user id is the key
//! of its limits and stands in the log, the trace field and the queue, and its name is what it may send under.

use std::sync::Arc;

use nix::unistd::{Uid, User};
use smtp_policy::LocalUserFacts;
use smtp_proto::{EnhancedStatus, Mailbox, Reply, ReplyCode, ReversePath};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

use crate::allowance::Allowance;
use crate::config::Config;
use crate::listener::{self, Peer};
use crate::local_socket::LocalSocket;
use crate::log;
use crate::receive::{self, Phase};
use crate::shared::Shared;

const NOT_YOURS: Reply = Reply::new(
    ReplyCode::MAILBOX_UNAVAILABLE,
    EnhancedStatus::new(5, 7, 1),
    "This user may not send under that address",
);

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
        Self::new(uid, &named.map_or_else(|| uid.to_string(), |user| user.name))
    }

    /// A user of that number and name.
    pub(crate) fn new(uid: u32, name: &str) -> Self {
        Self { uid, name: name.into() }
    }

    /// Whether this user may send under that path.
    ///
    /// # Errors
    /// The reply to MAIL: the path is somebody else's.
    pub(crate) fn permit(&self, config: &Config, path: &ReversePath) -> Result<(), Reply> {
        let privileged = self.uid == 0 || self.uid == rustix::process::geteuid().as_raw();
        if !config.submit.senders.permits(LocalUserFacts { name: &self.name, privileged }, path) {
            let text = format!("{path}: user {} may not send under this address ([submit] trusted_users)", self.name);
            return Err(NOT_YOURS.with_text(text).unwrap_or(NOT_YOURS));
        }
        Ok(())
    }

    /// The address of this user, where the name can be one.
    pub(crate) fn address(&self, config: &Config) -> Option<Mailbox> {
        format!("{}@{}", self.name, config.submit.domain).parse().ok()
    }

    /// What this user may send.
    pub(crate) fn allowance(&self, config: &Config) -> Allowance {
        Allowance::of_uid(self.uid, config.submit.messages_per_hour)
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
        let take = |unix: UnixStream| {
            // Else the client has gone, or the kernel does not say who it is: nobody to serve.
            if let Ok(credentials) = unix.peer_cred() {
                tokio::spawn(self.clone().serve(unix, credentials.uid()));
            }
        };
        listener::accept_all(|| socket.accept(), take).await;
    }

    /// Serves one session of a user to its end. Whoever has too many costs nothing more, not even the look for a name.
    pub(crate) async fn serve(self, unix: UnixStream, uid: u32) {
        let Self { shared, phase, alive } = self;
        let (peer, endpoint) = (Peer::User(uid), shared.submit_endpoint());
        let permit = match shared.sessions.admit(peer, shared.config().limits.sessions) {
            Ok(permit) => permit,
            Err(too_many) => {
                let session = log::Session::new(endpoint.service, peer);
                return receive::turn_away(|line| unix.try_write(line), &session, &shared, &endpoint, too_many);
            }
        };
        let submitter = Submitter::find(uid).await;
        let session = receive::serve_local(unix, peer, submitter, Arc::clone(&shared), endpoint, permit, phase);
        receive::to_its_end(session, shared, peer, alive).await;
    }
}
