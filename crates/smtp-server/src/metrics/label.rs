//! The label values of the metrics. Every label is one of these enumerations (or a reply code, or the name of a
//! certificate in the configuration), never text from a peer, so the number of series is bounded by construction.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use smtp_proto::ReplyClass;

/// Declares an enumeration whose variants have one name each, used in metrics, log and JSON alike.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in metrics, log and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                encoder.write_str(self.as_str())
            }
        }
    };
}

mod auth;
mod guard;

pub use self::auth::{AuthMechanism, AuthResult, ClientLogin};
pub(super) use self::auth::{ByAuth, ByClientLogin};
pub(super) use self::guard::ByGuard;
pub use self::guard::{Guard, GuardAction};

names! {
    /// What a listener is for.
    Service {
        /// Mail from other servers (RFC 5321).
        Mx = "mx",
        /// Mail from people and programs (RFC 6409).
        Submission = "submission",
        /// Mail from a server in front of this one (RFC 2033).
        Lmtp = "lmtp",
    }
}

names! {
    /// The verb of a command that the server loop answers, as far as it is known.
    Verb {
        /// HELO.
        Helo = "helo",
        /// EHLO.
        Ehlo = "ehlo",
        /// LHLO.
        Lhlo = "lhlo",
        /// STARTTLS.
        StartTls = "starttls",
        /// AUTH: the end of an exchange.
        Auth = "auth",
        /// MAIL.
        Mail = "mail",
        /// RCPT.
        Rcpt = "rcpt",
        /// DATA: the command itself.
        Data = "data",
        /// BDAT: the first of a message.
        Bdat = "bdat",
        /// XCLIENT.
        XClient = "xclient",
        /// The end of the mail data: the answer that accepts or refuses the message.
        Message = "message",
        /// Any other verb, whatever the client wrote.
        Other = "other",
    }
}

names! {
    /// The class of a reply (RFC 5321 §4.2.1): the first digit of its code.
    Class {
        /// 2yz.
        Completion = "2",
        /// 3yz.
        Intermediate = "3",
        /// 4yz.
        Transient = "4",
        /// 5yz.
        Permanent = "5",
    }
}

impl From<ReplyClass> for Class {
    fn from(class: ReplyClass) -> Self {
        match class {
            ReplyClass::Completion => Self::Completion,
            ReplyClass::Intermediate => Self::Intermediate,
            ReplyClass::Transient => Self::Transient,
            ReplyClass::Permanent => Self::Permanent,
        }
    }
}

names! {
    /// Where in a session something was refused.
    Stage {
        /// Before the greeting.
        Connect = "connect",
        /// EHLO or HELO.
        Hello = "hello",
        /// STARTTLS.
        StartTls = "starttls",
        /// AUTH.
        Auth = "auth",
        /// MAIL.
        Mail = "mail",
        /// RCPT.
        Rcpt = "rcpt",
        /// DATA: before any content.
        Data = "data",
        /// After the content: the answer to the final dot.
        Message = "message",
        /// Any other command, or a line that is none.
        Command = "command",
    }
}

names! {
    /// Why a connection to a listener behind a proxy was closed without a word.
    ProxyRefusal {
        /// The peer is no proxy that the listener takes connections from.
        NotListed = "not_listed",
        /// What the proxy sent first is no header.
        Malformed = "malformed",
        /// The header did not come in time.
        TimedOut = "timed_out",
        /// The connection ended or broke within the header.
        Broken = "broken",
    }
}

impl ProxyRefusal {
    /// What an operator can do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NotListed => "if this is a proxy of yours, add it to proxy_from; clients need a listener without it",
            Self::Malformed => {
                "let the proxy send a PROXY header (HAProxy: send-proxy-v2), or take it out of proxy_from"
            }
            Self::TimedOut => "the proxy sends no PROXY header (HAProxy: send-proxy-v2), or the way to it is slow",
            Self::Broken => "look at the proxy and the way to it",
        }
    }
}

names! {
    /// What a sender has sent too much of.
    ExcessLimit {
        /// Messages.
        Messages = "messages",
        /// Recipients.
        Recipients = "recipients",
    }
}

names! {
    /// How an attempt ended for one recipient.
    AttemptResult {
        /// In the mailbox, or taken over by the next hop.
        Delivered = "delivered",
        /// Not now: it is tried again.
        Deferred = "deferred",
        /// Refused for good.
        Failed = "failed",
        /// Given up because its time was over.
        Expired = "expired",
    }
}

names! {
    /// Which half of the delivery it was.
    DeliveryClass {
        /// Into a mailbox of this machine (the MDA).
        Local = "local",
        /// To another server (the MTA).
        Remote = "remote",
    }
}

names! {
    /// Who opened the connection.
    Direction {
        /// The peer: we are the server.
        In = "in",
        /// We: we are the client.
        Out = "out",
    }
}

names! {
    /// The protocol version of a TLS session.
    TlsVersion {
        /// RFC 5246.
        V12 = "1.2",
        /// RFC 8446.
        V13 = "1.3",
        /// None of these.
        Other = "other",
    }
}

impl TlsVersion {
    /// Reads the usual names: "TLSv1.3", "`TLSv1_3`", "1.3".
    pub fn from_name(name: &str) -> Self {
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        match digits {
            "1.2" | "1_2" => Self::V12,
            "1.3" | "1_3" => Self::V13,
            _ => Self::Other,
        }
    }
}

names! {
    /// The cipher of a TLS suite; what else a suite of TLS 1.2 names is the kind of the certificate.
    Cipher {
        /// AES with 128 bits in Galois counter mode.
        Aes128Gcm = "aes_128_gcm",
        /// AES with 256 bits in Galois counter mode.
        Aes256Gcm = "aes_256_gcm",
        /// `ChaCha20` with Poly1305.
        ChaCha20Poly1305 = "chacha20_poly1305",
        /// None of these.
        Other = "other",
    }
}

impl Cipher {
    /// Reads the registered name of a suite, such as `TLS_AES_256_GCM_SHA384`.
    pub fn of_suite(name: &str) -> Self {
        match name {
            _ if name.contains("AES_128_GCM") => Self::Aes128Gcm,
            _ if name.contains("AES_256_GCM") => Self::Aes256Gcm,
            _ if name.contains("CHACHA20_POLY1305") => Self::ChaCha20Poly1305,
            _ => Self::Other,
        }
    }
}

names! {
    /// The key exchange of a TLS handshake.
    KeyExchange {
        /// X25519 beside ML-KEM-768: safe from a quantum computer.
        X25519MlKem768 = "x25519mlkem768",
        /// X25519.
        X25519 = "x25519",
        /// The curve P-256.
        Secp256r1 = "secp256r1",
        /// The curve P-384.
        Secp384r1 = "secp384r1",
        /// None of these, or none at all: a session was resumed without one.
        Other = "other",
    }
}

impl KeyExchange {
    /// Reads the name of a group, such as `X25519MLKEM768`, in any case.
    pub fn from_name(name: &str) -> Self {
        let known = Self::ALL.iter().find(|group| group.as_str().eq_ignore_ascii_case(name));
        known.copied().unwrap_or(Self::Other)
    }
}

names! {
    /// Why a TLS handshake failed.
    TlsFailure {
        /// What came was no TLS.
        NotTls = "not_tls",
        /// The two sides have no version of TLS in common.
        Version = "version",
        /// They have no cipher suite, key exchange or signature in common.
        Parameters = "parameters",
        /// The peer wants to speak another protocol than SMTP (ALPN).
        Protocol = "protocol",
        /// The peer takes no certificate of ours.
        CertificateRefused = "certificate_refused",
        /// The peer's certificate is not good, or it has none where one is required.
        PeerCertificate = "peer_certificate",
        /// It took too long.
        TimedOut = "timed_out",
        /// The connection ended or broke.
        Broken = "broken",
        /// Any other.
        Other = "other",
    }
}

impl TlsFailure {
    /// What an operator can do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NotTls => {
                "the peer does not speak TLS here: if it is a client of yours, set it to the kind of TLS of this port"
            }
            Self::Version => {
                "the peer is too old for [tls] level, or for TLS 1.2: renew it, or allow more in [tls] level"
            }
            Self::Parameters => {
                "the peer has no cipher suite, group or signature of ours: renew it, or allow more in [tls] level"
            }
            Self::Protocol => {
                "the peer asked for another protocol than SMTP: it has the wrong port, or somebody led it here"
            }
            Self::CertificateRefused => {
                "the peer does not trust the certificate: see that [tls] certificates has the whole chain and the name it asks for"
            }
            Self::PeerCertificate => {
                "the peer needs a certificate in force, for client authentication, from an authority in [tls] client_authorities"
            }
            Self::TimedOut => {
                "the way to the peer is slow, or the peer is: raise [timeouts] tls_handshake if it is a client of yours"
            }
            Self::Broken => "the peer went away: its own log says why",
            Self::Other => "the text says what went wrong",
        }
    }
}

names! {
    /// Which report was sent (RFC 3464).
    DsnKind {
        /// A failure.
        Failed = "failed",
        /// A delay.
        Delayed = "delayed",
        /// A success: the message is in the mailbox.
        Delivered = "delivered",
        /// A success, as far as can be told: the message is with a host that makes no reports.
        Relayed = "relayed",
    }
}

names! {
    /// How a reload of the configuration ended.
    ReloadResult {
        /// The new configuration is in force.
        Ok = "ok",
        /// The old configuration stays in force.
        Failed = "failed",
    }
}

names! {
    /// What a delivery in the queue is doing.
    QueueState {
        /// Its next attempt is due.
        Due = "due",
        /// Its next attempt has a time, or it rests with its lane or under a pause.
        Waiting = "waiting",
        /// An attempt is under way.
        InFlight = "in_flight",
        /// Somebody has to release it.
        Held = "held",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByService {
    pub service: Service,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByCommand {
    pub verb: Verb,
    pub class: Class,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByReject {
    pub stage: Stage,
    pub code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByProxyRefusal {
    pub reason: ProxyRefusal,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByExcess {
    pub limit: ExcessLimit,
    pub held: YesNo,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByDelivery {
    pub result: AttemptResult,
    pub class: DeliveryClass,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByClass {
    pub class: DeliveryClass,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByTls {
    pub dir: Direction,
    pub version: TlsVersion,
    pub cipher: Cipher,
    pub key_exchange: KeyExchange,
    pub verified: YesNo,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByTlsFailure {
    pub dir: Direction,
    pub reason: TlsFailure,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByKind {
    pub kind: DsnKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByReload {
    pub result: ReloadResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByState {
    pub state: QueueState,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByCertificate {
    pub certificate: String,
}

/// A boolean label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct YesNo(pub bool);

impl EncodeLabelValue for YesNo {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(if self.0 { "yes" } else { "no" })
    }
}
