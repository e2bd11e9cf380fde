//! Sockets that listen, and how many sessions may be open on them: in all, and for each client.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that the kernel may hold until they are accepted, so that a burst of 1,000 is not refused. The kernel
/// cuts it to `net.core.somaxconn`, which is 4,096 by default.
const BACKLOG: i32 = 4096;

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

/// How many sessions may be open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Over all clients.
    pub sessions: usize,
    /// From one IPv4 address or one IPv6 /64.
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
    by_client: HashMap<IpAddr, usize>,
}

/// The right to one session; given back when dropped.
#[derive(Debug)]
pub struct SessionPermit {
    sessions: Arc<Sessions>,
    client: IpAddr,
}

impl Sessions {
    /// Admits one more session of `address`, or says which limit stands against it.
    pub fn admit(self: &Arc<Self>, address: IpAddr, limits: SessionLimits) -> Result<SessionPermit, TooMany> {
        let client = client_key(address);
        let mut open = self.lock();
        if open.total >= limits.sessions {
            return Err(TooMany::Sessions);
        }
        let of_client = open.by_client.get(&client).copied().unwrap_or(0);
        if of_client >= limits.sessions_per_client && !client.is_loopback() {
            return Err(TooMany::SessionsPerClient);
        }
        open.total += 1;
        open.by_client.insert(client, of_client + 1);
        Ok(SessionPermit { sessions: Arc::clone(self), client })
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

impl Drop for SessionPermit {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        open.total -= 1;
        if let Some(count) = open.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

/// Who counts as one client: an IPv4 address, or the /64 that one IPv6 customer has.
fn client_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SessionLimits = SessionLimits { sessions: 3, sessions_per_client: 2 };

    #[test]
    fn limits_hold_for_a_client_and_for_all_and_are_given_back() {
        let sessions = Arc::new(Sessions::default());
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
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
    fn one_ipv6_network_is_one_client_and_mapped_ipv4_is_ipv4() {
        let sessions = Arc::new(Sessions::default());
        let limits = SessionLimits { sessions: 10, sessions_per_client: 1 };
        let _first = sessions.admit("2001:db8::1".parse().unwrap(), limits).unwrap();
        assert!(sessions.admit("2001:db8::2".parse().unwrap(), limits).is_err());
        assert!(sessions.admit("2001:db8:0:1::2".parse().unwrap(), limits).is_ok());
        let _mapped = sessions.admit("::ffff:192.0.2.1".parse().unwrap(), limits).unwrap();
        assert!(sessions.admit("192.0.2.1".parse().unwrap(), limits).is_err());
    }

    #[tokio::test]
    async fn a_busy_port_says_what_to_do() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().contains("another program has this port"), "{error}");
    }
}
