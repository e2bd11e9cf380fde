//! A load client: many sessions that send as fast as the server answers, and how long each "250" took.
//!
//! It speaks SMTP by hand and not by our own engines, so that a measurement or a torture run does not share
//! its mistakes with the server that it looks at.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// The most that one answer may take.
const ANSWER_MAX: Duration = Duration::from_mins(1);
/// The most octets of one reply line.
const REPLY_LINE_MAX_OCTETS: usize = 4096;

/// What to send, to where.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) sessions: usize,
    /// Of all sessions together.
    pub(crate) messages: usize,
    pub(crate) content_octets: usize,
    /// Each message goes to one of them, in turn.
    pub(crate) recipients: Vec<String>,
    /// MAIL, RCPT and DATA in one group (RFC 2920).
    pub(crate) pipelining: bool,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct LoadReport {
    pub(crate) time: Duration,
    /// From the final dot to the "250", sorted.
    pub(crate) latencies: Vec<Duration>,
}

impl LoadReport {
    /// Messages answered with 250 in a second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.latencies.len()) / self.time.as_secs_f64()
    }

    /// The latency that `share` (0.0 to 1.0) of the messages stayed within.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of an index is an index")]
        let index = (count(last) * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// A number of messages or octets, for a division.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// Sends all of it, over persistent connections.
///
/// # Errors
/// When a session cannot connect, or gets another answer than it wants.
pub(crate) async fn run(load: &Load) -> Result<LoadReport> {
    let left = Arc::new(AtomicUsize::new(load.messages));
    let content: Arc<[u8]> = content(load.content_octets).into();
    let mut sessions = JoinSet::new();
    let start = Instant::now();
    for _ in 0..load.sessions {
        sessions.spawn(session(load.clone(), Arc::clone(&left), Arc::clone(&content)));
    }
    let mut latencies = Vec::with_capacity(load.messages);
    while let Some(done) = sessions.join_next().await {
        latencies.extend(done.context("a session of the load client ended early")??);
    }
    let time = start.elapsed();
    latencies.sort_unstable();
    Ok(LoadReport { time, latencies })
}

async fn session(load: Load, left: Arc<AtomicUsize>, content: Arc<[u8]>) -> Result<Vec<Duration>> {
    let mut client = Client::connect(load.address).await?;
    let mut latencies = Vec::new();
    let one_less = |left: usize| left.checked_sub(1);
    while let Ok(number) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
        let recipient = &load.recipients[number % load.recipients.len()];
        let message = Message { sender: "load@client.test", recipient, content: &content };
        latencies.push(client.send(&message, load.pipelining).await?);
    }
    client.quit().await?;
    Ok(latencies)
}

/// A message of about this size: a short header block, then lines of 78 octets.
pub(crate) fn content(octets: usize) -> Vec<u8> {
    let mut content = b"From: <load@client.test>\r\nSubject: load\r\n\r\n".to_vec();
    let line = [b'x'; 76];
    while content.len() < octets {
        content.extend_from_slice(&line);
        content.extend_from_slice(b"\r\n");
    }
    content
}

/// One message on its way. The content is stuffed already and ends with CRLF.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) sender: &'a str,
    pub(crate) recipient: &'a str,
    pub(crate) content: &'a [u8],
}

/// One connection, after its EHLO.
#[derive(Debug)]
pub(crate) struct Client<S = TcpStream> {
    stream: BufReader<S>,
    line: Vec<u8>,
}

impl Client {
    /// Connects and says EHLO.
    ///
    /// # Errors
    /// When the server is not there, or does not greet.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        Self::connect_from(Ipv4Addr::UNSPECIFIED, address).await
    }

    /// The same, from one of this machine's addresses.
    ///
    /// # Errors
    /// When the server is not there, or does not greet.
    pub(crate) async fn connect_from(own: Ipv4Addr, address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddrV4::new(own, 0).into())?;
        let stream = socket.connect(address).await;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream: BufReader::new(stream), line: Vec::new() };
        client.expect(220).await?;
        client.hello().await?;
        Ok(client)
    }

    /// STARTTLS, the handshake, and EHLO once more (RFC 3207).
    ///
    /// # Errors
    /// When the server does not offer it, or the handshake fails.
    pub(crate) async fn start_tls(mut self, tls: &Tls) -> Result<Client<TlsStream<TcpStream>>> {
        self.command("STARTTLS\r\n", 220).await?;
        let stream = tls.connector.connect(tls.name.clone(), self.stream.into_inner()).await;
        let stream = stream.context("the handshake failed")?;
        let mut client = Client { stream: BufReader::new(stream), line: self.line };
        client.hello().await?;
        Ok(client)
    }
}

/// What a client of TLS needs.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn hello(&mut self) -> Result<()> {
        self.command("EHLO client.test\r\n", 250).await
    }

    /// Says something, and waits for the reply with that code.
    ///
    /// # Errors
    /// When the connection ends, or the code is another.
    pub(crate) async fn command(&mut self, command: &str, code: u16) -> Result<()> {
        self.write(command.as_bytes()).await?;
        self.expect(code).await
    }

    /// Sends one message and returns how long the answer to its final dot took.
    ///
    /// # Errors
    /// When the connection ends, or an answer is not the one of success.
    pub(crate) async fn send(&mut self, message: &Message<'_>, pipelining: bool) -> Result<Duration> {
        let mail = format!("MAIL FROM:<{}>\r\n", message.sender);
        let rcpt = format!("RCPT TO:<{}>\r\n", message.recipient);
        let commands = [(mail.as_str(), 250), (rcpt.as_str(), 250), ("DATA\r\n", 354)];
        if pipelining {
            self.write(format!("{mail}{rcpt}DATA\r\n").as_bytes()).await?;
        }
        for (command, code) in commands {
            if !pipelining {
                self.write(command.as_bytes()).await?;
            }
            self.expect(code).await?;
        }
        self.write(message.content).await?;
        let start = Instant::now();
        self.write(b".\r\n").await?;
        self.expect(250).await?;
        Ok(start.elapsed())
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// When the connection has ended before.
    pub(crate) async fn quit(mut self) -> Result<()> {
        self.command("QUIT\r\n", 221).await
    }

    async fn write(&mut self, octets: &[u8]) -> Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(octets).await?;
        // TLS keeps a record until it is told.
        Ok(stream.flush().await?)
    }

    async fn expect(&mut self, code: u16) -> Result<()> {
        let wanted = code.to_string();
        let answer = tokio::time::timeout(ANSWER_MAX, self.last_line());
        answer.await.context("no answer in 60 seconds")??;
        if !self.line.starts_with(wanted.as_bytes()) {
            bail!("wanted {code}, got {:?}", String::from_utf8_lossy(&self.line));
        }
        Ok(())
    }

    /// Reads one reply; its last line stays in `line`.
    async fn last_line(&mut self) -> Result<()> {
        loop {
            self.line.clear();
            let octets = self.stream.read_until(b'\n', &mut self.line).await?;
            if octets == 0 {
                bail!("the server closed the connection");
            }
            if octets > REPLY_LINE_MAX_OCTETS {
                bail!("a reply line of {octets} octets");
            }
            if self.line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let report =
            LoadReport { time: Duration::from_secs(2), latencies: (1..=101).map(Duration::from_millis).collect() };
        assert_eq!(report.percentile(0.5), Duration::from_millis(51));
        assert_eq!(report.percentile(0.99), Duration::from_millis(100));
        assert_eq!(report.percentile(1.0), Duration::from_millis(101));
        assert!((report.rate() - 50.5).abs() < 0.01);
    }

    #[test]
    fn the_content_has_short_lines_and_ends_one() {
        let content = content(4096);
        assert!((4096..4096 + 78).contains(&content.len()));
        assert!(content.ends_with(b"\r\n"));
        assert!(content.split(|octet| *octet == b'\n').all(|line| line.len() <= 78));
    }
}
