//! The parameters of MAIL and RCPT (RFC 5321 §4.1.1.11).

use std::fmt;
use std::str::FromStr;

use crate::error::{SyntaxError, SyntaxReason};
use crate::path::Mailbox;
use crate::syntax::parameter::value;
use crate::syntax::xtext;

mod dsn;
mod hold;

pub use dsn::{EnvelopeId, Notify, OriginalRecipient, Ret};
pub use hold::{Hold, HoldInterval, Timestamp};

/// The parameters of a MAIL command. Without any of them nothing is allocated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct MailParameters {
    /// `SIZE=`: the octets of the content as the client counts or estimates them (RFC 1870 §6).
    pub size: Option<u64>,
    /// `BODY=`: which octets are in the content (RFC 6152 §2, RFC 3030 §3).
    pub body: Option<BodyType>,
    /// `SMTPUTF8`: addresses or header fields are, or may be, in UTF-8 (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `REQUIRETLS`: the message goes only where TLS protects it, at each hop (RFC 8689 §2).
    pub require_tls: bool,
    /// `RET=`: how much of the message a report of failure brings back (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`: what the sender calls the transaction, for reports (RFC 3461 §4.4).
    pub envelope_id: Option<EnvelopeId>,
    /// `AUTH=`: who submitted the message first, as the client says (RFC 4954 §5).
    pub auth: Option<AuthIdentity>,
    /// `HOLDFOR=` or `HOLDUNTIL=`: not to be released before (RFC 4865 §3).
    pub hold: Option<Hold>,
    /// `BY=`: how long delivery may take (RFC 2852 §4).
    pub deliver_by: Option<DeliverBy>,
    /// `MT-PRIORITY=` (RFC 6710 §3).
    pub priority: Option<Priority>,
}

impl fmt::Display for MailParameters {
    /// Each parameter behind a space, as they follow the reverse-path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(f, "SIZE", self.size.as_ref())?;
        write_value(f, "BODY", self.body.as_ref())?;
        write_flag(f, "SMTPUTF8", self.smtputf8)?;
        write_flag(f, "REQUIRETLS", self.require_tls)?;
        write_value(f, "RET", self.ret.as_ref())?;
        write_value(f, "ENVID", self.envelope_id.as_ref())?;
        write_value(f, "AUTH", self.auth.as_ref())?;
        match &self.hold {
            Some(Hold::For(interval)) => write_value(f, "HOLDFOR", Some(interval))?,
            Some(Hold::Until(timestamp)) => write_value(f, "HOLDUNTIL", Some(timestamp))?,
            None => {}
        }
        write_value(f, "BY", self.deliver_by.as_ref())?;
        write_value(f, "MT-PRIORITY", self.priority.as_ref())
    }
}

/// The parameters of a RCPT command. Without any of them nothing is allocated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct RcptParameters {
    /// `NOTIFY=`: of what the sender wants reports (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=`: the address that the sender gave (RFC 3461 §4.2).
    pub original_recipient: Option<OriginalRecipient>,
}

impl RcptParameters {
    /// Whether all octets are ASCII, so that SMTPUTF8 is not needed for them.
    pub fn is_ascii(&self) -> bool {
        self.original_recipient.as_ref().is_none_or(OriginalRecipient::is_ascii)
    }
}

impl fmt::Display for RcptParameters {
    /// Each parameter behind a space, as they follow the forward-path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(f, "NOTIFY", self.notify.as_ref())?;
        write_value(f, "ORCPT", self.original_recipient.as_ref())
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, keyword: &str, value: Option<&impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {keyword}={value}"),
        None => Ok(()),
    }
}

fn write_flag(f: &mut fmt::Formatter<'_>, keyword: &str, present: bool) -> fmt::Result {
    if present { write!(f, " {keyword}") } else { Ok(()) }
}

/// The value of `BODY=` (RFC 6152 §2, RFC 3030 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyType {
    /// `7BIT`: only octets up to 127.
    SevenBit,
    /// `8BITMIME`: lines of any octets.
    EightBitMime,
    /// `BINARYMIME`: any octets, and no lines that CRLF alone would end. Sent by BDAT only.
    BinaryMime,
}

impl BodyType {
    /// The value as it stands in the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

impl fmt::Display for BodyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The value of `AUTH=`: who submitted the message first (RFC 4954 §5). The client's word: trust is the receiver's to give.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuthIdentity {
    /// `<>`: not known, or not to be told.
    Unknown,
    /// The submitter's mailbox; xtext in the command.
    Mailbox(Box<Mailbox>),
}

impl fmt::Display for AuthIdentity {
    /// The value as it stands in the command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("<>"),
            Self::Mailbox(mailbox) => xtext::encode(mailbox.to_string().as_bytes(), f),
        }
    }
}

/// The value of `BY=`: within which time the message is to be delivered, and what is to be done if it is not (RFC 2852 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    seconds: i32,
    mode: DeliverByMode,
    trace: bool,
}

/// What is to be done when the time of [`DeliverBy`] is over (RFC 2852 §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliverByMode {
    /// `N`: the sender is told, and delivery is tried further.
    Notify,
    /// `R`: the message is returned as undeliverable, with 5.4.7.
    Return,
}

impl DeliverBy {
    /// The greatest number of seconds, either way.
    pub const SECONDS_MAX: i64 = 999_999_999;

    /// Delivery within `seconds` from now; negative where the time is over. With `trace`, each relay reports itself to the sender.
    ///
    /// # Errors
    ///
    /// [`SyntaxReason::ParameterValue`] where it is over [`SECONDS_MAX`](Self::SECONDS_MAX) either way, or not positive with
    /// [`DeliverByMode::Return`].
    pub fn new(seconds: i64, mode: DeliverByMode, trace: bool) -> Result<Self, SyntaxError> {
        let least = match mode {
            DeliverByMode::Notify => -Self::SECONDS_MAX,
            DeliverByMode::Return => 1,
        };
        match i32::try_from(seconds) {
            Ok(seconds_small) if (least..=Self::SECONDS_MAX).contains(&seconds) => {
                Ok(Self { seconds: seconds_small, mode, trace })
            }
            _ => Err(SyntaxError::new(0, SyntaxReason::ParameterValue)),
        }
    }

    /// The seconds that were left when the command was sent: who relays counts down.
    pub fn seconds(self) -> i64 {
        self.seconds.into()
    }

    /// What is to be done when they are over.
    pub const fn mode(self) -> DeliverByMode {
        self.mode
    }

    /// `T`: whether each relay is to report itself.
    pub const fn trace(self) -> bool {
        self.trace
    }
}

impl fmt::Display for DeliverBy {
    /// The value as it stands in the command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            DeliverByMode::Notify => "N",
            DeliverByMode::Return => "R",
        };
        write!(f, "{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

/// The value of `MT-PRIORITY=`: -9 to 9, the greater the more urgent, 0 where nothing is said (RFC 6710 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(i8);

impl Priority {
    /// The priority, unless it is below -9 or above 9.
    pub const fn new(value: i8) -> Option<Self> {
        match value {
            -9..=9 => Some(Self(value)),
            _ => None,
        }
    }

    /// -9 to 9.
    pub const fn value(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Reads the value as it stands in the command.
macro_rules! from_value {
    ($($type:ty: $rule:path),* $(,)?) => {
        $(impl FromStr for $type {
            type Err = SyntaxError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $rule(text.as_bytes()).map_err(|reason| SyntaxError::new(0, reason))
            }
        })*
    };
}

from_value! {
    BodyType: value::body,
    Ret: value::ret,
    Notify: value::notify,
    AuthIdentity: value::auth,
    DeliverBy: value::deliver_by,
    HoldInterval: value::hold_interval,
    Priority: value::priority,
}
