//! The arguments of XCLIENT (<https://www.postfix.org/XCLIENT_README.html>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::text;
use super::parameter::{EsmtpParam, each_parameter, is_digits, put_once};
use super::{Parsed, fail, xtext};
use crate::command::{Argument, Command, HelloName};
use crate::error::SyntaxReason;
use crate::xclient::{
    TEMPORARILY_UNAVAILABLE, Told, UNAVAILABLE, XClient, XClientAttribute, XClientName, XClientProtocol,
};

const MALFORMED: SyntaxReason = SyntaxReason::ParameterValue;

/// `xclient-command = "XCLIENT" 1*( SP attribute-name "=" attribute-value )`, where `attribute-value = xtext`
pub(crate) fn xclient_arguments(input: &[u8]) -> Parsed<'_, Command> {
    if input.is_empty() {
        return fail(input, SyntaxReason::ArgumentMissing);
    }
    let mut xclient = XClient::default();
    let rest = each_parameter(input, |param| put_attribute(&mut xclient, param))?;
    Ok((rest, Command::XClient(Box::new(xclient))))
}

fn put_attribute(xclient: &mut XClient, param: &EsmtpParam<'_>) -> Result<(), SyntaxReason> {
    use XClientAttribute as A;
    let attribute = A::named(param.keyword).ok_or(SyntaxReason::Attribute)?;
    let value = Some(param.value()?).filter(|value| xtext::is_xtext(value)).map(xtext::decode).ok_or(MALFORMED)?;
    match attribute {
        A::Name => put_once(&mut xclient.name, name(&value)?),
        A::Address => put_once(&mut xclient.address, told(&value, address)?),
        A::Port => put_once(&mut xclient.port, told(&value, port)?),
        A::Protocol => put_once(&mut xclient.protocol, protocol(&value)?),
        A::Hello => put_once(&mut xclient.hello, told(&value, host_name)?),
        A::Login => put_once(&mut xclient.login, told(&value, login)?),
        A::DestinationAddress => put_once(&mut xclient.destination_address, told(&value, address)?),
        A::DestinationPort => put_once(&mut xclient.destination_port, told(&value, port)?),
    }
}

/// `"[UNAVAILABLE]"`, in any case, or what is known.
fn told<T>(value: &[u8], known: impl FnOnce(&[u8]) -> Option<T>) -> Result<Told<T>, SyntaxReason> {
    if value.eq_ignore_ascii_case(UNAVAILABLE.as_bytes()) {
        return Ok(Told::Unavailable);
    }
    known(value).map(Told::Known).ok_or(MALFORMED)
}

/// A host name, `"[UNAVAILABLE]"` or `"[TEMPUNAVAIL]"`
fn name(value: &[u8]) -> Result<XClientName, SyntaxReason> {
    if value.eq_ignore_ascii_case(TEMPORARILY_UNAVAILABLE.as_bytes()) {
        return Ok(XClientName::TemporarilyUnavailable);
    }
    told(value, host_name).map(|told| told.known().map_or(XClientName::Unavailable, XClientName::Known))
}

/// A host name of up to 255 octets, read as leniently as that of EHLO.
fn host_name(value: &[u8]) -> Option<HelloName> {
    HelloName::parse(value).ok()
}

/// A numerical IPv4 address, or one of IPv6 behind `IPV6:`, in any case. There are no brackets.
fn address(value: &[u8]) -> Option<IpAddr> {
    match value.split_at_checked(b"IPV6:".len()) {
        Some((prefix, number)) if prefix.eq_ignore_ascii_case(b"IPV6:") => {
            text(number)?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => text(value)?.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// A decimal number below 2^16.
fn port(value: &[u8]) -> Option<u16> {
    text(value).filter(|digits| is_digits(digits.as_bytes(), 5))?.parse().ok()
}

fn protocol(value: &[u8]) -> Result<XClientProtocol, SyntaxReason> {
    XClientProtocol::ALL
        .into_iter()
        .find(|protocol| value.eq_ignore_ascii_case(protocol.as_str().as_bytes()))
        .ok_or(MALFORMED)
}

/// A name to log in with: text without control characters.
fn login(value: &[u8]) -> Option<Argument> {
    text(value)?.parse().ok()
}

#[cfg(test)]
mod tests;
