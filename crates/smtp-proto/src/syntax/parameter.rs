//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2, RFC 6531 §3.3): their common grammar, and which there are.

use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::combinator::{opt, recognize, verify};
use nom::sequence::preceded;

use super::{Failure, Parsed, capitals_of, must};
use crate::error::SyntaxReason;
use crate::parameter::{Hold, MailParameters, RcptParameters};

pub(crate) mod value;

pub(crate) use value::{envelope_id, original_recipient};

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`
pub(super) struct EsmtpParam<'a> {
    pub(super) keyword: &'a [u8],
    value: Option<&'a [u8]>,
}

/// `[SP Mail-parameters]`, where `Mail-parameters = esmtp-param *(SP esmtp-param)`
pub(crate) fn mail_parameters(input: &[u8]) -> Parsed<'_, MailParameters> {
    let mut parameters = MailParameters::default();
    let rest = each_parameter(input, |param| put_mail_parameter(&mut parameters, param))?;
    Ok((rest, parameters))
}

/// `[SP Rcpt-parameters]`, where `Rcpt-parameters = esmtp-param *(SP esmtp-param)`
pub(crate) fn rcpt_parameters(input: &[u8]) -> Parsed<'_, RcptParameters> {
    let mut parameters = RcptParameters::default();
    let rest = each_parameter(input, |param| put_rcpt_parameter(&mut parameters, param))?;
    Ok((rest, parameters))
}

/// Gives each parameter to `put`; what is left is behind the last one.
pub(super) fn each_parameter<'a>(
    input: &'a [u8],
    mut put: impl FnMut(&EsmtpParam<'a>) -> Result<(), SyntaxReason>,
) -> Result<&'a [u8], nom::Err<Failure>> {
    let mut rest = input;
    while let [b' ', param @ ..] = rest {
        let (after, parsed) = esmtp_param(param)?;
        put(&parsed).map_err(|reason| nom::Err::Failure(Failure::new(param, reason)))?;
        rest = after;
    }
    Ok(rest)
}

fn put_mail_parameter(parameters: &mut MailParameters, param: &EsmtpParam<'_>) -> Result<(), SyntaxReason> {
    let mut capitals = [0; KEYWORD_OCTETS];
    match capitals_of(param.keyword, &mut capitals) {
        b"SIZE" => put_once(&mut parameters.size, value::size(param.value()?)?),
        b"BODY" => put_once(&mut parameters.body, value::body(param.value()?)?),
        b"SMTPUTF8" => param.set_flag(&mut parameters.smtputf8),
        b"REQUIRETLS" => param.set_flag(&mut parameters.require_tls),
        b"RET" => put_once(&mut parameters.ret, value::ret(param.value()?)?),
        b"ENVID" => put_once(&mut parameters.envelope_id, value::whole(param.value()?, envelope_id)?),
        b"AUTH" => put_once(&mut parameters.auth, value::auth(param.value()?)?),
        b"HOLDFOR" => put_once(&mut parameters.hold, Hold::For(value::hold_interval(param.value()?)?)),
        b"HOLDUNTIL" => {
            let until = value::whole(param.value()?, super::timestamp::date_time_utc)?;
            put_once(&mut parameters.hold, Hold::Until(until))
        }
        b"BY" => put_once(&mut parameters.deliver_by, value::deliver_by(param.value()?)?),
        b"MT-PRIORITY" => put_once(&mut parameters.priority, value::priority(param.value()?)?),
        _ => Err(SyntaxReason::ParameterUnknown),
    }
}

fn put_rcpt_parameter(parameters: &mut RcptParameters, param: &EsmtpParam<'_>) -> Result<(), SyntaxReason> {
    let mut capitals = [0; KEYWORD_OCTETS];
    match capitals_of(param.keyword, &mut capitals) {
        b"NOTIFY" => put_once(&mut parameters.notify, value::notify(param.value()?)?),
        b"ORCPT" => put_once(&mut parameters.original_recipient, value::whole(param.value()?, original_recipient)?),
        _ => Err(SyntaxReason::ParameterUnknown),
    }
}

/// No keyword that is known is longer.
const KEYWORD_OCTETS: usize = 11;

pub(super) fn put_once<T>(place: &mut Option<T>, value: T) -> Result<(), SyntaxReason> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SyntaxReason::ParameterRepeated),
    }
}

impl<'a> EsmtpParam<'a> {
    /// The value of a parameter that must have one.
    pub(super) fn value(&self) -> Result<&'a [u8], SyntaxReason> {
        self.value.ok_or(SyntaxReason::ParameterValue)
    }

    /// Takes a parameter that may have no value.
    fn set_flag(&self, flag: &mut bool) -> Result<(), SyntaxReason> {
        match (self.value, std::mem::replace(flag, true)) {
            (Some(_), _) => Err(SyntaxReason::ParameterValue),
            (None, true) => Err(SyntaxReason::ParameterRepeated),
            (None, false) => Ok(()),
        }
    }
}

/// `1*DIGIT`, of at most so many.
pub(super) fn is_digits(octets: &[u8], most: usize) -> bool {
    (1..=most).contains(&octets.len()) && octets.iter().all(u8::is_ascii_digit)
}

/// `%x31-39 *DIGIT`, of at most so many digits, below 2^32.
pub(super) fn whole_number(digits: &[u8], most: usize) -> Option<u32> {
    let is_number = digits.first() != Some(&b'0') && is_digits(digits, most);
    if is_number { u32::try_from(decimal(digits)).ok() } else { None }
}

/// The number that the digits are, or the greatest there is.
pub(super) fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

fn esmtp_param(input: &[u8]) -> Parsed<'_, EsmtpParam<'_>> {
    (
        must(esmtp_keyword, SyntaxReason::Parameter),
        opt(preceded(tag("="), must(esmtp_value, SyntaxReason::ParameterValue))),
    )
        .map(|(keyword, value)| EsmtpParam { keyword, value })
        .parse(input)
}

/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`
fn esmtp_keyword(input: &[u8]) -> Parsed<'_, &[u8]> {
    verify(recognize(take_while1(|octet: u8| octet.is_ascii_alphanumeric() || octet == b'-')), |keyword: &[u8]| {
        keyword.first() != Some(&b'-')
    })
    .parse(input)
}

/// `esmtp-value = 1*(%d33-60 / %d62-126)`, and UTF-8 of RFC 6531
fn esmtp_value(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while1(|octet| matches!(octet, 33..=60 | 62..=126 | 0x80..)).parse(input)
}

#[cfg(test)]
mod tests;
