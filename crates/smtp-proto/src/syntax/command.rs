//! Command lines (RFC 5321 §4.1.1, RFC 3207 §4, RFC 4954 §4, RFC 3030 §2, RFC 2033 §4.1, RFC 1985 §5; XCLIENT).

use nom::Parser;
use nom::bytes::complete::{tag_no_case, take_while1};
use nom::sequence::{pair, preceded};

use super::address::{domain, domain_name, forward_path, reverse_path, text};
use super::auth::auth_arguments;
use super::parameter::{mail_parameters, rcpt_parameters};
use super::xclient::xclient_arguments;
use super::{Parsed, capitals_of, fail, must, whole};
use crate::command::{Argument, Command, Hello, HelloKind, HelloName, Mail, Rcpt};
use crate::domain::Domain;
use crate::error::SyntaxReason;
use crate::limits::DOMAIN_OCTETS;

/// The line without white space at its end: RFC 5321 §4.1.1 asks receivers to tolerate it.
pub(crate) fn without_trailing_space(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |last| last + 1);
    &line[..end]
}

/// `MAIL FROM: <` or `RCPT TO: <` without the space, where the line begins so.
pub(crate) fn without_space_before_path(line: &[u8]) -> Option<Vec<u8>> {
    let starts = [&b"MAIL FROM:"[..], b"RCPT TO:"];
    let begins = |start: &&[u8]| line.get(..start.len()).is_some_and(|octets| octets.eq_ignore_ascii_case(start));
    let start = starts.into_iter().find(begins)?;
    let path = line[start.len()..].strip_prefix(b" ")?;
    path.starts_with(b"<").then(|| [start, path].concat())
}

/// No verb that is known is longer.
const VERB_OCTETS: usize = 8;

/// Any of the commands, by its verb.
pub(crate) fn command(input: &[u8]) -> Parsed<'_, Command> {
    let (verb, arguments) = input.split_at(input.iter().position(|&octet| octet == b' ').unwrap_or(input.len()));
    let mut capitals = [0; VERB_OCTETS];
    match capitals_of(verb, &mut capitals) {
        b"MAIL" => mail_arguments.map(Command::Mail).parse(arguments),
        b"RCPT" => rcpt_arguments.map(Command::Rcpt).parse(arguments),
        b"BDAT" => bdat_arguments(arguments),
        b"DATA" => alone(Command::Data)(arguments),
        b"EHLO" => hello(HelloKind::Ehlo)(arguments),
        b"HELO" => hello(HelloKind::Helo)(arguments),
        b"LHLO" => hello(HelloKind::Lhlo)(arguments),
        b"RSET" => alone(Command::Rset)(arguments),
        b"QUIT" => alone(Command::Quit)(arguments),
        b"AUTH" => auth_arguments(arguments),
        b"ETRN" => argument.map(Command::Etrn).parse(arguments),
        b"STARTTLS" => alone(Command::StartTls)(arguments),
        b"NOOP" => optional_argument.map(|_| Command::Noop).parse(arguments),
        b"HELP" => optional_argument.map(Command::Help).parse(arguments),
        b"VRFY" => argument.map(Command::Vrfy).parse(arguments),
        b"EXPN" => argument.map(Command::Expn).parse(arguments),
        b"XCLIENT" => xclient_arguments(arguments),
        other => fail(input, unknown(other)),
    }
}

/// A verb that is none of the commands above.
fn unknown(verb: &[u8]) -> SyntaxReason {
    match verb {
        b"BURL" | b"ATRN" | b"TURN" | b"SEND" | b"SOML" | b"SAML" => SyntaxReason::CommandNotImplemented,
        b"GET" | b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"CONNECT" | b"OPTIONS" | b"TRACE" | b"PATCH" => {
            SyntaxReason::HttpRequest
        }
        _ => SyntaxReason::UnknownCommand,
    }
}

/// `mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF`
pub(crate) fn mail_command(input: &[u8]) -> Parsed<'_, Mail> {
    preceded(must(tag_no_case("MAIL"), SyntaxReason::UnknownCommand), mail_arguments).parse(input)
}

fn mail_arguments(input: &[u8]) -> Parsed<'_, Mail> {
    preceded(must(tag_no_case(" FROM:"), SyntaxReason::FromExpected), pair(reverse_path, mail_parameters))
        .map(|(reverse_path, parameters)| Mail { reverse_path, parameters })
        .parse(input)
}

/// `rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters] CRLF`
pub(crate) fn rcpt_command(input: &[u8]) -> Parsed<'_, Rcpt> {
    preceded(must(tag_no_case("RCPT"), SyntaxReason::UnknownCommand), rcpt_arguments).parse(input)
}

fn rcpt_arguments(input: &[u8]) -> Parsed<'_, Rcpt> {
    preceded(must(tag_no_case(" TO:"), SyntaxReason::ToExpected), pair(forward_path, rcpt_parameters))
        .map(|(forward_path, parameters)| Rcpt { forward_path, parameters })
        .parse(input)
}

/// `ehlo = "EHLO" SP ( Domain / address-literal ) CRLF`, and the like
fn hello<'a>(kind: HelloKind) -> impl FnMut(&'a [u8]) -> Parsed<'a, Command> {
    move |input| match input {
        [] => fail(input, SyntaxReason::ArgumentMissing),
        [_, name @ ..] => {
            let (rest, name) = hello_name(name)?;
            match rest {
                [b' ', ..] => fail(rest, SyntaxReason::ArgumentUnexpected),
                [_, ..] => fail(rest, SyntaxReason::HelloName),
                [] => Ok((rest, Command::Hello(Hello { kind, name }))),
            }
        }
    }
}

/// Printable ASCII without space: see [`HelloName`].
pub(crate) fn hello_name(input: &[u8]) -> Parsed<'_, HelloName> {
    let (rest, octets) = must(take_while1(|octet| matches!(octet, 33..=126)), SyntaxReason::HelloName)(input)?;
    let Some(name) = text(octets).filter(|name| name.len() <= DOMAIN_OCTETS) else {
        return fail(input, SyntaxReason::HelloName);
    };
    let domain = match octets.strip_suffix(b".") {
        Some(fully_qualified) => whole(fully_qualified, domain_name).map(Domain::Name),
        None => whole(octets, domain),
    };
    Ok((rest, HelloName::from_parsed(name, domain.ok())))
}

/// `bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CRLF`, where `chunk-size = 1*DIGIT` and `end-marker = "LAST"`
///
/// A size that is not read exactly would leave the octets behind it to be taken for commands: there is no saturation here.
fn bdat_arguments(input: &[u8]) -> Parsed<'_, Command> {
    let [b' ', arguments @ ..] = input else { return fail(input, SyntaxReason::ChunkSize) };
    let digits = arguments.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(arguments.len());
    let (size, marker) = arguments.split_at(digits);
    let Some(octets) = text(size).and_then(|digits| digits.parse().ok()) else {
        return fail(arguments, SyntaxReason::ChunkSize);
    };
    match marker {
        [] => Ok((marker, Command::Bdat { octets, last: false })),
        [b' ', last @ ..] if last.eq_ignore_ascii_case(b"LAST") => Ok((b"", Command::Bdat { octets, last: true })),
        [b' ', other @ ..] => fail(other, SyntaxReason::EndMarker),
        _ => fail(marker, SyntaxReason::ChunkSize),
    }
}

/// A command that takes no argument.
fn alone<'a>(command: Command) -> impl FnMut(&'a [u8]) -> Parsed<'a, Command> {
    move |input| match input {
        [] => Ok((input, command.clone())),
        _ => fail(input, SyntaxReason::ArgumentUnexpected),
    }
}

fn optional_argument(input: &[u8]) -> Parsed<'_, Option<Argument>> {
    match input {
        [] => Ok((input, None)),
        _ => argument.map(Some).parse(input),
    }
}

/// `SP String`, read leniently.
fn argument(input: &[u8]) -> Parsed<'_, Argument> {
    match input {
        [_, octets @ ..] => argument_text(octets),
        [] => fail(input, SyntaxReason::ArgumentMissing),
    }
}

/// Any text without control characters.
pub(crate) fn argument_text(input: &[u8]) -> Parsed<'_, Argument> {
    match text(input) {
        Some(text) if !input.iter().any(u8::is_ascii_control) => Ok((b"", Argument::from_parsed(text))),
        _ => fail(input, SyntaxReason::Argument),
    }
}

#[cfg(test)]
mod tests;
