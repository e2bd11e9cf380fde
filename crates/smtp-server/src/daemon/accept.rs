//! The listeners of the daemon, and their change at reload.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use smtp_config::file::ListenerTls;
use smtp_proto::server::{ServerConfig, ServerTimeouts};
use smtp_proto::{EnhancedStatus, Limits, Reply, ReplyCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::Listening;
use crate::certificates::Certificates;
use crate::config::{self, Config};
use crate::listener::{self, BindError, TooMany};
use crate::log;
use crate::metrics::Stage;
use crate::receive::{self, Endpoint};
use crate::shared::{self, Shared};

/// How long to wait when the system cannot give a connection (most often: no file descriptors are left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// All listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
    open: Vec<Open>,
}

/// A socket that listens.
#[derive(Debug)]
struct Open {
    /// The address as the configuration has it.
    configured: SocketAddr,
    listening: Listening,
    endpoint: watch::Sender<Arc<Endpoint>>,
    task: JoinHandle<()>,
}

impl Listeners {
    /// None yet. Every session holds a clone of `alive`.
    pub(super) fn new(shared: Arc<Shared>, stop: watch::Receiver<bool>, alive: mpsc::Sender<()>) -> Self {
        Self { shared, stop, alive, open: Vec::new() }
    }

    pub(super) fn addresses(&self) -> Vec<Listening> {
        self.open.iter().map(|open| open.listening).collect()
    }

    /// Opens what `config` adds, closes what it leaves out, and gives the others their new settings. Open sessions go on.
    pub(super) fn apply(&mut self, config: &Config) -> Result<(), BindError> {
        let tls = config.certificates.as_ref().map(Certificates::server_config);
        let mut added = Vec::new();
        for listener in &config.listeners {
            if !self.open.iter().any(|open| open.configured == listener.address) {
                added.push((listener, listener::bind(listener.address)?));
            }
        }
        self.open.retain(|open| {
            let listener = config.listeners.iter().find(|listener| listener.address == open.configured);
            match listener {
                Some(listener) => drop(open.endpoint.send_replace(Arc::new(endpoint(config, listener, tls.as_ref())))),
                None => open.task.abort(),
            }
            listener.is_some()
        });
        for (listener, socket) in added {
            self.open.push(self.start(endpoint(config, listener, tls.as_ref()), listener.address, socket));
        }
        Ok(())
    }

    /// Takes no more connections.
    pub(super) fn stop(&mut self) {
        for open in self.open.drain(..) {
            open.task.abort();
        }
        // Its own hold on the sessions' channel goes too, so that the channel closes with the last session.
        self.alive = mpsc::channel(1).0;
    }

    fn start(&self, endpoint: Endpoint, configured: SocketAddr, socket: TcpListener) -> Open {
        let listening = Listening {
            service: endpoint.service,
            implicit_tls: endpoint.implicit_tls,
            address: socket.local_addr().unwrap_or(configured),
        };
        let (sender, endpoint) = watch::channel(Arc::new(endpoint));
        let accept =
            Accept { shared: Arc::clone(&self.shared), endpoint, stop: self.stop.clone(), alive: self.alive.clone() };
        let task = tokio::spawn(accept.run(socket));
        Open { configured, listening, endpoint: sender, task }
    }
}

/// What the sessions of a listener have in common.
fn endpoint(config: &Config, listener: &config::Listener, tls: Option<&Arc<rustls::ServerConfig>>) -> Endpoint {
    let limits = Limits {
        message_octets: config.limits.message_octets,
        recipients_per_message: config.limits.recipients_per_message,
        errors_per_session: config.limits.errors_per_session,
        ..Limits::default()
    };
    let timeouts = ServerTimeouts {
        command: config.timeouts.command,
        data_block: config.timeouts.data_block,
        start_tls: config.timeouts.tls_handshake,
        ..ServerTimeouts::default()
    };
    let greeting = Reply::without_status(ReplyCode::SERVICE_READY, "ESMTP");
    let text = format!("{} ESMTP", config.hostname);
    Endpoint {
        service: listener.service,
        engine: Arc::new(ServerConfig { hostname: shared::hello_name(config), limits, timeouts }),
        greeting: greeting.clone().with_text(text).unwrap_or(greeting),
        acceptor: tls.filter(|_| listener.tls != ListenerTls::None).cloned().map(TlsAcceptor::from),
        implicit_tls: listener.tls == ListenerTls::Implicit,
    }
}

/// One listener at work.
struct Accept {
    shared: Arc<Shared>,
    endpoint: watch::Receiver<Arc<Endpoint>>,
    stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl Accept {
    async fn run(self, socket: TcpListener) {
        loop {
            match socket.accept().await {
                Ok((tcp, peer)) => self.admit(tcp, peer),
                Err(error) => {
                    log::not_accepted(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, tcp: TcpStream, peer: SocketAddr) {
        let endpoint = Arc::clone(&self.endpoint.borrow());
        let limits = self.shared.config().limits.sessions;
        let permit = match self.shared.sessions.admit(peer.ip(), limits) {
            Ok(permit) => permit,
            Err(too_many) => return self.turn_away(&tcp, peer, &endpoint, too_many),
        };
        let shared = Arc::clone(&self.shared);
        let stop = self.stop.clone();
        let alive = self.alive.clone();
        tokio::spawn(async move {
            let session = receive::serve(tcp, peer, Arc::clone(&shared), endpoint, permit, stop);
            if AssertUnwindSafe(session).catch_unwind().await.is_err() {
                shared.metrics().panicked();
                log::panicked(&format_args!("the session of {peer}"));
            }
            drop(alive);
        });
    }

    /// Says why, if that can be said at once and in the clear, and closes: nothing is spent on a client that is too many.
    fn turn_away(&self, tcp: &TcpStream, peer: SocketAddr, endpoint: &Endpoint, too_many: TooMany) {
        let text = match too_many {
            TooMany::Sessions => "Too many sessions at the moment; try again later",
            TooMany::SessionsPerClient => "Too many sessions from your address; close some",
        };
        let reply = Reply::new(ReplyCode::SERVICE_NOT_AVAILABLE, EnhancedStatus::new(4, 7, 0), text);
        if !endpoint.implicit_tls {
            let mut line = bytes::BytesMut::new();
            reply.encode(&mut line);
            // A fresh connection has room for a line; if not, the client sees it closed.
            let _ = tcp.try_write(&line);
        }
        self.shared.metrics().reject(Stage::Connect, reply.code());
        let session = log::Session { id: log::SessionId::next(), service: endpoint.service, peer };
        let refused = log::Refused {
            stage: Stage::Connect,
            reply: &reply,
            reason: &too_many,
            hello: None,
            reverse_path: None,
            forward_path: None,
        };
        log::refused(&session, refused);
    }
}
