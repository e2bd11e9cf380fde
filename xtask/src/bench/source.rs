//! Postfix's own load: `smtp-source` sends, `smtp-sink` swallows and counts.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::watch;

use super::server::free_address;

/// What `smtp-source` is to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) address: SocketAddr,
    pub(super) sessions: usize,
    pub(super) messages: usize,
    pub(super) octets: usize,
    pub(super) recipient: &'a str,
    /// Else each message has a connection of its own.
    pub(super) many_per_connection: bool,
}

/// Sends, and returns how long it took until the last message was answered.
///
/// # Errors
/// When a message is not accepted.
pub(super) async fn send(source: Source<'_>) -> Result<Duration> {
    let mut command = Command::new("/usr/sbin/smtp-source");
    if source.many_per_connection {
        command.arg("-d");
    }
    command
        .args(["-s", &source.sessions.to_string()])
        .args(["-m", &source.messages.to_string()])
        .args(["-l", &source.octets.to_string()])
        .args(["-f", "load@client.test", "-t", source.recipient])
        .arg(format!("inet:{}", source.address))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let start = Instant::now();
    let child = command.spawn().context("cannot start smtp-source")?;
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await??;
    let time = start.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("smtp-source ended with {}: {}", output.status, said.trim());
    }
    Ok(time)
}

/// A running `smtp-sink`.
#[derive(Debug)]
pub(super) struct Sink {
    child: Child,
    address: SocketAddr,
    swallowed: watch::Receiver<usize>,
}

impl Sink {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When Postfix is not installed.
    pub(super) fn start() -> Result<Self> {
        let address = free_address()?;
        let mut child = Command::new("/usr/sbin/smtp-sink")
            .args(["-u", "postfix", "-c", &address.to_string(), "1000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start smtp-sink")?;
        let output = child.stdout.take().context("smtp-sink has no output")?;
        let (sender, swallowed) = watch::channel(0);
        thread::spawn(move || {
            for counters in BufReader::new(output).split(b'\r').map_while(Result::ok) {
                if let Some(messages) = parse_counters(&counters) {
                    sender.send_replace(messages);
                }
            }
        });
        Ok(Self { child, address, swallowed })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has swallowed so many messages.
    ///
    /// # Errors
    /// When it ended before.
    pub(super) async fn wait_for(&mut self, messages: usize) -> Result<()> {
        let all = self.swallowed.wait_for(|swallowed| *swallowed >= messages);
        all.await.map(drop).context("smtp-sink ended early")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("warning: cannot stop smtp-sink: {error}");
        }
    }
}

/// Reads `sess=N quit=N mesg=N`.
fn parse_counters(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    text.rsplit_once("mesg=")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_the_sink_are_read() {
        assert_eq!(parse_counters(b"sess=3 quit=2 mesg=417"), Some(417));
        assert_eq!(parse_counters(b"sess=3"), None);
    }
}
