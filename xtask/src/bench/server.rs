//! A mail server under test while it runs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::dovecot::Dovecot;
use super::measure::ProcessTree;
use super::secure::Secure;
use crate::ground::Ground;
use crate::load::Client;

/// The local domain of every server under test; it has one mailbox that takes all of it.
pub(crate) const LOCAL_RECIPIENT: &str = "user@bench.test";
/// A domain that is relayed to the sink.
pub(crate) const RELAYED_RECIPIENT: &str = "user@away.test";

/// How long a server may take to greet.
const START_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Postfix,
    Ours,
}

impl Peer {
    pub(crate) const ALL: [Self; 2] = [Self::Postfix, Self::Ours];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postfix => "Postfix",
            Self::Ours => "smtp-server",
        }
    }

    /// Starts it in a fresh folder, relaying what is not local to `sink`; with another port for TLS and log-in where the job is
    /// `secure`.
    ///
    /// # Errors
    /// When it does not greet in time; what it said is in the text.
    pub(crate) async fn start(self, ground: &Ground, sink: SocketAddr, secure: bool) -> Result<Running> {
        let place = Place::new(ground, sink, secure)?;
        let (child, stop, passwords) = match self {
            Self::Postfix => super::postfix::start(&place)?,
            Self::Ours => {
                let (child, stop) = super::ours_peer::start(&place)?;
                (child, stop, None)
            }
        };
        let mut running = Running { place, child, stop, _passwords: passwords };
        running.wait_for_greeting().await.with_context(|| format!("{} does not start", self.name()))?;
        Ok(running)
    }
}

/// Where a server lives: a folder on a disk, and a free port.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) sink: SocketAddr,
    pub(super) secure: Option<Secure>,
}

impl Place {
    fn new(ground: &Ground, sink: SocketAddr, secure: bool) -> Result<Self> {
        let folder = ground.take()?;
        let secure = secure.then(|| Secure::new(&folder)).transpose()?;
        Ok(Self { folder, address: free_address()?, sink, secure })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A new folder in this place.
    pub(crate) fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Where a server's own words go.
    pub(crate) fn log(&self) -> Result<Stdio> {
        let path = self.path("log");
        let file = fs::File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(file.into())
    }

    fn mailbox(&self) -> PathBuf {
        self.path("mail/user/new")
    }
}

/// An address on loopback that nobody listens on.
///
/// # Errors
/// When there is none.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?)
}

/// A server that runs. Dropped, it is stopped.
#[derive(Debug)]
pub(crate) struct Running {
    place: Place,
    child: Child,
    stop: Command,
    /// Who is asked for passwords, where that is another program; stopped after the server.
    _passwords: Option<Dovecot>,
}

impl Running {
    /// What it offers under TLS.
    ///
    /// # Errors
    /// When it was not started for that.
    pub(super) fn secure(&self) -> Result<&Secure> {
        self.place.secure.as_ref().context("the server was started without TLS")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.place.address
    }

    pub(crate) fn processes(&self) -> ProcessTree {
        ProcessTree { root: self.child.id() }
    }

    /// How many messages lie in the mailbox.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn delivered(&self) -> Result<usize> {
        let mailbox = self.place.mailbox();
        if !mailbox.try_exists()? {
            return Ok(0);
        }
        Ok(fs::read_dir(mailbox)?.count())
    }

    async fn wait_for_greeting(&mut self) -> Result<()> {
        let greeting = async {
            let mut looks = tokio::time::interval(LOOK_AGAIN);
            loop {
                looks.tick().await;
                if let Some(status) = self.child.try_wait()? {
                    bail!("it ended with {status}: {}", self.words());
                }
                if let Ok(client) = Client::connect(self.place.address).await {
                    return client.quit().await;
                }
            }
        };
        match tokio::time::timeout(START_MAX, greeting).await {
            Ok(done) => done,
            Err(_) => bail!("no greeting in 30 s: {}", self.words()),
        }
    }

    fn words(&self) -> String {
        read_end(&self.place.path("log"))
    }
}

/// The last lines of a log.
fn read_end(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

impl Drop for Running {
    fn drop(&mut self) {
        let stopped = self.stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let ended = stopped.is_ok_and(|status| status.success());
        if !ended && let Err(error) = self.child.kill() {
            eprintln!("warning: cannot stop process {}: {error}", self.child.id());
        }
        if let Err(error) = self.child.wait() {
            eprintln!("warning: cannot wait for process {}: {error}", self.child.id());
        }
    }
}
