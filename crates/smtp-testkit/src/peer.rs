//! A scripted SMTP server on loopback, which answers, delays, breaks off and records as a test wants it.
//!
//! It shares no code with the engines on purpose: what it takes for the end of a message does not depend on what they
//! take for it.

mod script;
mod session;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

pub use script::{Answer, Gate, Script, Stage, Throttle};

/// A running peer. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

/// A message as the peer took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Which connection brought it, from 1.
    pub connection: usize,
    /// Whether it came under TLS.
    pub tls: bool,
    /// The argument of EHLO or HELO.
    pub hello: String,
    /// What stood behind `MAIL FROM:`.
    pub mail: String,
    /// What stood behind each `RCPT TO:` that was accepted.
    pub recipients: Vec<String>,
    /// The octets of the content, without the stuffing.
    pub content: Vec<u8>,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    record: Mutex<Record>,
    /// Counts the changes of `record`.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Record {
    connections: usize,
    open: usize,
    commands: Vec<String>,
    messages: Vec<Received>,
}

impl Peer {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(script: Script) -> Self {
        Self::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST), script).expect("127.0.0.1 has a free port")
    }

    /// Listens on a free port of `ip`.
    ///
    /// # Errors
    /// The machine has not this address.
    pub fn start_at(ip: IpAddr, script: Script) -> io::Result<Self> {
        let socket = if ip.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(octets) = script.window_octets {
            socket.set_recv_buffer_size(octets)?;
        }
        socket.bind(SocketAddr::new(ip, 0))?;
        let listener = socket.listen(1024)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { script, record: Mutex::default(), changes: watch::Sender::new(0) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The messages taken so far.
    pub fn messages(&self) -> Vec<Received> {
        self.shared.record().messages.clone()
    }

    /// Waits until `count` messages have been taken, and returns them all.
    pub async fn wait_for_messages(&self, count: usize) -> Vec<Received> {
        self.wait_until(|record| record.messages.len() >= count).await;
        self.messages()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.record().connections
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.record().open
    }

    /// Waits until no connection is open.
    pub async fn wait_until_idle(&self) {
        self.wait_until(|record| record.open == 0).await;
    }

    /// Every command line so far, of all connections, without the line ends.
    pub fn commands(&self) -> Vec<String> {
        self.shared.record().commands.clone()
    }

    /// How many commands so far began with `verb`.
    pub fn count_commands(&self, verb: &str) -> usize {
        let is_verb = |line: &&String| line.get(..verb.len()).is_some_and(|start| start.eq_ignore_ascii_case(verb));
        self.shared.record().commands.iter().filter(is_verb).count()
    }

    async fn wait_until(&self, reached: impl Fn(&Record) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !reached(&self.shared.record()) {
            changes.changed().await.expect("the sender lives as long as the peer");
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record());
        self.changes.send_modify(|count| *count += 1);
    }
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        sessions.spawn(async move { serve(tcp, shared).await });
    }
}

async fn serve(tcp: TcpStream, shared: Arc<Shared>) {
    let mut number = 0;
    shared.change(|record| {
        record.connections += 1;
        record.open += 1;
        number = record.connections;
    });
    // How a connection ends is the script's matter; a client that breaks off is no failure of the peer.
    let _ = session::run(tcp, number, &shared).await;
    shared.change(|record| record.open -= 1);
}
