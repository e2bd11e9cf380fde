//! Our own server, for measurements and torture: its release build, started, stopped and killed in one folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::{ProcessTree, free_address};
use crate::ground::Ground;
use crate::load::Client;
use crate::power::Disk;
use crate::process;

pub(crate) const CONFIGURATION: &str = "smtp-server.toml";
const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_mins(1);
const EMPTY_MAX: Duration = Duration::from_mins(3);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Builds the two programs.
///
/// # Errors
/// When it does not compile.
pub(crate) fn build() -> Result<()> {
    process::run(&mut process::cargo(["build", "--release", "--locked", "-p", "smtp-server", "-p", "smtpctl"]))
}

/// Writes `smtp-server.toml` and what belongs to it: one mailbox takes all mail for bench.test, and what is not local
/// goes on to `next_hop`.
///
/// # Errors
/// When the folder cannot be written to.
pub(crate) fn write_configuration(folder: &Path, address: SocketAddr, next_hop: SocketAddr, more: &str) -> Result<()> {
    let text = format!(
        r#"hostname = "ours.bench.test"

[local]
domains = ["bench.test"]
users = "users.toml"
postmaster = "user"
deliver = {{ maildir = "mail/{{user}}" }}

[[listener]]
service = "mx"
addresses = ["{address}"]
tls = "none"

[relay]
networks = ["127.0.0.0/8"]

[smart_host]
to = "smtp://{next_hop}"
tls = "opportunistic"

[admin]
socket = "control.sock"

[queue]
directory = "queue"
{more}"#
    );
    fs::write(folder.join(CONFIGURATION), text)?;
    fs::write(folder.join("users.toml"), "[user]\n")?;
    Ok(fs::create_dir_all(folder.join("mail"))?)
}

/// A server, running or not.
pub(crate) struct Server {
    folder: PathBuf,
    /// Where the folder is on a disk whose power can be cut.
    disk: Option<Disk>,
    /// Holds the folder.
    _ground: Ground,
    address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Makes its folder, with a configuration that sends what is not local to `next_hop`; `more` is put at its end.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn new(next_hop: SocketAddr, more: &str) -> Result<Self> {
        Self::in_place(next_hop, more, |folder| Ok((folder, None)))
    }

    /// The same on a disk of its own, whose power can be cut.
    ///
    /// # Errors
    /// When the disk cannot be made.
    pub(crate) fn on_disk(next_hop: SocketAddr, more: &str) -> Result<Self> {
        Self::in_place(next_hop, more, |folder| {
            let disk = Disk::new(&folder)?;
            let folder = disk.path().join("server");
            fs::create_dir(&folder)?;
            Ok((folder, Some(disk)))
        })
    }

    fn in_place(
        next_hop: SocketAddr,
        more: &str,
        choose: impl FnOnce(PathBuf) -> Result<(PathBuf, Option<Disk>)>,
    ) -> Result<Self> {
        let ground = Ground::new()?;
        let (folder, disk) = choose(ground.take()?)?;
        let address = free_address()?;
        write_configuration(&folder, address, next_hop, more)?;
        // The operator's files have been there for long.
        disk.as_ref().map(Disk::sync).transpose()?;
        Ok(Self { folder, disk, _ground: ground, address, child: None })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its processes.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn processes(&self) -> Result<ProcessTree> {
        let child = self.child.as_ref().context("the server does not run")?;
        Ok(ProcessTree { root: child.id() })
    }

    pub(crate) fn mailbox(&self) -> PathBuf {
        self.folder.join("mail/user")
    }

    /// Starts it and waits for its greeting.
    ///
    /// # Errors
    /// When it ends, or does not greet in time; its last words are in the text.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let mut child = self
            .program("smtp-server")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start smtp-server")?;
        let address = self.address;
        let greeting = async {
            let mut looks = tokio::time::interval(LOOK_AGAIN);
            loop {
                looks.tick().await;
                if let Some(status) = child.try_wait()? {
                    bail!("it ended with {status}");
                }
                if let Ok(client) = Client::connect(address).await {
                    return client.quit().await;
                }
            }
        };
        let greeted = tokio::time::timeout(START_MAX, greeting).await;
        self.child = Some(child);
        greeted.context("no greeting in 30 s").flatten().with_context(|| self.last_words())
    }

    /// SIGKILL, at once.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Cuts the power under it, and gives the disk back to the next start.
    ///
    /// # Errors
    /// When it has no disk of its own, or does not run.
    pub(crate) fn cut_power(&mut self) -> Result<()> {
        let disk = self.disk.take().context("the server has no disk of its own")?;
        disk.cut()?;
        self.kill()?;
        disk.restore()?;
        self.disk = Some(disk);
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it ends with another status than 0, or not in time.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let child = self.child.as_mut().context("the server does not run")?;
        process::output(Command::new("kill").arg("-TERM").arg(child.id().to_string()))?;
        let end = async {
            let mut looks = tokio::time::interval(LOOK_AGAIN);
            loop {
                looks.tick().await;
                if let Some(status) = child.try_wait()? {
                    return anyhow::Ok(status);
                }
            }
        };
        let status = tokio::time::timeout(STOP_MAX, end).await.context("it does not stop")??;
        self.child = None;
        if !status.success() {
            bail!("it stopped with {status}: {}", self.last_words());
        }
        Ok(())
    }

    /// Waits until nothing is left to do.
    ///
    /// # Errors
    /// When that takes too long.
    pub(crate) async fn wait_for_empty_queue(&self) -> Result<()> {
        let empty = async {
            let mut asks = tokio::time::interval(ASK_AGAIN);
            while !self.queue()?.trim().is_empty() {
                asks.tick().await;
            }
            Ok(())
        };
        tokio::time::timeout(EMPTY_MAX, empty).await.context("the queue does not get empty")?
    }

    /// What `smtpctl check` says of the stopped server's queue, and that nothing is left in it.
    ///
    /// # Errors
    /// When it is not clean.
    pub(crate) fn check(&self) -> Result<()> {
        process::output(self.program("smtpctl").arg("check")).context("the queue is damaged")?;
        let left = self.queue()?;
        if !left.trim().is_empty() {
            bail!("the queue was empty, and is not after the stop: {left}");
        }
        Ok(())
    }

    /// One line for each recipient in the queue. An empty queue matches nothing, which is status 1.
    fn queue(&self) -> Result<String> {
        let output = self.program("smtpctl").args(["show", "queue", "--json"]).output()?;
        match output.status.code() {
            Some(0 | 1) => Ok(String::from_utf8(output.stdout)?),
            _ => bail!("smtpctl show queue: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// One of our release builds, told where the configuration is.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(process::release_build(name));
        command.arg("--config").arg(self.folder.join(CONFIGURATION));
        command
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child
            && let Err(error) = child.kill().and_then(|()| child.wait())
        {
            eprintln!("warning: cannot stop process {}: {error}", child.id());
        }
    }
}
