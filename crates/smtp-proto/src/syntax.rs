//! The grammar: one function per rule of RFC 5321 §4.1.2, §4.1.3 and §4.2, named after it; and those of the
//! extensions.
//!
//! A rule that has begun and cannot be completed fails for good (`nom::Err::Failure`), with the reason and the place: that is what the reply
//! tells. `nom::Err::Error` is for "not this alternative".

pub(crate) mod address;
pub(crate) mod auth;
pub(crate) mod base64;
pub(crate) mod command;
pub(crate) mod extension;
pub(crate) mod parameter;
pub(crate) mod reply;
pub(crate) mod timestamp;
pub(crate) mod xclient;
pub(crate) mod xtext;

use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Parser};

use crate::error::{SyntaxError, SyntaxReason};

/// What is left of the input, and what the rule made of the front of it.
pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Failure>;

/// Why a rule did not match, and how many octets were left there: from that follows the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    left: usize,
    reason: SyntaxReason,
    in_reverse_path: bool,
}

impl Failure {
    fn new(input: &[u8], reason: SyntaxReason) -> Self {
        Self { left: input.len(), reason, in_reverse_path: false }
    }

    fn of_reverse_path(self) -> Self {
        Self { in_reverse_path: true, ..self }
    }

    fn into_error(self, input: &[u8]) -> SyntaxError {
        SyntaxError::new(input.len() - self.left, self.reason).in_reverse_path(self.in_reverse_path)
    }
}

impl ParseError<&[u8]> for Failure {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self::new(input, SyntaxReason::Argument)
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Fails for good at `input`.
pub(crate) fn fail<T>(input: &[u8], reason: SyntaxReason) -> Parsed<'_, T> {
    Err(nom::Err::Failure(Failure::new(input, reason)))
}

/// The rule must match here; if not, `reason` is why.
pub(crate) fn must<'a, T>(
    mut rule: impl Parser<&'a [u8], Output = T, Error = Failure>,
    reason: SyntaxReason,
) -> impl FnMut(&'a [u8]) -> Parsed<'a, T> {
    move |input| match rule.parse(input) {
        Err(nom::Err::Error(_) | nom::Err::Incomplete(_)) => fail(input, reason),
        other => other,
    }
}

/// A word in capitals; nothing of it where it is longer than the longest that is known.
fn capitals_of<'a, const OCTETS: usize>(word: &[u8], room: &'a mut [u8; OCTETS]) -> &'a [u8] {
    let Some(capitals) = room.get_mut(..word.len()) else { return b"" };
    capitals.copy_from_slice(word);
    capitals.make_ascii_uppercase();
    capitals
}

/// Applies a rule to all of `input`.
pub(crate) fn whole<'a, T>(input: &'a [u8], mut rule: impl FnMut(&'a [u8]) -> Parsed<'a, T>) -> Result<T, SyntaxError> {
    match rule(input) {
        Ok((b"", value)) => Ok(value),
        Ok((rest, _)) => Err(Failure::new(rest, SyntaxReason::EndExpected).into_error(input)),
        Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) => Err(failure.into_error(input)),
        // Only the streaming parsers of nom say that, and none is used.
        Err(nom::Err::Incomplete(_)) => Err(SyntaxError::new(0, SyntaxReason::Argument)),
    }
}
