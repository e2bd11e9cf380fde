//! Connects, greets, secures, logs in; and in the end quits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smtp_io::{CloseLimits, Connection, ConnectionError, Stream, now};
use smtp_mail::{RemoteHost, Report, Stage};
use smtp_proto::client::{self, ClientConfig, ClientSession, Event};
use smtp_proto::{Extensions, HelloName, Mechanism, TlsFacts};
use smtp_sasl::Credentials;
use tokio::net::{TcpStream, UnixStream};

use crate::addresses;
use crate::error::{ConnectError, ConnectFailure};
use crate::hop::{Host, NextHop, TlsMode};
use crate::login::{self, HopLogin};
use crate::tls::ClientTls;

/// Enough to keep a fast connection busy, and sent within any deadline on a slow one.
const UNSENT_OCTETS_MAX: u32 = 128 * 1024;

/// What all clients of one program have in common.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The name for EHLO, the limits and the timeouts of the session.
    pub session: Arc<ClientConfig>,
    /// Which certificates are good.
    pub tls: ClientTls,
    /// For each address, how long it may take to accept the connection.
    pub connect_timeout: Duration,
    /// How long the TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long all of it may take: once from the first address to a session, and once more for each message.
    pub attempt_timeout: Duration,
    /// How many addresses of one host are tried.
    pub addresses_max: usize,
    /// How much of the content is read and sent at a time, in octets.
    pub chunk_octets: usize,
}

impl ClientSettings {
    /// 30 s to connect, 60 s for TLS, an hour for all, 8 addresses, 64 KiB at a time, and the timeouts of RFC 5321 §4.5.3.2.
    pub fn new(hello_name: HelloName, tls: ClientTls) -> Self {
        Self {
            session: Arc::new(ClientConfig::new(hello_name)),
            tls,
            connect_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_mins(1),
            attempt_timeout: Duration::from_hours(1),
            addresses_max: 8,
            chunk_octets: 64 * 1024,
        }
    }
}

/// A session with a next hop, ready for transactions.
#[derive(Debug)]
pub struct Client {
    pub(crate) connection: Connection<ClientSession>,
    pub(crate) settings: Arc<ClientSettings>,
    pub(crate) transactions: u32,
    pub(crate) usable: bool,
    host: RemoteHost,
    tls: Option<TlsFacts>,
    tls_text: Option<String>,
    login: Option<Mechanism>,
}

impl Client {
    /// Connects to the first of `addresses` that greets and comes to the terms of `next_hop`. They are tried in turn,
    /// IPv6 and IPv4 by turns. A Unix socket needs none.
    ///
    /// With [`TlsMode::Opportunistic`], where STARTTLS is refused or the handshake fails, the same address is tried
    /// again in the clear, over a new connection, and a warning is logged. With a mandatory mode nothing of a message
    /// is sent before TLS is as it must be, and STARTTLS is not sent where it is not offered.
    ///
    /// Where the next hop has a login its secret is read, and AUTH follows (RFC 4954). A host that refuses it, or has no AUTH, is not
    /// tried at other addresses: too many failures lock a login. One that goes away meanwhile has refused nothing.
    ///
    /// # Errors
    /// The failure at the address that got farthest.
    pub async fn connect(
        next_hop: &NextHop,
        addresses: &[SocketAddr],
        settings: &Arc<ClientSettings>,
    ) -> Result<Self, ConnectError> {
        let within = settings.attempt_timeout;
        let connected = tokio::time::timeout(within, Self::connect_in_turn(next_hop, addresses, settings)).await;
        let Ok(connected) = connected else {
            let host = RemoteHost { name: next_hop.host.to_string(), address: None };
            return Err(ConnectError { host, stage: Stage::Connect, failure: ConnectFailure::TooSlow(within) });
        };
        connected
    }

    async fn connect_in_turn(
        next_hop: &NextHop,
        addresses: &[SocketAddr],
        settings: &Arc<ClientSettings>,
    ) -> Result<Self, ConnectError> {
        let name = next_hop.host.to_string();
        let nowhere = RemoteHost { name: name.clone(), address: None };
        let credentials = match &next_hop.login {
            None => None,
            Some(login) => match login.credentials().await {
                Ok(credentials) => Some((&**login, credentials)),
                Err(failure) => {
                    let failure = ConnectFailure::Login(Box::new(failure));
                    return Err(ConnectError { host: nowhere, stage: Stage::Auth, failure });
                }
            },
        };
        let mut failed = ConnectError { host: nowhere, stage: Stage::Route, failure: ConnectFailure::NoAddress };
        let addresses = match next_hop.host {
            Host::Socket(_) => vec![None],
            _ => addresses::in_turn(addresses, settings.addresses_max).into_iter().map(Some).collect(),
        };
        for address in addresses {
            let host = RemoteHost { name: name.clone(), address };
            let login = credentials.as_ref();
            match connect_to(next_hop, address, &host, login, settings).await {
                Ok(Established { connection, tls, login }) => {
                    let tls_text = tls.as_ref().map(tls_text);
                    let settings = Arc::clone(settings);
                    return Ok(Self {
                        connection,
                        settings,
                        transactions: 0,
                        usable: true,
                        host,
                        tls,
                        tls_text,
                        login,
                    });
                }
                Err((stage, failure @ ConnectFailure::Login(_))) => return Err(ConnectError { host, stage, failure }),
                Err((stage, failure)) => {
                    tracing::debug!(%host, %stage, %failure, "a next hop's address did not serve");
                    failed = failed.or_farther(ConnectError { host, stage, failure });
                }
            }
        }
        Err(failed)
    }

    /// The host and the address that this is connected to.
    pub fn host(&self) -> &RemoteHost {
        &self.host
    }

    /// How the connection is protected, such as `TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768`; `None` in the clear.
    pub fn tls(&self) -> Option<&str> {
        self.tls_text.as_deref()
    }

    /// What is known of the TLS that protects the connection; `None` in the clear.
    pub fn tls_facts(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// By which mechanism the host was told who we are; `None`: it was not.
    pub fn login(&self) -> Option<Mechanism> {
        self.login
    }

    /// What the server offers.
    pub fn extensions(&mut self) -> &Extensions {
        self.connection.session().extensions()
    }

    /// How many transactions were begun.
    pub fn transactions(&self) -> u32 {
        self.transactions
    }

    /// Whether another transaction can be begun.
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Whether the server has not closed the connection meanwhile, as far as is known without waiting.
    pub async fn is_alive(&mut self) -> bool {
        if self.usable {
            // Between transactions every event is an end: a 421, or the end of the stream.
            self.usable = tokio::select! {
                biased;
                _ = self.connection.next_event() => false,
                () = std::future::ready(()) => true,
            };
        }
        self.usable
    }

    /// Ends the session with QUIT where it can be said, and closes the connection.
    pub async fn quit(mut self) {
        if self.usable {
            self.connection.session().quit(now());
            // Nothing depends on what the server says to it, and the session has a deadline for that.
            while let Ok(event) = self.connection.next_event().await {
                if matches!(event, Event::Closed(_)) {
                    break;
                }
            }
        }
        let limits = CloseLimits { flush: Duration::from_secs(1), linger: Duration::ZERO, linger_octets: 0 };
        self.connection.close(limits).await;
    }

    /// The report with what is known of this connection.
    pub(crate) fn complete(&self, report: Report) -> Report {
        report.with_host(&self.host.name, self.host.address).with_tls(self.tls_text.clone())
    }
}

/// A session that is ready for transactions.
struct Established {
    connection: Connection<ClientSession>,
    tls: Option<TlsFacts>,
    login: Option<Mechanism>,
}

type Failed = (Stage, ConnectFailure);

async fn connect_to(
    next_hop: &NextHop,
    address: Option<SocketAddr>,
    host: &RemoteHost,
    login: Option<&(&HopLogin, Credentials)>,
    settings: &Arc<ClientSettings>,
) -> Result<Established, Failed> {
    let (mut connection, tls) = secure(next_hop, address, host, settings).await?;
    let login = match login {
        None => None,
        Some((login, credentials)) => match login::log_in(&mut connection, login, credentials).await {
            Ok(mechanism) => Some(mechanism),
            Err(failed) => {
                leave(connection);
                return Err(failed);
            }
        },
    };
    Ok(Established { connection, tls, login })
}

/// What is known of TLS comes with the connection.
type Secured = (Connection<ClientSession>, Option<TlsFacts>);

async fn secure(
    next_hop: &NextHop,
    address: Option<SocketAddr>,
    host: &RemoteHost,
    settings: &Arc<ClientSettings>,
) -> Result<Secured, Failed> {
    match establish(next_hop, next_hop.tls, address, settings).await {
        Err((Stage::Tls, failure)) if next_hop.tls == TlsMode::Opportunistic => {
            tracing::warn!(%host, %failure, "no TLS with this host, mail goes to it in the clear");
            establish(next_hop, TlsMode::None, address, settings).await
        }
        established => established,
    }
}

async fn establish(
    next_hop: &NextHop,
    mode: TlsMode,
    address: Option<SocketAddr>,
    settings: &Arc<ClientSettings>,
) -> Result<Secured, Failed> {
    let opened = tokio::time::timeout(settings.connect_timeout, open(&next_hop.host, address)).await;
    let opened = opened.unwrap_or(Err(ConnectFailure::TimedOut(settings.connect_timeout)));
    let mut stream = opened.map_err(|failure| (Stage::Connect, failure))?;
    stream.limit_unsent(UNSENT_OCTETS_MAX);
    let handshake = Handshake { next_hop, mode, settings };
    let mut facts = None;
    if mode.is_implicit() {
        facts = Some(handshake.implicit(&mut stream).await.map_err(|failure| (Stage::Tls, failure))?);
    }
    let session = ClientSession::new(session_config(next_hop, settings), facts.clone(), now());
    let mut connection = Connection::new(stream, session);
    loop {
        match connection.next_event().await {
            Ok(Event::Ready(extensions)) if facts.is_none() && mode != TlsMode::None => {
                if extensions.starttls {
                    // It cannot be refused here: the session is ready, in the clear, and STARTTLS is offered.
                    let _ = connection.session().start_tls(now());
                } else if mode.is_mandatory() {
                    leave(connection);
                    return Err((Stage::Tls, ConnectFailure::NoTls));
                } else {
                    return Ok((connection, None));
                }
            }
            Ok(Event::Ready(_)) => return Ok((connection, facts)),
            Ok(Event::StartTls) => {
                let established = handshake.after_starttls(&mut connection).await;
                let established = established.map_err(|failure| (Stage::Tls, failure))?;
                connection.session().tls_established(established.clone(), now());
                facts = Some(established);
            }
            Ok(Event::Refused { stage, reply }) => {
                leave(connection);
                return Err((mail_stage(stage), ConnectFailure::Refused(reply)));
            }
            Ok(Event::Closed(reason)) => {
                return Err((mail_stage(connection.session().stage()), ConnectFailure::Ended(reason)));
            }
            Ok(_) => {}
            Err(error) => return Err((mail_stage(connection.session().stage()), ConnectFailure::Lost(error))),
        }
    }
}

async fn open(host: &Host, address: Option<SocketAddr>) -> Result<Stream, ConnectFailure> {
    let stream = match (host, address) {
        (Host::Socket(path), _) => UnixStream::connect(path).await.map(Stream::from),
        (_, Some(address)) => TcpStream::connect(address).await.map(Stream::from),
        (_, None) => return Err(ConnectFailure::NoAddress),
    };
    stream.map_err(ConnectFailure::Unreachable)
}

/// That of all sessions, unless this next hop speaks another protocol, or BDAT not well.
fn session_config(next_hop: &NextHop, settings: &ClientSettings) -> Arc<ClientConfig> {
    let session = &settings.session;
    let chunking = session.chunking && next_hop.chunking;
    if (session.protocol, session.chunking) == (next_hop.protocol, chunking) {
        return Arc::clone(session);
    }
    Arc::new(ClientConfig { protocol: next_hop.protocol, chunking, ..ClientConfig::clone(session) })
}

/// Says QUIT beside what follows: the next address does not wait for this one's goodbye.
fn leave(mut connection: Connection<ClientSession>) {
    connection.session().quit(now());
    tokio::spawn(connection.close(CloseLimits::default()));
}

struct Handshake<'a> {
    next_hop: &'a NextHop,
    mode: TlsMode,
    settings: &'a ClientSettings,
}

impl Handshake<'_> {
    async fn implicit(&self, stream: &mut Stream) -> Result<TlsFacts, ConnectFailure> {
        let (connector, name) = self.terms()?;
        let facts = stream.connect_tls(connector, name, self.settings.handshake_timeout).await;
        Ok(self.verified(facts.map_err(ConnectFailure::Tls)?))
    }

    async fn after_starttls(&self, connection: &mut Connection<ClientSession>) -> Result<TlsFacts, ConnectFailure> {
        let (connector, name) = self.terms()?;
        match connection.connect_tls(connector, name, self.settings.handshake_timeout).await {
            Ok(facts) => Ok(self.verified(facts)),
            Err(ConnectionError::Handshake(error)) => Err(ConnectFailure::Tls(error)),
            Err(error) => Err(ConnectFailure::Lost(error)),
        }
    }

    fn terms(&self) -> Result<(&tokio_rustls::TlsConnector, rustls::pki_types::ServerName<'static>), ConnectFailure> {
        let connector = self.settings.tls.connector(self.mode.verifies());
        let connector = connector.ok_or(ConnectFailure::Unverifiable("no certificate authorities are known"))?;
        let name = self.next_hop.host.server_name();
        let name = name.ok_or(ConnectFailure::Unverifiable("the host's name can be in no certificate"))?;
        Ok((connector, name))
    }

    fn verified(&self, facts: TlsFacts) -> TlsFacts {
        TlsFacts { verified: self.mode.verifies(), ..facts }
    }
}

fn tls_text(facts: &TlsFacts) -> String {
    let key_exchange = facts.key_exchange.as_deref().map_or(String::new(), |group| format!(" {group}"));
    format!("{} {}{key_exchange}", facts.version, facts.cipher_suite)
}

/// The stage as reports name it.
pub(crate) fn mail_stage(stage: client::Stage) -> Stage {
    match stage {
        client::Stage::Greeting => Stage::Greeting,
        client::Stage::Hello => Stage::Hello,
        client::Stage::StartTls => Stage::Tls,
        client::Stage::Auth => Stage::Auth,
        client::Stage::Rcpt => Stage::Rcpt,
        client::Stage::Data => Stage::Data,
        client::Stage::MailData | client::Stage::MailDataEnd => Stage::MailData,
        _ => Stage::Mail,
    }
}
