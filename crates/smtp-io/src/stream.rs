//! The stream under a session: plain, then TLS.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CommonState, HandshakeKind, ProtocolVersion, ServerConfig};
use smtp_proto::{ChannelBindings, TlsFacts};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::certificate::Certificate;

/// Why there is no TLS. The stream is gone with it.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The two sides did not agree, a certificate was not accepted, or the connection broke.
    #[error("the TLS handshake failed")]
    Failed(#[source] io::Error),
    /// The peer took too long.
    #[error("the TLS handshake took longer than {} s", .within.as_secs())]
    TimedOut {
        /// The time that it had.
        within: Duration,
    },
    /// There is TLS already, or no connection any more.
    #[error("the stream is not in the clear")]
    NotPlain,
}

impl HandshakeError {
    /// What the two sides did not agree on, in the words of rustls; `None`: it did not come so far, since the connection broke or the
    /// peer took too long.
    pub fn tls_error(&self) -> Option<&rustls::Error> {
        match self {
            Self::Failed(error) => error.get_ref()?.downcast_ref(),
            Self::TimedOut { .. } | Self::NotPlain => None,
        }
    }
}

/// A TCP connection, in the clear or under TLS; or a Unix socket, which never leaves the machine and has no TLS.
pub struct Stream(Inner);

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
    /// A handshake took the stream and did not give it back.
    Gone,
}

impl From<TcpStream> for Stream {
    /// A stream in the clear, which sends small pieces without delay (`TCP_NODELAY`).
    fn from(tcp: TcpStream) -> Self {
        // It fails only on a connection that is already broken, which the first read will say.
        let _ = tcp.set_nodelay(true);
        Self(Inner::Plain(tcp))
    }
}

impl From<UnixStream> for Stream {
    fn from(unix: UnixStream) -> Self {
        Self(Inner::Unix(unix))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Inner::Plain(_) => "Plain",
            Inner::Tls(_) => "Tls",
            Inner::Unix(_) => "Unix",
            Inner::Gone => "Gone",
        };
        formatter.debug_tuple("Stream").field(&kind).finish()
    }
}

impl Stream {
    /// Makes this the server's side of TLS, which the peer begins. On success [`TlsFacts::server_name`] is the name
    /// that it asked for, and [`TlsFacts::peer_certificate`] the one that it has shown: none comes so far that the acceptor's
    /// verifier has not found good, also under TLS 1.3, where a client is done before its certificate is looked at.
    ///
    /// # Errors
    /// The stream is closed; TLS has told the peer why, where it could.
    pub async fn accept_tls(&mut self, acceptor: &TlsAcceptor, within: Duration) -> Result<TlsFacts, HandshakeError> {
        let tcp = self.take_plain()?;
        let presented = Arc::new(Presented::by(acceptor.config()));
        let mut config = ServerConfig::clone(acceptor.config());
        config.cert_resolver = Arc::clone(&presented) as _;
        let tls = in_time(within, TlsAcceptor::from(Arc::new(config)).accept(tcp)).await?;
        let (_, state) = tls.get_ref();
        let facts = facts(state, state.server_name(), presented.leaf(), |label| {
            state.export_keying_material([0; 32], label, Some(b""))
        });
        let peer_certificate = leaf(state).and_then(|leaf| Some(Box::new(Certificate::parse(leaf)?.peer())));
        let facts = TlsFacts { verified: peer_certificate.is_some(), peer_certificate, ..facts };
        self.0 = Inner::Tls(Box::new(tls.into()));
        Ok(facts)
    }

    /// Makes this the client's side of TLS. Which certificates are good is the connector's matter, so the caller sets
    /// [`TlsFacts::verified`].
    ///
    /// # Errors
    /// The stream is closed; TLS has told the peer why, where it could.
    pub async fn connect_tls(
        &mut self,
        connector: &TlsConnector,
        server_name: ServerName<'static>,
        within: Duration,
    ) -> Result<TlsFacts, HandshakeError> {
        let tcp = self.take_plain()?;
        let name = server_name.to_str().into_owned();
        let tls = in_time(within, connector.connect(server_name, tcp)).await?;
        let (_, state) = tls.get_ref();
        let facts =
            facts(state, Some(&name), leaf(state), |label| state.export_keying_material([0; 32], label, Some(b"")));
        self.0 = Inner::Tls(Box::new(tls.into()));
        Ok(facts)
    }

    /// Whether TLS is established.
    pub fn is_tls(&self) -> bool {
        matches!(self.0, Inner::Tls(_))
    }

    /// Lets the system hold no more than about `octets` that are not yet on their way to the peer
    /// (`TCP_NOTSENT_LOWAT`), so that what was written tells how far the peer is. Left alone, the system takes some MiB
    /// at once, and a deadline for the peer's reply then runs while the peer still waits for its octets. Systems
    /// without that option take no notice.
    pub fn limit_unsent(&self, octets: u32) {
        #[cfg(target_os = "linux")]
        if let Some(tcp) = self.tcp() {
            // Without it deadlines are less exact, and all else is the same.
            let _ = SockRef::from(tcp).set_tcp_notsent_lowat(octets);
        }
    }

    /// Whether this is in the clear and nothing has come that is unread: then the system sends all that was written, and
    /// an end, when it is dropped.
    pub(crate) fn is_quiet(&self) -> bool {
        let read = match &self.0 {
            Inner::Plain(tcp) => tcp.try_read(&mut [0]),
            Inner::Unix(unix) => unix.try_read(&mut [0]),
            Inner::Tls(_) | Inner::Gone => return false,
        };
        match read {
            Ok(octets) => octets == 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Whether the system has received something that is unread, whatever it is.
    pub(crate) fn has_received(&self) -> bool {
        let has_received = |socket: SockRef<'_>| matches!(socket.peek(&mut [MaybeUninit::uninit()]), Ok(1..));
        match &self.0 {
            Inner::Plain(tcp) => has_received(tcp.into()),
            Inner::Tls(tls) => has_received(tls.get_ref().0.into()),
            Inner::Unix(unix) => has_received(unix.into()),
            Inner::Gone => false,
        }
    }

    /// Ready when the runtime knows that there is something to read, so that the next read finds it.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Inner::Plain(tcp) => tcp.poll_read_ready(context),
            Inner::Tls(tls) => tls.get_ref().0.poll_read_ready(context),
            Inner::Unix(unix) => unix.poll_read_ready(context),
            Inner::Gone => Poll::Ready(Err(gone())),
        }
    }

    #[cfg(target_os = "linux")]
    fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Inner::Plain(tcp) => Some(tcp),
            Inner::Tls(tls) => Some(tls.get_ref().0),
            Inner::Unix(_) | Inner::Gone => None,
        }
    }

    /// Reads on below TLS, once that has ended, until the peer ends its side or has sent so many octets more.
    pub(crate) async fn drain(&mut self, octets_max: u64) -> io::Result<u64> {
        let mut nowhere = tokio::io::sink();
        match &mut self.0 {
            Inner::Plain(tcp) => tokio::io::copy(&mut tcp.take(octets_max), &mut nowhere).await,
            Inner::Tls(tls) => tokio::io::copy(&mut tls.get_mut().0.take(octets_max), &mut nowhere).await,
            Inner::Unix(unix) => tokio::io::copy(&mut unix.take(octets_max), &mut nowhere).await,
            Inner::Gone => Err(gone()),
        }
    }

    fn take_plain(&mut self) -> Result<TcpStream, HandshakeError> {
        match std::mem::replace(&mut self.0, Inner::Gone) {
            Inner::Plain(tcp) => Ok(tcp),
            other => {
                self.0 = other;
                Err(HandshakeError::NotPlain)
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Inner::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
            Inner::Unix(unix) => Pin::new(unix).poll_read(context, buffer),
            Inner::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Inner::Plain(tcp) => Pin::new(tcp).poll_write(context, octets),
            Inner::Tls(tls) => Pin::new(tls).poll_write(context, octets),
            Inner::Unix(unix) => Pin::new(unix).poll_write(context, octets),
            Inner::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Inner::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, pieces),
            Inner::Tls(tls) => Pin::new(tls).poll_write_vectored(context, pieces),
            Inner::Unix(unix) => Pin::new(unix).poll_write_vectored(context, pieces),
            Inner::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Inner::Tls(tls) => Pin::new(tls).poll_flush(context),
            Inner::Unix(unix) => Pin::new(unix).poll_flush(context),
            Inner::Gone => Poll::Ready(Err(gone())),
        }
    }

    /// Ends the output: `close_notify` under TLS, then the end of the stream.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Inner::Tls(tls) => Pin::new(tls).poll_shutdown(context),
            Inner::Unix(unix) => Pin::new(unix).poll_shutdown(context),
            Inner::Gone => Poll::Ready(Err(gone())),
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

async fn in_time<T>(within: Duration, handshake: impl Future<Output = io::Result<T>>) -> Result<T, HandshakeError> {
    match tokio::time::timeout(within, handshake).await {
        Ok(done) => done.map_err(HandshakeError::Failed),
        Err(_) => Err(HandshakeError::TimedOut { within }),
    }
}

/// The label of `tls-exporter` (RFC 9266 §4.1).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What is known on both sides; `presented` is the certificate of the server.
fn facts(
    state: &CommonState,
    server_name: Option<&str>,
    presented: Option<&CertificateDer<'_>>,
    export: impl FnOnce(&[u8]) -> Result<[u8; 32], rustls::Error>,
) -> TlsFacts {
    let is_13 = state.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    let exporter = is_13.then(|| export(EXPORTER_LABEL)).and_then(Result::ok).map(Box::new);
    let resumed = state.handshake_kind() == Some(HandshakeKind::Resumed);
    let presented = presented.filter(|_| !resumed).and_then(|leaf| Certificate::parse(leaf));
    TlsFacts {
        version: state.protocol_version().and_then(|version| version.as_str()).unwrap_or_default().replace('_', "."),
        cipher_suite: state
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default()
            // rustls marks the suites of TLS 1.3; the registered names do not.
            .replacen("TLS13_", "TLS_", 1),
        key_exchange: state.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
        server_name: server_name.map(str::to_owned),
        resumed,
        channel_bindings: ChannelBindings {
            exporter,
            server_end_point: presented.and_then(|certificate| certificate.server_end_point()),
        },
        ..TlsFacts::default()
    }
}

/// The certificate that the peer has shown.
fn leaf(state: &CommonState) -> Option<&CertificateDer<'static>> {
    state.peer_certificates()?.first()
}

/// Chooses what the server presents as another does, and keeps in mind what that was in one handshake: rustls does not tell.
#[derive(Debug)]
struct Presented {
    by: Arc<dyn ResolvesServerCert>,
    chosen: OnceLock<Arc<CertifiedKey>>,
}

impl Presented {
    fn by(config: &ServerConfig) -> Self {
        Self { by: Arc::clone(&config.cert_resolver), chosen: OnceLock::new() }
    }

    fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.chosen.get()?.cert.first()
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.by.resolve(hello)?;
        // It is asked again after a HelloRetryRequest (RFC 8446 §4.1.4), and what is answered first is kept to.
        Some(Arc::clone(self.chosen.get_or_init(|| chosen)))
    }

    fn only_raw_public_keys(&self) -> bool {
        self.by.only_raw_public_keys()
    }
}
