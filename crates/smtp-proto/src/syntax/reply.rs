//! Reply lines (RFC 5321 §4.2) and enhanced status codes in them (RFC 3463 §2, RFC 2034 §4).

use nom::Parser;
use nom::bytes::complete::{tag, take_while_m_n};
use nom::combinator::map_opt;

use super::Parsed;
use super::parameter::decimal;
use crate::reply::ReplyCode;
use crate::status::EnhancedStatus;

/// One line of a reply, without its line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyLine<'a> {
    pub(crate) code: ReplyCode,
    /// Whether a space, or nothing, follows the code; behind a hyphen more lines come.
    pub(crate) last: bool,
    pub(crate) text: &'a [u8],
}

/// `Reply-code "-" [ textstring ]`, or `Reply-code [ SP textstring ]`, with any octets as the text.
pub(crate) fn reply_line(input: &[u8]) -> Parsed<'_, ReplyLine<'_>> {
    let (after, code) = reply_code(input)?;
    let (last, text) = match after {
        [] => (true, after),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return super::fail(after, crate::error::SyntaxReason::EndExpected),
    };
    Ok((b"", ReplyLine { code, last, text }))
}

/// `Reply-code = %x32-35 %x30-35 %x30-39`. Any second digit is taken: unknown codes go by their first (RFC 5321 §4.3.2).
fn reply_code(input: &[u8]) -> Parsed<'_, ReplyCode> {
    map_opt(digits(3, 3), ReplyCode::from_number).parse(input)
}

/// `status-code = class "." subject "." detail`
pub(crate) fn status_code(input: &[u8]) -> Parsed<'_, EnhancedStatus> {
    map_opt((digits(1, 1), tag("."), digits(1, 3), tag("."), digits(1, 3)), |(class, _, subject, _, detail)| {
        EnhancedStatus::from_parts(u8::try_from(class).ok()?, subject, detail)
    })
    .parse(input)
}

/// The enhanced status code that a reply's text begins with: a space, or nothing, follows it.
pub(crate) fn leading_status(text: &[u8]) -> Option<(EnhancedStatus, &[u8])> {
    match status_code(text) {
        Ok((after @ [] | [b' ', after @ ..], status)) => Some((status, after)),
        _ => None,
    }
}

fn digits<'a>(least: usize, most: usize) -> impl Parser<&'a [u8], Output = u16, Error = super::Failure> {
    map_opt(take_while_m_n(least, most, |octet: u8| octet.is_ascii_digit()), |digits: &[u8]| {
        u16::try_from(decimal(digits)).ok()
    })
}
