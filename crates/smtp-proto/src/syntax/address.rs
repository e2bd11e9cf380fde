//! Paths, mailboxes, domains (RFC 5321 §4.1.2, §4.1.3, with the UTF-8 of RFC 6531 §3.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while, take_while_m_n, take_while1};
use nom::combinator::{opt, recognize, value};
use nom::multi::many0_count;
use nom::sequence::{delimited, preceded, terminated};

use super::{Failure, Parsed, fail, must};
use crate::domain::{AddressLiteral, Domain, DomainName};
use crate::error::SyntaxReason;
use crate::limits::{DOMAIN_OCTETS, LABEL_OCTETS, LOCAL_PART_OCTETS, PATH_OCTETS};
use crate::path::{ForwardPath, LocalPart, Mailbox, ReversePath};

/// `Reverse-path = Path / "<>"`
pub(crate) fn reverse_path(input: &[u8]) -> Parsed<'_, ReversePath> {
    alt((value(ReversePath::Null, tag("<>")), path.map(ReversePath::Mailbox)))
        .parse(input)
        .map_err(|error| error.map(Failure::of_reverse_path))
}

/// `"<Postmaster>" / Forward-path`, where `Forward-path = Path`
pub(crate) fn forward_path(input: &[u8]) -> Parsed<'_, ForwardPath> {
    alt((value(ForwardPath::Postmaster, tag_no_case("<Postmaster>")), path.map(ForwardPath::Mailbox))).parse(input)
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
fn path(input: &[u8]) -> Parsed<'_, Mailbox> {
    let (rest, mailbox) = delimited(
        must(tag("<"), SyntaxReason::PathStart),
        preceded(opt(source_route), mailbox),
        must(tag(">"), SyntaxReason::PathEnd),
    )
    .parse(input)?;
    if input.len() - rest.len() > PATH_OCTETS {
        return fail(input, SyntaxReason::PathTooLong);
    }
    Ok((rest, mailbox))
}

/// `A-d-l ":"`, where `A-d-l = At-domain *( "," At-domain )`. It is dropped: RFC 5321 appendix C.
fn source_route(input: &[u8]) -> Parsed<'_, ()> {
    value((), (at_domain, many0_count(preceded(tag(","), must(at_domain, SyntaxReason::SourceRoute))), route_end))
        .parse(input)
}

fn route_end(input: &[u8]) -> Parsed<'_, &[u8]> {
    must(tag(":"), SyntaxReason::SourceRoute)(input)
}

/// `At-domain = "@" Domain`
fn at_domain(input: &[u8]) -> Parsed<'_, &str> {
    preceded(tag("@"), domain_text).parse(input)
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`
pub(crate) fn mailbox(input: &[u8]) -> Parsed<'_, Mailbox> {
    let (rest, local_part) = terminated(local_part, must(tag("@"), SyntaxReason::AtExpected)).parse(input)?;
    let (rest, domain) = domain(rest)?;
    match Mailbox::new(local_part, domain) {
        Ok(mailbox) => Ok((rest, mailbox)),
        Err(error) => fail(input, error.reason),
    }
}

/// `Local-part = Dot-string / Quoted-string`
pub(crate) fn local_part(input: &[u8]) -> Parsed<'_, LocalPart> {
    let (rest, octets) = must(alt((quoted_string, dot_string)), SyntaxReason::LocalPart)(input)?;
    if octets.len() > LOCAL_PART_OCTETS {
        return fail(input, SyntaxReason::LocalPartTooLong);
    }
    match text(octets) {
        Some(text) => Ok((rest, LocalPart::from_parsed(text))),
        None => fail(input, SyntaxReason::LocalPart),
    }
}

/// `Dot-string = Atom *("." Atom)`
fn dot_string(input: &[u8]) -> Parsed<'_, &[u8]> {
    recognize((atom, many0_count(preceded(tag("."), must(atom, SyntaxReason::LocalPart))))).parse(input)
}

/// `Atom = 1*atext`
fn atom(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while1(is_atext).parse(input)
}

/// `atext` of RFC 5322 §3.2.3, and UTF-8 of RFC 6531.
pub(super) fn is_atext(octet: u8) -> bool {
    ATEXT[usize::from(octet)]
}

static ATEXT: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < table.len() {
        // The index is an octet: it is below 256.
        #[allow(clippy::cast_possible_truncation)]
        let character = octet as u8;
        table[octet] = character.is_ascii_alphanumeric()
            || character >= 0x80
            || matches!(
                character,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'/'
                    | b'='
                    | b'?'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'{'
                    | b'|'
                    | b'}'
                    | b'~'
            );
        octet += 1;
    }
    table
};

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, where `QcontentSMTP = qtextSMTP / quoted-pairSMTP`
fn quoted_string(input: &[u8]) -> Parsed<'_, &[u8]> {
    recognize((tag("\""), many0_count(alt((qtext_smtp, quoted_pair_smtp))), must(tag("\""), SyntaxReason::LocalPart)))
        .parse(input)
}

/// `1*qtextSMTP`, where `qtextSMTP = %d32-33 / %d35-91 / %d93-126`, and UTF-8 of RFC 6531
fn qtext_smtp(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while1(|octet| matches!(octet, 32..=33 | 35..=91 | 93..=126 | 0x80..)).parse(input)
}

/// `quoted-pairSMTP = %d92 %d32-126`
fn quoted_pair_smtp(input: &[u8]) -> Parsed<'_, &[u8]> {
    let any_printable = take_while_m_n(1, 1, |octet| matches!(octet, 32..=126));
    preceded(tag("\\"), must(any_printable, SyntaxReason::LocalPart)).parse(input)
}

/// `Domain / address-literal`
pub(crate) fn domain(input: &[u8]) -> Parsed<'_, Domain> {
    if input.first() == Some(&b'[') {
        address_literal.map(Domain::Literal).parse(input)
    } else {
        domain_name.map(Domain::Name).parse(input)
    }
}

/// `Domain = sub-domain *("." sub-domain)`
pub(crate) fn domain_name(input: &[u8]) -> Parsed<'_, DomainName> {
    domain_text.map(DomainName::from_parsed).parse(input)
}

fn domain_text(input: &[u8]) -> Parsed<'_, &str> {
    let (rest, octets) = recognize((sub_domain, many0_count(preceded(tag("."), sub_domain)))).parse(input)?;
    if octets.len() > DOMAIN_OCTETS {
        return fail(input, SyntaxReason::DomainTooLong);
    }
    match text(octets) {
        Some(text) if text.is_ascii() || !text.contains(confused_with_dot_or_space) => Ok((rest, text)),
        _ => fail(input, SyntaxReason::Domain),
    }
}

/// `sub-domain = Let-dig [Ldh-str] / U-label`
fn sub_domain(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, label) = must(
        take_while1(|octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | 0x80..)),
        SyntaxReason::Domain,
    )(input)?;
    if label.first() == Some(&b'-') || label.last() == Some(&b'-') {
        return fail(input, SyntaxReason::Domain);
    }
    if label.len() > LABEL_OCTETS && characters(label) > LABEL_OCTETS {
        return fail(input, SyntaxReason::DomainTooLong);
    }
    Ok((rest, label))
}

/// A U-label is counted in characters: its octets in UTF-8 may be more than those of its A-label.
fn characters(label: &[u8]) -> usize {
    label.iter().filter(|&&octet| !matches!(octet, 0x80..=0xbf)).count()
}

/// The dots that IDNA mappings take for a full stop, and white space: a domain with one would be another domain elsewhere.
fn confused_with_dot_or_space(character: char) -> bool {
    matches!(character, '\u{3002}' | '\u{ff0e}' | '\u{ff61}') || character.is_whitespace()
}

/// `address-literal = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"`
pub(crate) fn address_literal(input: &[u8]) -> Parsed<'_, AddressLiteral> {
    let (rest, octets) = must(
        delimited(
            tag("["),
            take_while(|octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b':' | b'.')),
            tag("]"),
        ),
        SyntaxReason::AddressLiteral,
    )(input)?;
    match ip_address(octets) {
        Some(address) => Ok((rest, AddressLiteral(address))),
        None => fail(input, SyntaxReason::AddressLiteral),
    }
}

/// `Snum 3("." Snum)`, or `"IPv6:" IPv6-addr`. Numbers with leading zeros are refused: some read them as octal.
fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(octets).ok()?;
    match text.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// The octets as text, if they are UTF-8 without control characters.
pub(super) fn text(octets: &[u8]) -> Option<&str> {
    let text = str::from_utf8(octets).ok()?;
    // ASCII controls are kept out by the rules; those of UTF-8 (U+0080 to U+009F) are not.
    (text.is_ascii() || !text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests;
