//! A whole server in a temporary directory, for tests that talk to it as the world does.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test binary uses its part of this")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smtp_server::config::Config;
use smtp_server::daemon::{Attempted, Daemon};
use smtp_server::metrics::{AttemptResult, QueueReading, Service};
use smtp_testkit::tls::Authority;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::broadcast;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server for example.org with the users alice and bob, listening on free ports of 127.0.0.1.
pub struct House {
    pub directory: TempDir,
    pub authority: Authority,
    daemon: Option<Daemon>,
    attempts: broadcast::Receiver<Arc<Attempted>>,
}

impl House {
    /// Starts one. `more` follows the common configuration, which ends in `[queue]`: first what belongs to that table, such
    /// as `retry`, then `[relay]`, `[[route]]` and so on.
    pub async fn start(more: &str) -> Self {
        let authority = Authority::new();
        let directory = tempfile::tempdir().unwrap();
        let identity = authority.issue(&["mx.example.org", "localhost", "127.0.0.1"]);
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        write("mx.pem", identity.chain_pem());
        write("mx.key", identity.key_pem());
        write("ca.pem", &authority.certificate_pem());
        write("users.toml", "[alice]\n[bob]\n");
        write("aliases", "postmaster: alice\n");
        fs::create_dir(directory.path().join("Maildir")).unwrap();
        write("c.toml", &configuration(more));
        let mut house = Self { directory, authority, daemon: None, attempts: broadcast::channel(1).1 };
        house.start_daemon().await;
        house
    }

    /// One that has been stopped, with an empty maildrop.
    pub async fn down(more: &str) -> Self {
        let mut house = Self::start(more).await;
        until("the maildrop is made", || house.path("queue-maildrop/refused").exists()).await;
        house.stop().await;
        house
    }

    /// Starts the server of this directory (again).
    pub async fn start_daemon(&mut self) {
        let config = Config::load(&self.path("c.toml")).unwrap().config;
        let daemon = Daemon::start(config).await.unwrap();
        self.attempts = daemon.watch();
        self.daemon = Some(daemon);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the directory, such as `aliases`; the server sees it at the next reload.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes the configuration anew, with this behind the common part.
    pub fn configure(&self, more: &str) {
        self.write("c.toml", &configuration(more));
    }

    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    /// The exposition, but for what is read from the queue.
    pub fn metrics(&self) -> String {
        let control = self.daemon.as_ref().unwrap().control();
        control.metrics().render(&QueueReading::default(), SystemTime::now())
    }

    /// Loads the configuration anew, as SIGHUP does.
    pub async fn reload(&mut self) {
        let config = Config::load(&self.path("c.toml")).unwrap().config;
        self.daemon().reload(config).await.unwrap();
    }

    /// Stops the server in order.
    pub async fn stop(&mut self) {
        self.daemon.take().unwrap().stop().await;
    }

    pub fn address(&self, service: Service, implicit_tls: bool) -> SocketAddr {
        let listening = self.daemon.as_ref().unwrap().listening();
        let found = listening.iter().find(|one| one.service == service && one.implicit_tls == implicit_tls);
        found.unwrap().address
    }

    /// A session in the clear with the mx listener, its greeting read.
    pub async fn connect(&self) -> Dialogue<TcpStream> {
        let stream = TcpStream::connect(self.address(Service::Mx, false)).await.unwrap();
        Dialogue::new(stream).greeted().await
    }

    /// Sends one message to the mx listener and returns the last reply.
    pub async fn send(&self, from: &str, to: &[&str], content: &str) -> String {
        let mut dialogue = self.connect().await;
        dialogue.ask("EHLO client.example").await;
        dialogue.send(from, to, content).await
    }

    /// The next attempt that ends, whichever it is.
    pub async fn next_attempt(&mut self) -> Arc<Attempted> {
        tokio::time::timeout(PATIENCE, self.attempts.recv()).await.expect("no attempt ends").unwrap()
    }

    /// The next attempt for that recipient (as `alice@example.org`) that ends so.
    pub async fn attempt(&mut self, recipient: &str, result: AttemptResult) -> Arc<Attempted> {
        let wanted = async {
            loop {
                let attempted = self.next_attempt().await;
                if attempted.forward_path.to_string() == format!("<{recipient}>") && attempted.result == result {
                    return attempted;
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, wanted).await;
        ended.unwrap_or_else(|_| panic!("no attempt for {recipient} ends as {result:?}"))
    }

    /// Waits until attempts have ended so for each of these recipients, in any order.
    pub async fn attempts(&mut self, ends: &[(&str, AttemptResult)]) {
        let mut missing: Vec<_> = ends.to_vec();
        while !missing.is_empty() {
            let ended = self.next_attempt().await;
            let path = ended.forward_path.to_string();
            missing.retain(|(recipient, result)| path != format!("<{recipient}>") || ended.result != *result);
        }
    }

    /// The messages in a user's Maildir, oldest first.
    pub fn maildir(&self, user: &str) -> Vec<String> {
        let mailbox = self.mailbox(user);
        mailbox.iter().map(|octets| String::from_utf8_lossy(octets).into_owned()).collect()
    }

    /// The same, octet for octet.
    pub fn mailbox(&self, user: &str) -> Vec<Vec<u8>> {
        let mut files = files(&self.path("Maildir").join(user).join("new"));
        files.sort();
        files.iter().map(|file| fs::read(file).unwrap()).collect()
    }
}

/// Waits until something is so that nobody tells of.
pub async fn until(what: &str, reached: impl Fn() -> bool) {
    let reached = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, reached).await.is_ok(), "it never came: {what}");
}

fn configuration(more: &str) -> String {
    format!(
        r#"hostname = "mx.example.org"
[tls]
certificates = [{{ chain = "mx.pem", key = "mx.key" }}]
authorities = "ca.pem"
[local]
domains = ["example.org"]
users = "users.toml"
aliases = "aliases"
deliver = {{ maildir = "Maildir/{{user}}" }}
[[listener]]
service = "mx"
addresses = ["127.0.0.1:0"]
tls = "starttls"
[[listener]]
service = "submission"
addresses = ["127.0.0.2:0"]
tls = "starttls"
[[listener]]
service = "submission"
addresses = ["127.0.0.3:0"]
tls = "implicit"
[admin]
socket = "control.sock"
[queue]
directory = "queue"
{more}
"#
    )
}

fn files(directory: &Path) -> Vec<PathBuf> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

/// One end of an SMTP dialogue, line by line.
pub struct Dialogue<S> {
    pub stream: S,
    pending: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, pending: Vec::new() }
    }

    /// The same with the greeting read.
    pub async fn greeted(mut self) -> Self {
        let greeting = self.reply().await;
        assert!(greeting.starts_with("220 "), "{greeting}");
        self
    }

    /// Sends a line and reads the whole reply to it.
    pub async fn ask(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    pub async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// A whole reply, its lines joined by LF; empty at the end of the stream.
    pub async fn reply(&mut self) -> String {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                break;
            }
        }
        lines.join("\n")
    }

    /// Reads what there is; true at the end of the stream.
    pub async fn end(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read =
            tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the stream does not end");
        matches!(read, Ok(0) | Err(_))
    }

    /// One whole transaction; the last reply. `content` has CRLF line ends and is dot-stuffed as it must be.
    pub async fn send(&mut self, from: &str, to: &[&str], content: &str) -> String {
        let mut reply = self.ask(&format!("MAIL FROM:<{from}>")).await;
        if !reply.starts_with('2') {
            return reply;
        }
        for recipient in to {
            reply = self.ask(&format!("RCPT TO:<{recipient}>")).await;
        }
        if !reply.starts_with('2') {
            return reply;
        }
        reply = self.ask("DATA").await;
        if !reply.starts_with("354") {
            return reply;
        }
        self.ask(&format!("{content}.")).await
    }

    /// One whole transaction in one write; the last reply that comes, which is empty where the stream has broken.
    pub async fn try_send(&mut self, from: &str, to: &str, content: &str) -> String {
        for line in [&*format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n"), &*format!("{content}.\r\n")] {
            if self.stream.write_all(line.as_bytes()).await.is_err() {
                return String::new();
            }
            let replies = if line.starts_with("MAIL") { 3 } else { 1 };
            for _ in 0..replies {
                let reply = self.reply().await;
                if !reply.starts_with(['2', '3']) || replies == 1 {
                    return reply;
                }
            }
        }
        String::new()
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            let mut buffer = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("no reply comes");
            match read {
                Ok(0) | Err(_) => return None,
                Ok(octets) => self.pending.extend_from_slice(&buffer[..octets]),
            }
        }
    }
}
