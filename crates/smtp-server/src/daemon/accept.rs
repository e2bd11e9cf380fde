//! The listeners of the daemon, and their change at reload.

use std::net::SocketAddr;
use std::sync::Arc;

use smtp_config::file::{ClientCertificates, ListenerTls};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Listening;
use crate::certificates::TlsServer;
use crate::config::{self, Config};
use crate::listener::{self, BindError, Peer};
use crate::log;
use crate::receive::{self, Endpoint, Phase};
use crate::shared::Shared;

/// All listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    alive: mpsc::Sender<()>,
    open: Vec<Open>,
}

/// A socket that listens.
#[derive(Debug)]
struct Open {
    /// The address as the configuration has it.
    configured: SocketAddr,
    /// The address with the port that the system chose where the configuration says 0.
    address: SocketAddr,
    endpoint: watch::Sender<Arc<Endpoint>>,
    task: JoinHandle<()>,
}

impl Open {
    /// Closes the socket; when this returns the address is free. What it takes to open it again.
    async fn close(self) -> (SocketAddr, Arc<Endpoint>) {
        self.task.abort();
        // It ends as cancelled, and its socket with it.
        let _ = self.task.await;
        (self.configured, self.endpoint.borrow().clone())
    }
}

type Bound<'a> = Vec<(&'a config::Listener, TcpListener)>;

impl Listeners {
    /// None yet. Every session holds a clone of `alive`.
    pub(super) fn new(shared: Arc<Shared>, phase: watch::Receiver<Phase>, alive: mpsc::Sender<()>) -> Self {
        Self { shared, phase, alive, open: Vec::new() }
    }

    pub(super) fn addresses(&self) -> Vec<Listening> {
        let listening = |open: &Open| {
            let endpoint = open.endpoint.borrow();
            Listening { service: endpoint.service, implicit_tls: endpoint.implicit_tls, address: open.address }
        };
        self.open.iter().map(listening).collect()
    }

    /// Opens what `config` adds, closes what it leaves out, and gives the others their new settings. Open sessions go
    /// on. After an error everything is as before.
    pub(super) async fn apply(&mut self, config: &Config) -> Result<(), BindError> {
        let bound = self.bind_added(config).await?;
        let tls = TlsServers::new(config);
        for open in self.take_leaving(config, |_| true) {
            open.close().await;
        }
        for open in &self.open {
            if let Some(listener) = listener_at(config, open.configured) {
                open.endpoint.send_replace(Arc::new(endpoint(config, listener, tls.of(listener))));
            }
        }
        for (listener, socket) in bound {
            self.start(Arc::new(endpoint(config, listener, tls.of(listener))), listener.address, socket);
        }
        Ok(())
    }

    /// Takes no more connections.
    pub(super) async fn stop(&mut self) {
        for open in self.open.drain(..) {
            open.close().await;
        }
        // Its own hold on the sessions' channel goes too, so that the channel closes with the last session.
        self.alive = mpsc::channel(1).0;
    }

    /// Sockets for what `config` adds. A default address that this machine has not is left out, unless it is the last.
    async fn bind_added<'a>(&mut self, config: &'a Config) -> Result<Bound<'a>, BindError> {
        let (mut bound, mut blocked, mut missing) = (Vec::new(), Vec::new(), None);
        for listener in &config.listeners {
            if self.open.iter().any(|open| open.configured == listener.address) {
                continue;
            }
            match listener::bind(listener.address) {
                Ok(socket) => bound.push((listener, socket)),
                Err(error) if listener.by_default && error.is_missing_here() => missing = Some(error),
                Err(error) if error.is_in_use() && self.leaves_port(config, listener.address.port()) => {
                    blocked.push(listener);
                }
                Err(error) => return Err(error),
            }
        }
        self.take_over(config, blocked, &mut bound).await?;
        match missing {
            Some(error) if bound.is_empty() && self.open.is_empty() => return Err(error),
            Some(error) => log::left_out(&error),
            None => {}
        }
        Ok(bound)
    }

    /// Listens where a listener of ours that leaves is in the way, as when `127.0.0.1:25` becomes `0.0.0.0:25`: that one
    /// is closed first, and opened again if it was something else.
    async fn take_over<'a>(
        &mut self,
        config: &Config,
        blocked: Vec<&'a config::Listener>,
        bound: &mut Bound<'a>,
    ) -> Result<(), BindError> {
        let ports: Vec<u16> = blocked.iter().map(|listener| listener.address.port()).collect();
        let mut former = Vec::new();
        for open in self.take_leaving(config, |open| ports.contains(&open.configured.port())) {
            former.push(open.close().await);
        }
        for listener in blocked {
            match listener::bind(listener.address) {
                Ok(socket) => bound.push((listener, socket)),
                Err(error) => {
                    bound.clear();
                    self.reopen(former);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn reopen(&mut self, former: Vec<(SocketAddr, Arc<Endpoint>)>) {
        for (address, endpoint) in former {
            match listener::bind(address) {
                Ok(socket) => self.start(endpoint, address, socket),
                Err(error) => log::left_out(&error),
            }
        }
    }

    fn leaves_port(&self, config: &Config, port: u16) -> bool {
        self.open.iter().any(|open| open.configured.port() == port && listener_at(config, open.configured).is_none())
    }

    /// The listeners that `config` leaves out, of those that are meant.
    fn take_leaving(&mut self, config: &Config, meant: impl Fn(&Open) -> bool) -> Vec<Open> {
        self.open.extract_if(.., |open| listener_at(config, open.configured).is_none() && meant(open)).collect()
    }

    fn start(&mut self, endpoint: Arc<Endpoint>, configured: SocketAddr, socket: TcpListener) {
        let address = socket.local_addr().unwrap_or(configured);
        let (sender, endpoint) = watch::channel(endpoint);
        let accept =
            Accept { shared: Arc::clone(&self.shared), endpoint, phase: self.phase.clone(), alive: self.alive.clone() };
        let task = tokio::spawn(accept.run(socket));
        self.open.push(Open { configured, address, endpoint: sender, task });
    }
}

/// One for each way to ask clients for a certificate, so that all listeners of one way have the same tickets.
struct TlsServers(Vec<Arc<TlsServer>>);

impl TlsServers {
    fn new(config: &Config) -> Self {
        let ways = [ClientCertificates::Off, ClientCertificates::Request, ClientCertificates::Require];
        let used = ways.into_iter().filter(|way| config.listeners.iter().any(|one| one.client_certificates == *way));
        let servers = config.certificates.iter().flat_map(|certificates| {
            used.clone().map(|clients| Arc::new(TlsServer::new(Arc::clone(certificates), config.tls, clients)))
        });
        Self(servers.collect())
    }

    /// That of a listener, where it has TLS.
    fn of(&self, listener: &config::Listener) -> Option<Arc<TlsServer>> {
        let mut servers = self.0.iter().filter(|_| listener.tls != ListenerTls::None);
        servers.find(|tls| tls.clients() == listener.client_certificates).cloned()
    }
}

fn listener_at(config: &Config, address: SocketAddr) -> Option<&config::Listener> {
    config.listeners.iter().find(|listener| listener.address == address)
}

fn endpoint(config: &Config, listener: &config::Listener, tls: Option<Arc<TlsServer>>) -> Endpoint {
    Endpoint {
        tls,
        implicit_tls: listener.tls == ListenerTls::Implicit,
        proxy_from: Arc::clone(&listener.proxy_from),
        xclient_from: Arc::clone(&listener.xclient_from),
        ..Endpoint::new(config, &config.hostname, listener.service)
    }
}

/// One listener at work.
struct Accept {
    shared: Arc<Shared>,
    endpoint: watch::Receiver<Arc<Endpoint>>,
    phase: watch::Receiver<Phase>,
    alive: mpsc::Sender<()>,
}

impl Accept {
    async fn run(self, socket: TcpListener) {
        listener::accept_all(|| socket.accept(), |(tcp, peer)| self.admit(tcp, Peer::Address(peer))).await;
    }

    fn admit(&self, tcp: TcpStream, peer: Peer) {
        let endpoint = Arc::clone(&self.endpoint.borrow());
        let limits = self.shared.config().limits.sessions;
        let sessions = &self.shared.sessions;
        let is_for_others = !endpoint.proxy_from.is_empty() || endpoint.trusts_xclient_of(peer);
        let admitted = if is_for_others { sessions.admit_unnamed(limits) } else { sessions.admit(peer, limits) };
        let permit = match admitted {
            Ok(permit) => permit,
            Err(too_many) => {
                let session = log::Session::new(endpoint.service, peer);
                return receive::turn_away(|line| tcp.try_write(line), &session, &self.shared, &endpoint, too_many);
            }
        };
        let shared = Arc::clone(&self.shared);
        let phase = self.phase.clone();
        let alive = self.alive.clone();
        let session = receive::serve(tcp, peer, Arc::clone(&shared), endpoint, permit, phase);
        tokio::spawn(receive::to_its_end(session, shared, peer, alive));
    }
}
