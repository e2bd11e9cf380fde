//! The AUTH command (RFC 4954 §8).

use super::{Parsed, fail};
use crate::auth::{Mechanism, Secret};
use crate::command::Command;
use crate::error::SyntaxReason;
use crate::limits::MECHANISM_OCTETS;

/// `auth-command = "AUTH" SP sasl-mech [SP initial-response]`, where `initial-response = base64 / "="`
pub(crate) fn auth_arguments(input: &[u8]) -> Parsed<'_, Command> {
    let [b' ', arguments @ ..] = input else { return fail(input, SyntaxReason::ArgumentMissing) };
    let (rest, mechanism) = sasl_mech(arguments)?;
    let (rest, initial) = match rest {
        [] => (rest, None),
        [b' ', response @ ..] => initial_response(response).map(|(rest, secret)| (rest, Some(secret)))?,
        _ => return fail(rest, SyntaxReason::Mechanism),
    };
    Ok((rest, Command::Auth { mechanism, initial }))
}

/// `sasl-mech = 1*20mech-char`, where `mech-char = %x41-5A / DIGIT / "-" / "_"` (RFC 4422 §3.1), in any case
pub(crate) fn sasl_mech(input: &[u8]) -> Parsed<'_, Mechanism> {
    let is_mech_char = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let (name, rest) = input.split_at(input.iter().position(|octet| !is_mech_char(octet)).unwrap_or(input.len()));
    match name.len() {
        1..=MECHANISM_OCTETS => Ok((rest, Mechanism::from_parsed(name))),
        _ => fail(input, SyntaxReason::Mechanism),
    }
}

/// An empty response is a lone `=`: nothing at all would be no response.
fn initial_response(input: &[u8]) -> Parsed<'_, Secret> {
    if let Some(space) = input.iter().position(|&octet| octet == b' ') {
        return fail(&input[space..], SyntaxReason::ArgumentUnexpected);
    }
    if input == b"=" {
        return Ok((b"", Secret::default()));
    }
    match Secret::from_base64(input) {
        Ok(response) if !response.is_empty() => Ok((b"", response)),
        Ok(_) => fail(input, SyntaxReason::Base64),
        Err(error) => fail(&input[error.offset..], SyntaxReason::Base64),
    }
}
