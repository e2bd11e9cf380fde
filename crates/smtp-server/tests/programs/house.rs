//! A server that runs from a configuration file, in a folder of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use smtp_sasl::{PasswordHash, ScramKeys, prepare_password};
use smtp_testkit::tls::Authority;
use tempfile::TempDir;

/// How long the server may take to be ready, and a message to arrive.
const WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What alice logs in with.
pub(crate) const PASSWORD: &str = "wonderland-7f3a";

/// This machine sends to anywhere.
const RELAY: &str = "[relay]\nnetworks = [\"127.0.0.0/8\"]\n";
/// No delay, and no lock-out of those whose log-ins fail on purpose.
const PEOPLE: &str =
    "[auth]\nfailure_delay = \"0s\"\nfailures_per_client = 1000\n[log]\nformat = \"json\"\nlevel = \"debug\"\n";

/// The listeners of a [`House`]; the path of a message must not depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    StartTls,
    Implicit,
}

/// A running server with one user, alice@example.test.
pub(crate) struct House {
    folder: TempDir,
    server: Child,
    starttls: SocketAddr,
    implicit: SocketAddr,
}

impl House {
    /// Starts one that takes mail from this machine, and waits until it says that it is ready.
    pub(crate) fn open() -> Self {
        Self::open_as("example.test", "mx", "[alice]\n", RELAY, "")
    }

    /// Starts one that sends all that is not local to `next_hop`.
    pub(crate) fn open_before(next_hop: &Self) -> Self {
        let to = next_hop.address(Security::Plain);
        let more = format!("{RELAY}[smart_host]\nto = \"smtp://{to}\"\ntls = \"opportunistic\"\n");
        Self::open_as("relay.test", "mx", "[alice]\n", &more, "")
    }

    /// Starts one where alice logs in with [`PASSWORD`] to submit, and nobody submits who has not. It says all that it knows in
    /// its log.
    pub(crate) fn open_for_people() -> Self {
        let password = prepare_password(PASSWORD.as_bytes()).unwrap();
        let (hash, keys) = (PasswordHash::make(&password), ScramKeys::make(&password));
        let users = format!("[alice]\npassword = \"{}\"\nscram_sha_256 = \"{}\"\n", hash.expose(), keys.expose());
        Self::open_as("example.test", "submission", &users, PEOPLE, "")
    }

    /// The same where alice has no password, and the certificate of `alice.pem` and `alice.key`; `mallory.pem` and
    /// `mallory.key` are as good, and nobody's.
    pub(crate) fn open_for_certificates() -> Self {
        let users = "[alice]\ncertificates = [\"alice@example.test\"]\n";
        Self::open_as("example.test", "submission", users, PEOPLE, "client_certificates = \"request\"\n")
    }

    /// Starts one that asks Dovecot at this socket for the passwords of alice, and of others.
    pub(crate) fn open_asking(socket: &str) -> Self {
        let asking = PEOPLE.replace("[auth]\n", &format!("[auth]\ndovecot_socket = \"{socket}\"\n"));
        Self::open_as("example.test", "submission", "[alice]\n", &asking, "")
    }

    /// `asking` is for the listeners, and says whether they ask for certificates.
    fn open_as(domain: &str, service: &str, users: &str, more: &str, asking: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (starttls, implicit) = (free_address(), free_address());
        write_certificates(folder.path());
        let text = format!(
            r#"hostname = "mx.{domain}"

[tls]
certificates = [{{ chain = "server.pem", key = "server.key" }}]
client_authorities = "clients.pem"

[local]
domains = ["{domain}"]
users = "users.toml"
postmaster = "alice"
deliver = {{ maildir = "mail/{{user}}" }}

[[listener]]
service = "{service}"
addresses = ["{starttls}"]
tls = "starttls"
{asking}
[[listener]]
service = "{service}"
addresses = ["{implicit}"]
tls = "implicit"
{asking}
[queue]
directory = "queue"

[admin]
socket = "control.sock"

{more}"#
        );
        fs::write(folder.path().join("smtp-server.toml"), text).unwrap();
        fs::write(folder.path().join("users.toml"), users).unwrap();
        fs::create_dir(folder.path().join("mail")).unwrap();
        let server = start(folder.path());
        Self { folder, server, starttls, implicit }
    }

    pub(crate) fn address(&self, security: Security) -> SocketAddr {
        match security {
            Security::Plain | Security::StartTls => self.starttls,
            Security::Implicit => self.implicit,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The certificate that vouches for the server's.
    pub(crate) fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    pub(crate) fn maildir(&self) -> PathBuf {
        self.path("mail/alice")
    }

    /// All that the server has written to its log.
    pub(crate) fn log(&self) -> String {
        log(self.folder.path())
    }

    /// The lines of the log with that event, oldest first. The log may be a little behind.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        let log = self.log();
        // The last line may not be whole yet.
        let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }

    /// Waits for the line of the log with that event that comes after `before` others.
    pub(crate) async fn event(&self, event: &str, before: usize) -> Value {
        let line = async {
            let mut looks = tokio::time::interval(LOOK_AGAIN);
            loop {
                looks.tick().await;
                if let Some(line) = self.events(event).get(before) {
                    return line.clone();
                }
            }
        };
        let line = tokio::time::timeout(WAIT_MAX, line).await;
        line.unwrap_or_else(|late| panic!("{late}: {event} after {before} of them"))
    }

    /// Waits for the one message that was sent, and takes it out of the Maildir.
    pub(crate) async fn take_message(&self) -> Vec<u8> {
        let path = self.wait_for_message().await;
        let octets = fs::read(&path).unwrap();
        fs::remove_file(path).unwrap();
        octets
    }

    /// Waits for the one message that was sent.
    pub(crate) async fn wait_for_message(&self) -> PathBuf {
        let new = self.maildir().join("new");
        let arrival = async {
            let mut looks = tokio::time::interval(LOOK_AGAIN);
            loop {
                looks.tick().await;
                let entries: Vec<_> = fs::read_dir(&new).into_iter().flatten().map(|entry| entry.unwrap()).collect();
                assert!(entries.len() < 2, "one message was sent, and two arrived");
                if let Some(entry) = entries.first() {
                    return entry.path();
                }
            }
        };
        let arrived = tokio::time::timeout(WAIT_MAX, arrival).await;
        arrived.unwrap_or_else(|late| panic!("{late}: {}\n{}", new.display(), log(self.folder.path())))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let id = self.server.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        if !asked.is_ok_and(|status| status.success()) {
            // It has ended already, and the test says why it fails.
            let _ = self.server.kill();
        }
        let status = self.server.wait().unwrap();
        if !std::thread::panicking() {
            assert!(status.success(), "the server ended with {status}\n{}", log(self.folder.path()));
        }
    }
}

fn start(folder: &Path) -> Child {
    let socket = folder.join("notify.sock");
    let ready = UnixDatagram::bind(&socket).unwrap();
    ready.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_smtp-server"))
        .arg("--config")
        .arg(folder.join("smtp-server.toml"))
        .env("NOTIFY_SOCKET", &socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let mut message = [0; 1024];
    loop {
        match ready.recv(&mut message) {
            Ok(octets) if String::from_utf8_lossy(&message[..octets]).contains("READY=1") => return server,
            Ok(_) => {}
            Err(error) => {
                let _ = server.kill();
                panic!("the server is not ready: {error}, {:?}\n{}", server.wait(), log(folder));
            }
        }
    }
}

fn write_certificates(folder: &Path) {
    let authority = Authority::new();
    let identity = authority.issue(&["localhost", "127.0.0.1"]);
    fs::write(folder.join("ca.pem"), authority.certificate_pem()).unwrap();
    fs::write(folder.join("server.pem"), identity.chain_pem()).unwrap();
    fs::write(folder.join("server.key"), identity.key_pem()).unwrap();
    let clients = Authority::new();
    fs::write(folder.join("clients.pem"), clients.certificate_pem()).unwrap();
    for name in ["alice", "mallory"] {
        let identity = clients.issue_client(name, &[&format!("{name}@example.test")]);
        fs::write(folder.join(format!("{name}.pem")), identity.chain_pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), identity.key_pem()).unwrap();
    }
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

/// An address on loopback that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
