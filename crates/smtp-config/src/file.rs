//! The tables of the file. What each key means, and its default in words, stands in [`KEYS`](crate::KEYS), which the
//! tests hold against these structs; what the code does is said by the `Default` of each.

mod auth;
mod extensions;
mod guards;
mod hop;
mod retry;
mod tls;

use std::path::PathBuf;

use serde::Deserialize;

use crate::value::{FileMode, ListenAddress, LmtpAddress, Period, Placed, Size, words};

pub use auth::{Auth, OnExcess};
pub use extensions::Extensions;
pub use guards::{GuardAction, Guards};
pub use hop::{HopMechanism, NextHopTls, Route, SecretSource, SmartHost};
pub use retry::Retry;
pub use tls::{Certificate, ClientCertificates, Tls, TlsLevel};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct File {
    /// The name that the server calls itself by. Required by the server, not by the tools.
    pub hostname: Option<Placed<String>>,
    /// `[tls]`
    pub tls: Tls,
    /// `[local]`: mail that ends here. None: no mail does.
    pub local: Option<Placed<Local>>,
    /// Each `[[listener]]`. None written: see the reference.
    pub listener: Vec<Placed<Listener>>,
    /// `[relay]`
    pub relay: Relay,
    /// Each `[[route]]`, in order.
    pub route: Vec<Placed<Route>>,
    /// `[smart_host]`
    pub smart_host: Option<SmartHost>,
    /// `[queue]`
    pub queue: Queue,
    /// `[limits]`
    pub limits: Limits,
    /// `[guards]`
    pub guards: Guards,
    /// `[extensions]`
    pub extensions: Extensions,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[admin]`
    pub admin: Admin,
    /// `[submit]`
    pub submit: Submit,
    /// `[auth]`
    pub auth: Auth,
    /// `[log]`
    pub log: Log,
}

impl File {
    /// Where programs of this machine hand in mail: as it is written, else `submit.sock` beside the admin socket. Relative
    /// to the file.
    pub fn submit_socket(&self) -> PathBuf {
        let written = self.submit.socket.as_ref().map(|socket| (**socket).clone());
        written.unwrap_or_else(|| self.admin.socket.with_file_name("submit.sock"))
    }

    /// Where programs of this machine leave mail while the server is down: as it is written, else beside the queue, under
    /// its name with `-maildrop` behind it, since the queue's own folder is closed to them. Relative to the file.
    pub fn maildrop(&self) -> PathBuf {
        let written = self.submit.maildrop.as_ref().map(|maildrop| (**maildrop).clone());
        written.unwrap_or_else(|| {
            let mut name = self.queue.directory.file_name().unwrap_or_default().to_owned();
            name.push("-maildrop");
            self.queue.directory.with_file_name(name)
        })
    }
}

/// `[local]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Local {
    /// The domains whose mail ends here.
    pub domains: Vec<Placed<String>>,
    /// The users file.
    pub users: Option<Placed<PathBuf>>,
    /// The aliases file.
    pub aliases: Option<Placed<PathBuf>>,
    /// Where a user's mail is put.
    pub deliver: Deliver,
    /// Who gets the mail for postmaster.
    pub postmaster: Option<Placed<String>>,
    /// Who gets the mail for addresses that nobody has.
    pub catch_all: Option<Placed<String>>,
    /// What divides a user from a tag, as in `user+tag`; empty: nothing does.
    #[serde(default = "default_subaddress_separator")]
    pub subaddress_separator: Placed<String>,
}

fn default_subaddress_separator() -> Placed<String> {
    Placed::unwritten("+".to_owned())
}

/// `[local] deliver`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Deliver {
    /// The Maildir of a user: a path with `{user}` and `{domain}` in it.
    pub maildir: Option<Placed<String>>,
    /// The program that keeps the mailboxes.
    pub lmtp: Option<Placed<LmtpAddress>>,
}

words! {
    /// What a listener is for.
    pub enum Service {
        /// Mail from other servers (and from the client networks).
        Mx = "mx",
        /// Mail from the programs of people (RFC 6409).
        Submission = "submission",
        /// Mail from a server in front of this one, with an answer for each recipient (RFC 2033).
        Lmtp = "lmtp",
    }
}

words! {
    /// When TLS begins on a listener.
    pub enum ListenerTls {
        /// With the first octet.
        Implicit = "implicit",
        /// With STARTTLS, if the client wants it.
        Starttls = "starttls",
        /// Never.
        None = "none",
    }
}

/// One `[[listener]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Listener {
    /// What it is for.
    pub service: Service,
    /// Where it listens.
    pub addresses: Vec<Placed<ListenAddress>>,
    /// When TLS begins.
    pub tls: Option<Placed<ListenerTls>>,
    /// Whether clients show a certificate of their own.
    pub client_certificates: Option<Placed<ClientCertificates>>,
    /// The proxies that connections come from, each with a PROXY header; empty: there are none.
    #[serde(default)]
    pub proxy_from: Vec<Placed<String>>,
    /// The peers that may name the client that they speak for, by XCLIENT; empty: there are none.
    #[serde(default)]
    pub xclient_from: Vec<Placed<String>>,
}

/// `[relay]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Relay {
    /// The clients that may send to anywhere. None written: see the reference.
    pub networks: Option<Vec<Placed<String>>>,
    /// The domains that anybody may send to.
    pub domains: Vec<Placed<String>>,
}

/// `[queue]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Queue {
    /// Where the queue is kept.
    pub directory: Placed<PathBuf>,
    /// How long each attempt waits for the next.
    pub retry: Placed<Retry>,
    /// How long a message is tried.
    pub expire_after: Placed<Period>,
    /// When the sender is told that a message is late; zero: never.
    pub delay_notice_after: Placed<Period>,
    /// What bodies on their way in may take of memory together.
    pub body_memory_octets: Placed<Size>,
    /// What the queue leaves free on its disk.
    pub free_octets_min: Placed<Size>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            directory: Placed::unwritten("/var/spool/smtp-server".into()),
            retry: Placed::unwritten(Retry::default()),
            expire_after: Placed::unwritten(Period::seconds(5 * 86_400)),
            delay_notice_after: Placed::unwritten(Period::seconds(4 * 3600)),
            body_memory_octets: Placed::unwritten(Size(64 << 20)),
            free_octets_min: Placed::unwritten(Size(64 << 20)),
        }
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Limits {
    /// The longest message taken.
    pub message_octets: Placed<Size>,
    /// The longest header block taken.
    pub header_octets: Placed<Size>,
    /// Recipients of one transaction.
    pub recipients_per_message: Placed<u32>,
    /// Sessions open at once.
    pub sessions: Placed<u32>,
    /// Sessions open at once from one client.
    pub sessions_per_client: Placed<u32>,
    /// Errors until a session is closed.
    pub errors_per_session: Placed<u32>,
    /// Commands without a message until a session is closed.
    pub idle_commands_per_message: Placed<u32>,
    /// MAIL commands of one session.
    pub transactions_per_session: Placed<u32>,
    /// All commands of one session.
    pub commands_per_session: Placed<u32>,
    /// Received fields that a message may have.
    pub received_hops: Placed<u32>,
    /// Aliases that may lead from one to the next.
    pub alias_depth: Placed<u32>,
    /// Recipients that one address may stand for.
    pub alias_recipients: Placed<u32>,
    /// For how long a message may be held by its sender.
    pub future_release: Placed<Period>,
    /// How little time a message may have that is to be returned after it.
    pub deliver_by: Placed<Period>,
    /// The highest priority that a sender may ask for.
    pub mt_priority: Placed<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_octets: Placed::unwritten(Size(50 << 20)),
            header_octets: Placed::unwritten(Size(256 << 10)),
            recipients_per_message: Placed::unwritten(1000),
            sessions: Placed::unwritten(10_000),
            sessions_per_client: Placed::unwritten(50),
            errors_per_session: Placed::unwritten(20),
            idle_commands_per_message: Placed::unwritten(100),
            transactions_per_session: Placed::unwritten(10_000),
            commands_per_session: Placed::unwritten(100_000),
            received_hops: Placed::unwritten(100),
            alias_depth: Placed::unwritten(10),
            alias_recipients: Placed::unwritten(1000),
            future_release: Placed::unwritten(Period::seconds(30 * 86_400)),
            deliver_by: Placed::unwritten(Period::seconds(60)),
            mt_priority: Placed::unwritten(9),
        }
    }
}

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Delivery {
    /// Sessions open at once to one next hop.
    pub sessions_per_next_hop: Placed<u32>,
    /// Sessions open at once to all next hops.
    pub sessions: Placed<u32>,
    /// Messages that one session carries.
    pub messages_per_session: Placed<u32>,
    /// Messages put into Maildirs at once.
    pub local_deliveries: Placed<u32>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            sessions_per_next_hop: Placed::unwritten(20),
            sessions: Placed::unwritten(500),
            messages_per_session: Placed::unwritten(100),
            local_deliveries: Placed::unwritten(16),
        }
    }
}

/// `[timeouts]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Timeouts {
    /// How long the server waits for the next command.
    pub command: Placed<Period>,
    /// How long the server waits for more of the mail data.
    pub data_block: Placed<Period>,
    /// How long a session may last in all.
    pub session: Placed<Period>,
    /// How long the handshake of TLS may take, on either side.
    pub tls_handshake: Placed<Period>,
    /// How long a proxy may take to say whom it speaks for.
    pub proxy_header: Placed<Period>,
    /// How long a next hop may take to accept the connection.
    pub connect: Placed<Period>,
    /// How long a next hop may take for a session, and for a message.
    pub attempt: Placed<Period>,
    /// How long open transactions may go on when the server stops.
    pub drain: Placed<Period>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Placed::unwritten(Period::seconds(300)),
            data_block: Placed::unwritten(Period::seconds(300)),
            session: Placed::unwritten(Period::seconds(86_400)),
            tls_handshake: Placed::unwritten(Period::seconds(60)),
            proxy_header: Placed::unwritten(Period::seconds(10)),
            connect: Placed::unwritten(Period::seconds(30)),
            attempt: Placed::unwritten(Period::seconds(3600)),
            drain: Placed::unwritten(Period::seconds(30)),
        }
    }
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Admin {
    /// The socket that smtpctl speaks to.
    pub socket: Placed<PathBuf>,
    /// Its permissions.
    pub mode: Placed<FileMode>,
    /// The group that owns it.
    pub group: Option<Placed<String>>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            socket: Placed::unwritten("/run/smtp-server/control.sock".into()),
            mode: Placed::unwritten(FileMode(0o660)),
            group: None,
        }
    }
}

/// `[submit]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Submit {
    /// The socket for programs of this machine.
    pub socket: Option<Placed<PathBuf>>,
    /// The folder for their mail while the server is down.
    pub maildrop: Option<Placed<PathBuf>>,
    /// The domain of addresses that have none.
    pub domain: Option<Placed<String>>,
    /// The users who may send under any address.
    pub trusted_users: Vec<Placed<String>>,
    /// What one user may send in an hour; 0: any number.
    pub messages_per_hour: Placed<u32>,
}

impl Default for Submit {
    fn default() -> Self {
        Self {
            socket: None,
            maildrop: None,
            domain: None,
            trusted_users: Vec::new(),
            messages_per_hour: Placed::unwritten(1000),
        }
    }
}

words! {
    /// How log lines are written.
    pub enum LogFormat {
        /// One JSON object a line, for programs.
        Json = "json",
        /// For people.
        Human = "human",
    }
}

words! {
    /// What is logged: that and all above it.
    pub enum LogLevel {
        /// What must be mended.
        Error = "error",
        /// What should be looked at.
        Warn = "warn",
        /// What happened to each message and session.
        Info = "info",
        /// How it was decided.
        Debug = "debug",
        /// Each step.
        Trace = "trace",
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Log {
    /// How lines are written. None: for people on a terminal, else JSON.
    pub format: Option<LogFormat>,
    /// What is logged.
    pub level: LogLevel,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: None, level: LogLevel::Info }
    }
}

#[cfg(test)]
mod tests;
