//! Why a next hop could not be reached.

use std::io;
use std::time::Duration;

use smtp_io::{ConnectionError, HandshakeError};
use smtp_mail::{DeliveryResult, RemoteHost, Report, Stage};
use smtp_proto::client::CloseReason;
use smtp_proto::{EnhancedStatus, RemoteReply, ReplyClass};

use crate::login::LoginFailure;

/// No session under TLS comes about, and the message must have one (RFC 8689 §4.2.1).
pub const ENCRYPTION_NEEDED: EnhancedStatus = EnhancedStatus::new(5, 7, 10);

/// No session with a next hop came about: with which of its addresses, at which stage, and why.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {stage}: {failure}")]
pub struct ConnectError {
    /// The host, and the address that got farthest.
    pub host: RemoteHost,
    /// How far it got.
    pub stage: Stage,
    /// Why no farther.
    pub failure: ConnectFailure,
}

/// What went wrong on the way to a session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailure {
    /// There is no address to connect to.
    #[error("the host has no address")]
    NoAddress,
    /// The system could not connect.
    #[error("{0}")]
    Unreachable(#[source] io::Error),
    /// Nobody answered.
    #[error("no connection within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The host answered, and will not serve us.
    #[error("the host refused: {}", .0.escaped(Report::TEXT_OCTETS_MAX))]
    Refused(RemoteReply),
    /// TLS must be, and the host does not offer STARTTLS. It was not sent then.
    #[error("TLS is required, and the host does not offer STARTTLS")]
    NoTls,
    /// The name of the host, or the lack of authorities to trust, makes verification impossible.
    #[error("the certificate cannot be verified: {0}")]
    Unverifiable(&'static str),
    /// TLS did not come about.
    #[error("{}", handshake_text(.0))]
    Tls(#[source] HandshakeError),
    /// The host does not know who we are, and should.
    #[error("{0}")]
    Login(#[source] Box<LoginFailure>),
    /// All of it has taken too long.
    #[error("no session within {} s in all", .0.as_secs())]
    TooSlow(Duration),
    /// The connection broke.
    #[error("{}", lost_text(.0))]
    Lost(#[source] ConnectionError),
    /// The session ended.
    #[error("{0}")]
    Ended(CloseReason),
}

impl ConnectError {
    /// What this means for a delivery: a deferral always, since none of it is about the message or its recipients. A
    /// host that greets with 554 may be set right again, and a demand of ours that it does not meet is not its refusal.
    pub fn result(&self) -> DeliveryResult {
        let status = self.failure.status();
        let report = match &self.failure {
            ConnectFailure::Refused(reply)
            | ConnectFailure::Ended(CloseReason::ServiceNotAvailable(reply) | CloseReason::Unexpected(reply)) => {
                reply_report(reply.clone(), status)
            }
            ConnectFailure::Login(failure) => match failure.reply() {
                Some(reply) => reply_report(reply.clone(), status),
                None => Report::new(status, &failure.to_string()),
            },
            other => Report::new(status, &other.to_string()),
        };
        DeliveryResult::Deferred(report.with_host(&self.host.name, self.host.address).at_stage(self.stage))
    }

    /// What this means for a message that goes by TLS only (RFC 8689 §4.2.1): a failure, or a deferral where TLS may come about
    /// the next time. `None` where it never came to TLS: that is about the host, and all mail for it.
    pub fn without_tls(&self) -> Option<DeliveryResult> {
        if self.stage != Stage::Tls {
            return None;
        }
        let passes = match &self.failure {
            ConnectFailure::NoTls | ConnectFailure::Unverifiable(_) => false,
            // A connection can break at any time, and says nothing of the host's TLS.
            ConnectFailure::Tls(error) => error.tls_error().is_none(),
            ConnectFailure::Refused(reply) => reply.class() == ReplyClass::Transient,
            _ => true,
        };
        let result = self.result();
        if passes {
            return Some(result);
        }
        let mut report = result.report().clone();
        report.status = ENCRYPTION_NEEDED;
        Some(DeliveryResult::Failed(report))
    }

    /// Of two addresses that failed, the one that says more: whichever got farther, else the later one.
    pub(crate) fn or_farther(self, later: Self) -> Self {
        if progress(self.stage) > progress(later.stage) { self } else { later }
    }
}

impl ConnectFailure {
    fn status(&self) -> EnhancedStatus {
        match self {
            Self::NoAddress => EnhancedStatus::new(4, 4, 3),
            Self::Unreachable(_) | Self::TimedOut(_) | Self::TooSlow(_) => EnhancedStatus::new(4, 4, 1),
            Self::Login(failure) => failure.status(),
            Self::NoTls => EnhancedStatus::new(4, 7, 4),
            Self::Unverifiable(_) | Self::Tls(_) => EnhancedStatus::new(4, 7, 5),
            Self::Lost(_) => EnhancedStatus::new(4, 4, 2),
            Self::Refused(reply) => transient_status(reply),
            Self::Ended(reason) => close_status(reason),
        }
    }
}

/// The status of a session that ended too early.
pub(crate) fn close_status(reason: &CloseReason) -> EnhancedStatus {
    match reason {
        CloseReason::ServiceNotAvailable(reply) => transient_status(reply),
        CloseReason::BadReply(_) | CloseReason::Unexpected(_) => EnhancedStatus::new(4, 5, 0),
        _ => EnhancedStatus::new(4, 4, 2),
    }
}

/// The status of a reply that defers, whatever its class: its own, or that the host takes no mail (RFC 3463 §3.4).
pub(crate) fn transient_status(reply: &RemoteReply) -> EnhancedStatus {
    let own = reply.status().filter(|_| reply.class() == ReplyClass::Transient);
    own.unwrap_or(EnhancedStatus::new(4, 3, 2))
}

/// A report of a reply, under a status that we give it.
pub(crate) fn reply_report(reply: RemoteReply, status: EnhancedStatus) -> Report {
    let mut report = Report::of_reply(reply);
    report.status = status;
    report
}

/// What broke a connection, with the words of the system.
pub(crate) fn lost_text(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Read(source) | ConnectionError::Write(source) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

fn handshake_text(error: &HandshakeError) -> String {
    match error {
        HandshakeError::Failed(source) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

fn progress(stage: Stage) -> u8 {
    match stage {
        Stage::Route => 0,
        Stage::Connect => 1,
        Stage::Greeting => 2,
        Stage::Hello => 3,
        _ => 4,
    }
}
