//! Which recipients in the queue an operator means.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use regex::{Regex, RegexBuilder};
use smtp_mail::{DomainPattern, IdError, MessageId, RecipientId};
use smtp_proto::{ForwardPath, Mailbox, ReversePath};

use crate::lane::Lane;
use crate::schedule::DeliveryId;

/// The recipients to which everything that is given applies; without anything, all.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// Any of these messages or recipients. An empty set means none at all.
    pub ids: Option<BTreeSet<IdSelector>>,
    /// The reverse-path.
    pub sender: Option<AddressPattern>,
    /// The forward-path, as it is now or as the client gave it.
    pub rcpt: Option<AddressPattern>,
    /// The domain of the forward-path as it is now.
    pub domain: Option<DomainPattern>,
    /// The lane.
    pub relay: Option<Lane>,
    /// Received at least so long ago.
    pub older: Option<Duration>,
    /// Received at most so long ago.
    pub younger: Option<Duration>,
    /// The size of header block and body.
    pub size: Option<SizeBound>,
    /// Found in the text of the last report.
    pub error: Option<ErrorPattern>,
    /// Held, or not held.
    pub held: Option<bool>,
    /// May leave, or is held by its sender for later (RFC 4865).
    pub released: Option<bool>,
    /// At most so many recipients, the oldest messages first. The one who walks through the queue counts.
    pub limit: Option<usize>,
}

/// What a [`Selector`] looks at: one recipient in the queue.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Which one.
    pub id: RecipientId,
    /// The reverse-path.
    pub reverse_path: &'a ReversePath,
    /// The forward-path as it is now.
    pub forward_path: &'a ForwardPath,
    /// The forward-path that the client gave, where it is another.
    pub original: Option<&'a ForwardPath>,
    /// The lane of its delivery.
    pub lane: &'a Lane,
    /// When the message was accepted.
    pub received_at: SystemTime,
    /// The size of header block and body, in octets.
    pub octets: u64,
    /// The text of the last report, where there is one.
    pub error: Option<&'a str>,
    /// Is it held?
    pub held: bool,
    /// May it leave, as far as its sender goes ([`DeliveryView::is_released`](crate::DeliveryView::is_released))?
    pub released: bool,
}

impl Selector {
    /// Is the recipient meant? The limit is not looked at.
    pub fn matches(&self, candidate: &Candidate<'_>, now: SystemTime) -> bool {
        let age = now.duration_since(candidate.received_at).unwrap_or_default();
        given(self.ids.as_ref(), |ids| named(ids, candidate.id))
            && given(self.held, |held| held == candidate.held)
            && given(self.released, |released| released == candidate.released)
            && given(self.older, |older| age >= older)
            && given(self.younger, |younger| age <= younger)
            && given(self.size, |size| size.matches(candidate.octets))
            && given(self.relay.as_ref(), |relay| relay == candidate.lane)
            && given(self.domain.as_ref(), |pattern| domain_matches(pattern, candidate.forward_path))
            && given(self.sender.as_ref(), |pattern| pattern.matches(candidate.reverse_path.mailbox()))
            && given(self.rcpt.as_ref(), |pattern| {
                pattern.matches_path(candidate.forward_path)
                    || candidate.original.is_some_and(|path| pattern.matches_path(path))
            })
            && given(self.error.as_ref(), |pattern| candidate.error.is_some_and(|text| pattern.0.is_match(text)))
    }

    /// The messages that the ids are of, in order; `None` if all messages must be looked at.
    pub fn messages(&self) -> Option<BTreeSet<MessageId>> {
        Some(self.ids.as_ref()?.iter().map(|id| id.message()).collect())
    }

    /// Does it mean everything there is?
    pub fn is_all(&self) -> bool {
        let Self { ids, sender, rcpt, domain, relay, older, younger, size, error, held, released, limit } = self;
        let ids_or_paths = ids.is_some() || sender.is_some() || rcpt.is_some() || domain.is_some() || relay.is_some();
        let bounds = older.is_some() || younger.is_some() || size.is_some() || limit.is_some();
        let states = held.is_some() || released.is_some();
        !(ids_or_paths || bounds || error.is_some() || states)
    }
}

fn named(ids: &BTreeSet<IdSelector>, id: RecipientId) -> bool {
    ids.contains(&IdSelector::Recipient(id)) || ids.contains(&IdSelector::Message(id.message))
}

fn given<T>(wanted: Option<T>, matches: impl FnOnce(T) -> bool) -> bool {
    wanted.is_none_or(matches)
}

fn domain_matches(pattern: &DomainPattern, path: &ForwardPath) -> bool {
    path.mailbox().is_some_and(|mailbox| pattern.matches(mailbox.domain()))
}

/// A message with all its recipients, `ID`, or one recipient, `ID.n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdSelector {
    /// All recipients of the message.
    Message(MessageId),
    /// One recipient.
    Recipient(RecipientId),
}

impl IdSelector {
    /// The message.
    pub fn message(self) -> MessageId {
        match self {
            Self::Message(message) | Self::Recipient(RecipientId { message, .. }) => message,
        }
    }
}

impl FromStr for IdSelector {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.contains('.') {
            return text.parse().map(Self::Recipient);
        }
        text.parse().map(Self::Message)
    }
}

impl fmt::Display for IdSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => fmt::Display::fmt(message, f),
            Self::Recipient(recipient) => fmt::Display::fmt(recipient, f),
        }
    }
}

/// `a@example.com` is that mailbox, whatever the case; `@example.com` any at that domain, `@*.example.com` any below
/// it; `<>` or nothing the null reverse-path; `postmaster` the one without a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPattern(Address);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Null,
    Postmaster,
    Mailbox(Mailbox),
    At(DomainPattern),
}

/// The text is no address, nor a pattern of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no mailbox, nor a pattern such as @example.com or <>")]
pub struct AddressPatternError {
    /// What was to be read.
    pub text: String,
}

impl AddressPattern {
    /// Is the mailbox of a reverse-path meant, or its absence?
    pub fn matches(&self, mailbox: Option<&Mailbox>) -> bool {
        match (&self.0, mailbox) {
            (Address::Null, None) => true,
            (Address::Mailbox(own), Some(mailbox)) => same_mailbox(own, mailbox),
            (Address::At(pattern), Some(mailbox)) => pattern.matches(mailbox.domain()),
            _ => false,
        }
    }

    /// Is the forward-path meant?
    pub fn matches_path(&self, path: &ForwardPath) -> bool {
        match path {
            ForwardPath::Postmaster => self.0 == Address::Postmaster,
            ForwardPath::Mailbox(mailbox) => self.matches(Some(mailbox)),
        }
    }
}

/// Without the case of local parts: two addresses of which an operator means one hardly ever differ in nothing else.
fn same_mailbox(left: &Mailbox, right: &Mailbox) -> bool {
    let local_part = |mailbox: &Mailbox| mailbox.local_part().unquoted().to_lowercase();
    left.domain() == right.domain() && local_part(left) == local_part(right)
}

impl FromStr for AddressPattern {
    type Err = AddressPatternError;

    fn from_str(text: &str) -> Result<Self, AddressPatternError> {
        let bare = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
        let error = || AddressPatternError { text: text.to_owned() };
        let address = match bare.strip_prefix('@') {
            _ if bare.is_empty() => Address::Null,
            _ if bare.eq_ignore_ascii_case("postmaster") => Address::Postmaster,
            Some(domain) => Address::At(domain.parse().map_err(|_| error())?),
            None => Address::Mailbox(bare.parse().map_err(|_| error())?),
        };
        Ok(Self(address))
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Address::Null => f.write_str("<>"),
            Address::Postmaster => f.write_str("postmaster"),
            Address::Mailbox(mailbox) => fmt::Display::fmt(mailbox, f),
            Address::At(pattern) => write!(f, "@{pattern}"),
        }
    }
}

/// A bound of the size of content, in octets; the bound itself is meant too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeBound {
    /// So many octets or more.
    AtLeast(u64),
    /// So many octets or fewer.
    AtMost(u64),
}

impl SizeBound {
    fn matches(self, octets: u64) -> bool {
        match self {
            Self::AtLeast(bound) => octets >= bound,
            Self::AtMost(bound) => octets <= bound,
        }
    }
}

/// A regular expression, looked for anywhere in the text of a report, without regard to case.
#[derive(Debug, Clone)]
pub struct ErrorPattern(Regex);

/// The text is no regular expression, or one that would take too much memory.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a regular expression")]
pub struct ErrorPatternError(#[source] regex::Error);

/// The memory that one expression may take, compiled.
const PATTERN_OCTETS_MAX: usize = 1024 * 1024;

impl FromStr for ErrorPattern {
    type Err = ErrorPatternError;

    fn from_str(text: &str) -> Result<Self, ErrorPatternError> {
        let regex = RegexBuilder::new(text).case_insensitive(true).size_limit(PATTERN_OCTETS_MAX).build();
        regex.map(Self).map_err(ErrorPatternError)
    }
}

/// A piece of a long answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Begin behind this delivery; at the oldest without it.
    pub after: Option<DeliveryId>,
    /// At most so many deliveries.
    pub at_most: usize,
}

impl Page {
    /// Everything in one piece.
    pub const ALL: Self = Self { after: None, at_most: usize::MAX };

    /// The first piece of at most so many deliveries.
    pub fn first(at_most: usize) -> Self {
        Self { after: None, at_most }
    }

    /// The piece of the same size behind the last delivery of this one.
    #[must_use]
    pub fn after(self, last: DeliveryId) -> Self {
        Self { after: Some(last), ..self }
    }

    /// Does the delivery come in this piece or a later one?
    pub fn reaches(&self, id: DeliveryId) -> bool {
        self.after.is_none_or(|after| id > after)
    }
}

#[cfg(test)]
mod tests;
