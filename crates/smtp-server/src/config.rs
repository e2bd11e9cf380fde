//! The file of smtp-config, proven usable: names parsed, certificates loaded, users and aliases read, postmaster there.
//!
//! What cannot be used is a [`Problem`] at its place in the file, and all of them are told at once. What can be used but will
//! surprise somebody is a warning. Nothing is opened or made here: that is the daemon's part, so that `check` can run beside it.

mod auth;
mod guards;
mod hop_login;
mod hops;
mod listeners;
mod local;
mod prover;
mod submit;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use smtp_client::NextHop;
use smtp_config::file::{self, ClientCertificates, File, ListenerTls};
use smtp_config::{LoadError, Period, Placed, Problem, Problems, Source};
use smtp_delivery::Routes;
use smtp_delivery::maildir::Maildirs;
use smtp_policy::recipients::{Expansion, Resolution, Target};
use smtp_policy::{LocalSenders, Network, Policy};
use smtp_proto::{Domain, DomainName, EnhancedStatus, ForwardPath, HoldInterval, Mailbox, Priority, Reply, ReplyCode};
use smtp_queue::retry::RetrySchedule;

use crate::allowance::LoginAllowance;
use crate::certificates::{Certificates, TlsTerms};
use crate::credentials::Credentials;
use crate::listener::SessionLimits;
use crate::local_socket::SocketConfig;
use crate::metrics::Service;

use self::prover::Prover;

pub use self::guards::Guards;

/// The exit code of a program whose configuration cannot be used: `EX_CONFIG` of sysexits.
pub const EXIT_CONFIG: u8 = 78;

/// All that the daemon is told. Made anew at reload.
#[derive(Debug)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    /// The name of this server; a domain name in ASCII.
    pub hostname: String,
    /// What TLS presents; none: TLS is not offered.
    pub certificates: Option<Arc<Certificates>>,
    /// On which terms TLS is given to clients.
    pub tls: TlsTerms,
    /// Who vouches for next hops; none: the authorities of the system do.
    pub authorities: Option<RootCertStore>,
    /// Where to listen.
    pub listeners: Vec<Listener>,
    /// Who may send what to whom.
    pub policy: Policy,
    /// Who may log in.
    pub credentials: Credentials,
    /// What those who have may send.
    pub login_allowance: LoginAllowance,
    /// Where the mail of each user is put; none without `[local]`.
    pub mailboxes: Option<Mailboxes>,
    /// Where other mail goes.
    pub routes: Routes,
    /// How the queue works.
    pub queue: Queue,
    /// What is too much.
    pub limits: Limits,
    /// Who is watched for what no honest client does.
    pub guards: Guards,
    /// What is offered to clients.
    pub extensions: file::Extensions,
    /// What HELP is answered with; none: with the commands.
    pub help: Option<Reply>,
    /// How much is delivered at once.
    pub delivery: Delivery,
    /// How long is waited.
    pub timeouts: Timeouts,
    /// The admin socket.
    pub admin: SocketConfig,
    /// Mail from programs of this machine.
    pub submit: Submit,
    /// What is logged, and how.
    pub log: file::Log,
}

/// `[local] deliver`
#[derive(Debug)]
pub enum Mailboxes {
    /// This server writes them.
    Maildirs(Maildirs),
    /// Another program does, which is given the mail by LMTP.
    Server(NextHop),
}

/// `[submit]`
#[derive(Debug, Clone)]
pub struct Submit {
    /// The socket, for everybody of this machine.
    pub socket: SocketConfig,
    /// The folder that programs put messages into while the server is down.
    pub maildrop: PathBuf,
    /// The domain of addresses that have none.
    pub domain: DomainName,
    /// Who may use which reverse-path.
    pub senders: LocalSenders,
    /// What one user may send in an hour; none: any number.
    pub messages_per_hour: Option<NonZeroU32>,
}

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What it is for.
    pub service: Service,
    /// Where.
    pub address: SocketAddr,
    /// When TLS begins.
    pub tls: ListenerTls,
    /// Whether clients show a certificate of their own.
    pub client_certificates: ClientCertificates,
    /// The proxies that all connections come from, each with a PROXY header; empty: there are none.
    pub proxy_from: Arc<[Network]>,
    /// The peers that may name the client that they speak for, by XCLIENT; empty: there are none.
    pub xclient_from: Arc<[Network]>,
    /// It is not in the file: a machine that lacks its address family can do without it.
    pub by_default: bool,
}

/// `[queue]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its folder.
    pub directory: PathBuf,
    /// How long each attempt waits for the next.
    pub retry: RetrySchedule,
    /// How long a message is tried.
    pub expire_after: Duration,
    /// When the sender is told that a message is late.
    pub delay_notice_after: Option<Duration>,
    /// What all bodies on their way in may take of memory.
    pub body_memory_octets: u64,
    /// What is left free on the disk.
    pub free_octets_min: u64,
}

/// `[limits]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of one message.
    pub message_octets: u64,
    /// Of one header block.
    pub header_octets: usize,
    /// Of one transaction.
    pub recipients_per_message: usize,
    /// Open at once.
    pub sessions: SessionLimits,
    /// Until a session is closed.
    pub errors_per_session: u32,
    /// Without a message, until a session is closed.
    pub idle_commands_per_message: u32,
    /// MAIL commands of one session.
    pub transactions_per_session: u32,
    /// All command lines of one session.
    pub commands_per_session: u32,
    /// That a message may have.
    pub received_hops: usize,
    /// That one address may stand for.
    pub alias_recipients: usize,
    /// For how long a message may be held by its sender.
    pub future_release: HoldInterval,
    /// How little time a message may have that is to be returned after it, in seconds.
    pub deliver_by_seconds: u32,
    /// The highest priority that a sender may ask for.
    pub priority: Priority,
}

impl Limits {
    /// Targets that one message may have once all aliases are expanded.
    pub fn expanded_recipients(&self) -> usize {
        self.recipients_per_message.saturating_add(self.alias_recipients)
    }
}

/// `[delivery]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Sessions to one next hop.
    pub sessions_per_next_hop: usize,
    /// Sessions to all next hops.
    pub sessions: usize,
    /// Messages that one session carries.
    pub messages_per_session: u32,
    /// Messages put into Maildirs at once.
    pub local_deliveries: usize,
}

/// `[timeouts]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the next command.
    pub command: Duration,
    /// For more of the mail data.
    pub data_block: Duration,
    /// For all of a session.
    pub session: Duration,
    /// For the TLS handshake, on either side.
    pub tls_handshake: Duration,
    /// For the PROXY header.
    pub proxy_header: Duration,
    /// For one address of a next hop.
    pub connect: Duration,
    /// For a session with a next hop, and for each message.
    pub attempt: Duration,
    /// For what is under way when the server stops.
    pub drain: Duration,
}

/// The configuration in force. Clones see what is put in force later.
#[derive(Debug, Clone)]
pub struct InForce(Arc<ArcSwap<Config>>);

impl InForce {
    /// This one is, until there is another.
    pub fn new(config: Arc<Config>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// The one in force now. Whoever needs it to stay the same for a while keeps what this returns.
    pub fn load(&self) -> Arc<Config> {
        self.0.load_full()
    }

    /// Puts another one in force.
    pub(crate) fn store(&self, config: Arc<Config>) {
        self.0.store(config);
    }
}

/// A configuration, and what is to be said of it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What can be used, but will surprise somebody.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Where mail for an address goes; `None`: it is one of this server's that nobody has, or that leads nowhere.
    pub(crate) fn targets_of(&self, mailbox: &Mailbox) -> Option<Vec<Target>> {
        let path = ForwardPath::Mailbox(mailbox.clone());
        match self.policy.local().map_or(Resolution::NotLocal, |local| local.resolve(&path)) {
            Resolution::Targets(Expansion { targets, .. }) => Some(targets),
            Resolution::NotLocal => Some(vec![Target::Mailbox(mailbox.clone())]),
            Resolution::Unknown | Resolution::Loop | Resolution::TooMany => None,
        }
    }

    /// Reads and proves the file at `path`, and the files that it names.
    ///
    /// # Errors
    /// The file cannot be read, or the problems with it: all that were found. The process should exit with [`EXIT_CONFIG`].
    pub fn load(path: &Path) -> Result<Loaded, LoadError> {
        let source = Source::read(path)?;
        let file = source.file()?;
        Ok(Self::prove(&source, &file)?)
    }

    fn prove(source: &Source, file: &File) -> Result<Loaded, Problems> {
        let mut prover = Prover::new(source);
        let hostname = hostname(&mut prover, file);
        let limits = limits(&mut prover, &file.limits);
        let certificates = listeners::certificates(&mut prover, &file.tls, hostname.as_ref());
        let name = hostname.as_ref().map_or("", DomainName::as_str);
        let mut credentials = auth::credentials(&mut prover, &file.auth);
        let local = file
            .local
            .as_ref()
            .and_then(|local| local::local(&mut prover, local, &file.limits, name, &mut credentials));
        let listeners = listeners::listeners(&mut prover, file, &credentials);
        let relay = listeners::relay(&mut prover, file, &listeners);
        let authorities = file.tls.authorities.as_ref().and_then(|path| hops::authorities(&mut prover, path));
        let routes = hops::routes(&mut prover, file);
        hops::check_ways_out(&mut prover, file, &routes);
        let queue = queue(&mut prover, &file.queue);
        let delivery = delivery(&mut prover, &file.delivery);
        let timeouts = timeouts(&mut prover, &file.timeouts);
        let admin = admin(&mut prover, &file.admin);
        let extensions = extensions(&mut prover, &file.extensions);
        let help = file.extensions.help.as_ref().and_then(|help| help_reply(&mut prover, help));
        let submit = hostname.as_ref().and_then(|hostname| submit::submit(&mut prover, file, hostname));
        let guards = guards::guards(&mut prover, &file.guards);
        let warnings = prover.finish()?;
        // Each part that is missing has left its problem.
        let (Some(hostname), Some(queue), Some(submit)) = (hostname, queue, submit) else {
            return Err(source.problem(None, "the configuration cannot be used").into());
        };
        let (recipients, mailboxes) = local.map(|local| (local.recipients, local.mailboxes)).unzip();
        let config = Self {
            path: source.path().to_owned(),
            hostname: hostname.as_str().to_owned(),
            certificates,
            tls: TlsTerms { level: file.tls.level, session_tickets: file.tls.session_tickets },
            authorities,
            listeners,
            policy: Policy::new(Domain::Name(hostname), relay, recipients),
            credentials,
            login_allowance: auth::allowance(&file.auth),
            mailboxes,
            routes,
            queue,
            limits,
            guards,
            extensions,
            help,
            delivery,
            timeouts,
            admin,
            submit,
            log: file.log.clone(),
        };
        Ok(Loaded { config, warnings })
    }
}

fn hostname(prover: &mut Prover<'_>, file: &File) -> Option<DomainName> {
    let Some(written) = &file.hostname else {
        prover.error(
            None,
            "`hostname` is missing: begin the file with the name of this server, like hostname = \"mx.example.com\"",
        );
        return None;
    };
    prover.ascii_domain("the name of this server is", written)
}

fn limits(prover: &mut Prover<'_>, limits: &file::Limits) -> Limits {
    if limits.message_octets.0 < 1024 {
        prover.error(limits.message_octets.place(), "`message_octets` must be at least 1 KiB");
    } else if limits.message_octets.0 < 64 << 10 {
        let text = "`message_octets` is below 64 KiB, which every server should take (RFC 5321 §4.5.3.1.7)";
        prover.warn(limits.message_octets.place(), text);
    }
    if !(16 << 10..=256 << 10).contains(&limits.header_octets.0) {
        prover.error(limits.header_octets.place(), "`header_octets` must be from 16 KiB to 256 KiB");
    }
    let recipients_per_message = prover.positive("recipients_per_message", &limits.recipients_per_message);
    if (1..100).contains(&recipients_per_message) {
        let text = "`recipients_per_message` is below 100, which every server should take (RFC 5321 §4.5.3.1.8)";
        prover.warn(limits.recipients_per_message.place(), text);
    }
    prover.positive("errors_per_session", &limits.errors_per_session);
    prover.positive("idle_commands_per_message", &limits.idle_commands_per_message);
    prover.positive("transactions_per_session", &limits.transactions_per_session);
    prover.positive("commands_per_session", &limits.commands_per_session);
    prover.positive("alias_depth", &limits.alias_depth);
    if *limits.alias_depth > local::ALIAS_DEPTH_MAX {
        prover.error(limits.alias_depth.place(), format!("`alias_depth` must be at most {}", local::ALIAS_DEPTH_MAX));
    }
    Limits {
        message_octets: limits.message_octets.0,
        header_octets: usize::try_from(limits.header_octets.0).unwrap_or(usize::MAX),
        recipients_per_message,
        sessions: SessionLimits {
            sessions: prover.positive("sessions", &limits.sessions),
            sessions_per_client: prover.positive("sessions_per_client", &limits.sessions_per_client),
        },
        errors_per_session: *limits.errors_per_session,
        idle_commands_per_message: *limits.idle_commands_per_message,
        transactions_per_session: *limits.transactions_per_session,
        commands_per_session: *limits.commands_per_session,
        received_hops: prover.positive("received_hops", &limits.received_hops),
        alias_recipients: prover.positive("alias_recipients", &limits.alias_recipients),
        future_release: future_release(prover, &limits.future_release),
        deliver_by_seconds: u32::try_from(limits.deliver_by.0.as_secs()).unwrap_or(u32::MAX),
        priority: priority(prover, &limits.mt_priority),
    }
}

fn extensions(prover: &mut Prover<'_>, extensions: &file::Extensions) -> file::Extensions {
    if extensions.binarymime && !extensions.chunking {
        prover.error(None, "`binarymime` needs `chunking`: binary content comes by BDAT only (RFC 3030 §3)");
    }
    extensions.clone()
}

fn help_reply(prover: &mut Prover<'_>, text: &Placed<String>) -> Option<Reply> {
    const HELP: Reply = Reply::new(ReplyCode::HELP, EnhancedStatus::new(2, 0, 0), "");
    let reply = HELP.with_text((**text).clone());
    reply.map_err(|_| prover.error(text.place(), "`help` is sent to everybody: write it in printable ASCII")).ok()
}

fn priority(prover: &mut Prover<'_>, highest: &Placed<u32>) -> Priority {
    let priority = i8::try_from(**highest).ok().and_then(Priority::new);
    if priority.is_none() {
        prover.error(highest.place(), "`mt_priority` must be at most 9");
    }
    priority.unwrap_or_default()
}

/// Told in whole seconds (RFC 4865 §3).
fn future_release(prover: &mut Prover<'_>, longest: &Placed<Period>) -> HoldInterval {
    const YEAR: Duration = Duration::from_hours(366 * 24);
    let seconds = longest.0.min(YEAR).as_secs();
    let interval = u32::try_from(seconds).ok().and_then(HoldInterval::from_seconds);
    if longest.0 > YEAR || interval.is_none() {
        prover.error(longest.place(), "`future_release` must be from a second to a year");
    }
    interval.unwrap_or(SHORTEST_HOLD)
}

/// Stands for what is refused.
const SHORTEST_HOLD: HoldInterval = match HoldInterval::from_seconds(1) {
    Some(interval) => interval,
    None => unreachable!(),
};

fn queue(prover: &mut Prover<'_>, queue: &file::Queue) -> Option<Queue> {
    let directory = prover.resolve(&*queue.directory);
    if directory.exists() && !directory.is_dir() {
        prover.error(queue.directory.place(), format!("{} is not a directory", directory.display()));
    }
    let expire_after = prover.some_time("expire_after", &queue.expire_after);
    let delays = queue.retry.delays().iter().map(|delay| delay.0).collect();
    let retry =
        RetrySchedule::new(delays).map_err(|error| prover.error(queue.retry.place(), error.to_string())).ok()?;
    Some(Queue {
        directory,
        retry,
        expire_after,
        delay_notice_after: Some(queue.delay_notice_after.0).filter(|after| !after.is_zero()),
        body_memory_octets: queue.body_memory_octets.0,
        free_octets_min: queue.free_octets_min.0,
    })
}

fn delivery(prover: &mut Prover<'_>, delivery: &file::Delivery) -> Delivery {
    prover.positive("messages_per_session", &delivery.messages_per_session);
    Delivery {
        sessions_per_next_hop: prover.positive("sessions_per_next_hop", &delivery.sessions_per_next_hop),
        sessions: prover.positive("sessions", &delivery.sessions),
        messages_per_session: *delivery.messages_per_session,
        local_deliveries: prover.positive("local_deliveries", &delivery.local_deliveries),
    }
}

fn timeouts(prover: &mut Prover<'_>, timeouts: &file::Timeouts) -> Timeouts {
    Timeouts {
        command: prover.some_time("command", &timeouts.command),
        data_block: prover.some_time("data_block", &timeouts.data_block),
        session: prover.some_time("session", &timeouts.session),
        tls_handshake: prover.some_time("tls_handshake", &timeouts.tls_handshake),
        proxy_header: prover.some_time("proxy_header", &timeouts.proxy_header),
        connect: prover.some_time("connect", &timeouts.connect),
        attempt: prover.some_time("attempt", &timeouts.attempt),
        drain: timeouts.drain.0,
    }
}

fn admin(prover: &mut Prover<'_>, admin: &file::Admin) -> SocketConfig {
    let group = admin.group.as_ref().and_then(|group| prover.group(group));
    SocketConfig { path: prover.resolve(&*admin.socket), mode: admin.mode.0, group }
}

#[cfg(test)]
mod tests;
