//! What a rule says.

use smtp_proto::Reply;

/// What a rule says: go on, with what it found out, or this reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict<T = ()> {
    /// It may pass.
    Accept(T),
    /// It may not: the reply that says so, 4yz or 5yz.
    Refuse(Reply),
}

impl<T> Verdict<T> {
    /// As a `Result`, for `?`.
    pub fn into_result(self) -> Result<T, Reply> {
        match self {
            Self::Accept(found) => Ok(found),
            Self::Refuse(reply) => Err(reply),
        }
    }

    /// The reply, if it is a refusal.
    pub fn refusal(&self) -> Option<&Reply> {
        match self {
            Self::Accept(_) => None,
            Self::Refuse(reply) => Some(reply),
        }
    }
}
