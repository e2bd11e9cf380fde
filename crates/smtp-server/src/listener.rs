//! Sockets that listen, who connects to them, and how many sessions may be open: in all, and for each client.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smtp_policy::client_network;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::log;

/// Connections that the kernel may hold until they are accepted, so that a burst of 1,000 is not refused. The kernel
/// cuts it to `net.core.somaxconn`, which is 4,096 by default.
const BACKLOG: i32 = 4096;

/// How long to wait when the system cannot give a connection (most often: no file descriptors are left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be listened on: {advice}")]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    advice: &'static str,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl BindError {
    /// Another socket has the address.
    pub fn is_in_use(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }

    /// The machine has no such address, or not even its family.
    pub fn is_missing_here(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrNotAvailable
            || self.source.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
    }
}

/// Listens on `address`; an IPv6 address takes IPv6 only, so that `0.0.0.0:25` and `[::]:25` stand side by side.
///
/// # Errors
/// The address and what can be done about it.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address).map_err(|source| BindError { address, advice: advice(&source), source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has this port; stop it (`ss -ltnp` shows which), or name another port in [[listener]]"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE; run the unit that comes with the server, or name a higher port"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; correct it in [[listener]]",
        _ => "the system refused it",
    }
}

/// Hands on connections for as long as it runs. One line tells of a shortage, however long it lasts.
pub(crate) async fn accept_all<T, F>(accept: impl Fn() -> F, mut take: impl FnMut(T))
where
    F: Future<Output = io::Result<T>>,
{
    let mut short = false;
    loop {
        match accept().await {
            Ok(connection) => {
                short = false;
                take(connection);
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut short, true) {
                    log::not_accepted(&error);
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection that broke before it was accepted is no trouble of ours.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
    )
}

/// Who is at the other end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A client of the network.
    Address(SocketAddr),
    /// A user of this machine, by the user id that the kernel tells: at the submit socket, or the owner of a dropped file.
    User(u32),
}

impl Peer {
    /// Whose sessions are counted together.
    fn client(self) -> Client {
        match self {
            Self::Address(address) => Client::Address(client_network(address.ip())),
            Self::User(uid) => Client::User(uid),
        }
    }

    /// Where it connects from; `None` on this machine's own socket.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.ip()),
            Self::User(_) => None,
        }
    }

    /// The user, on this machine's own socket.
    pub fn uid(self) -> Option<u32> {
        match self {
            Self::Address(_) => None,
            Self::User(uid) => Some(uid),
        }
    }

    /// The name under which the queue keeps where a message came from: the address without its port, or `uid:1000`.
    pub fn origin(self) -> String {
        self.address().map_or_else(|| self.to_string(), |address| address.to_string())
    }
}

impl fmt::Display for Peer {
    /// `192.0.2.1:4321`, or `uid:1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::User(uid) => write!(f, "uid:{uid}"),
        }
    }
}

/// Whose sessions are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    Address(IpAddr),
    User(u32),
}

impl Client {
    /// All programs that connect by loopback share its address, whoever runs them.
    fn is_shared(self) -> bool {
        matches!(self, Self::Address(address) if address.is_loopback())
    }
}

/// How many sessions may be open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Over all clients.
    pub sessions: usize,
    /// From one IPv4 address or one IPv6 /64, or of one user of this machine.
    pub sessions_per_client: usize,
}

/// Which limit a client has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// The server has no session left for anybody.
    #[error("too many sessions in all")]
    Sessions,
    /// This client has all the sessions that one may have.
    #[error("too many sessions from this client")]
    SessionsPerClient,
}

/// Counts the open sessions. Loopback is counted but not limited by client: the machine's own programs share that address.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_client: HashMap<Client, usize>,
}

/// The right to one session; given back when dropped.
#[derive(Debug)]
pub struct SessionPermit {
    sessions: Arc<Sessions>,
    /// None while a proxy, or a peer that may name clients, has not said whose it is.
    client: Option<Client>,
}

impl SessionPermit {
    /// Books a session that [`Sessions::admit_unnamed`] has admitted on `peer`, or says that this client has too many.
    pub fn name(mut self, peer: Peer, limits: SessionLimits) -> Result<Self, TooMany> {
        self.rename(peer, limits)?;
        Ok(self)
    }

    /// Books the session on `peer`, and no more on whom it was booked before; or says that this client has too many.
    pub fn rename(&mut self, peer: Peer, limits: SessionLimits) -> Result<(), TooMany> {
        let client = peer.client();
        if self.client == Some(client) {
            return Ok(());
        }
        let mut open = self.sessions.lock();
        open.add_client(client, limits)?;
        if let Some(former) = self.client.replace(client) {
            open.remove_client(former);
        }
        Ok(())
    }
}

impl Sessions {
    /// Admits one more session of `peer`, or says which limit stands against it.
    pub fn admit(self: &Arc<Self>, peer: Peer, limits: SessionLimits) -> Result<SessionPermit, TooMany> {
        self.admit_unnamed(limits)?.name(peer, limits)
    }

    /// Admits one more session of a client that a proxy, or a peer by XCLIENT, has yet to name.
    pub fn admit_unnamed(self: &Arc<Self>, limits: SessionLimits) -> Result<SessionPermit, TooMany> {
        let mut open = self.lock();
        if open.total >= limits.sessions {
            return Err(TooMany::Sessions);
        }
        open.total += 1;
        Ok(SessionPermit { sessions: Arc::clone(self), client: None })
    }

    /// The sessions open now.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        // Counting cannot panic half way, so a poisoned lock holds sound numbers.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn add_client(&mut self, client: Client, limits: SessionLimits) -> Result<(), TooMany> {
        let of_client = self.by_client.get(&client).copied().unwrap_or(0);
        if of_client >= limits.sessions_per_client && !client.is_shared() {
            return Err(TooMany::SessionsPerClient);
        }
        self.by_client.insert(client, of_client + 1);
        Ok(())
    }

    fn remove_client(&mut self, client: Client) {
        if let Some(count) = self.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
    }
}

impl Drop for SessionPermit {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        open.total -= 1;
        if let Some(client) = self.client {
            open.remove_client(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Peer {
        Peer::Address(SocketAddr::new(address.parse().unwrap(), 4321))
    }

    const LIMITS: SessionLimits = SessionLimits { sessions: 3, sessions_per_client: 2 };

    #[test]
    fn limits_hold_for_a_client_and_for_all_and_are_given_back() {
        let sessions = Arc::new(Sessions::default());
        let client = at("192.0.2.1");
        let other = at("192.0.2.2");
        let first = sessions.admit(client, LIMITS).unwrap();
        let _second = sessions.admit(client, LIMITS).unwrap();
        assert_eq!(sessions.admit(client, LIMITS).unwrap_err(), TooMany::SessionsPerClient);
        let _third = sessions.admit(other, LIMITS).unwrap();
        assert_eq!(sessions.admit(other, LIMITS).unwrap_err(), TooMany::Sessions);
        drop(first);
        assert_eq!(sessions.total(), 2);
        assert!(sessions.admit(client, LIMITS).is_ok());
    }

    #[test]
    fn a_session_that_a_proxy_names_counts_for_its_client() {
        let sessions = Arc::new(Sessions::default());
        let client = at("192.0.2.1");
        let unnamed = [(); 3].map(|()| sessions.admit_unnamed(LIMITS).unwrap());
        assert_eq!(sessions.admit_unnamed(LIMITS).unwrap_err(), TooMany::Sessions);
        let [first, second, third] = unnamed;
        let _first = first.name(client, LIMITS).unwrap();
        let second = second.name(client, LIMITS).unwrap();
        assert_eq!(third.name(client, LIMITS).unwrap_err(), TooMany::SessionsPerClient);
        assert_eq!(sessions.total(), 2, "the one that was refused is given back");
        drop(second);
        assert!(sessions.admit(client, LIMITS).is_ok());
    }

    #[test]
    fn one_ipv6_network_is_one_client_and_mapped_ipv4_is_ipv4() {
        let sessions = Arc::new(Sessions::default());
        let limits = SessionLimits { sessions: 10, sessions_per_client: 1 };
        let _first = sessions.admit(at("2001:db8::1"), limits).unwrap();
        assert!(sessions.admit(at("2001:db8::2"), limits).is_err());
        assert!(sessions.admit(at("2001:db8:0:1::2"), limits).is_ok());
        let _mapped = sessions.admit(at("::ffff:192.0.2.1"), limits).unwrap();
        assert!(sessions.admit(at("192.0.2.1"), limits).is_err());
    }

    #[test]
    fn users_of_this_machine_are_limited_one_by_one() {
        let sessions = Arc::new(Sessions::default());
        let limits = SessionLimits { sessions: 10, sessions_per_client: 1 };
        let _first = sessions.admit(Peer::User(1000), limits).unwrap();
        assert_eq!(sessions.admit(Peer::User(1000), limits).unwrap_err(), TooMany::SessionsPerClient);
        let _other = sessions.admit(Peer::User(1001), limits).unwrap();
        let _loopback = sessions.admit(at("127.0.0.1"), limits).unwrap();
        let _again = sessions.admit(at("127.0.0.1"), limits).unwrap();
    }

    #[tokio::test]
    async fn a_busy_port_says_what_to_do() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().contains("another program has this port"), "{error}");
    }
}
