//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2).

use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::combinator::{opt, recognize, verify};
use nom::sequence::preceded;

use super::{Parsed, fail, must};
use crate::error::SyntaxReason;
use crate::parameter::{BodyType, MailParameters, RcptParameters};

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`
struct EsmtpParam<'a> {
    keyword: &'a [u8],
    value: Option<&'a [u8]>,
}

/// `[SP Mail-parameters]`, where `Mail-parameters = esmtp-param *(SP esmtp-param)`
pub(crate) fn mail_parameters(input: &[u8]) -> Parsed<'_, MailParameters> {
    let mut parameters = MailParameters::default();
    let mut rest = input;
    while let [b' ', param @ ..] = rest {
        let (after, param_parsed) = esmtp_param(param)?;
        if let Err(reason) = put_mail_parameter(&mut parameters, &param_parsed) {
            return fail(param, reason);
        }
        rest = after;
    }
    Ok((rest, parameters))
}

/// `[SP Rcpt-parameters]`: none is known.
pub(crate) fn rcpt_parameters(input: &[u8]) -> Parsed<'_, RcptParameters> {
    match input {
        [b' ', param @ ..] => {
            esmtp_param(param)?;
            fail(param, SyntaxReason::ParameterUnknown)
        }
        _ => Ok((input, RcptParameters::default())),
    }
}

fn put_mail_parameter(parameters: &mut MailParameters, param: &EsmtpParam<'_>) -> Result<(), SyntaxReason> {
    let keyword = param.keyword;
    if keyword.eq_ignore_ascii_case(b"SIZE") {
        put_once(&mut parameters.size, size_value(param.value)?)
    } else if keyword.eq_ignore_ascii_case(b"BODY") {
        put_once(&mut parameters.body, body_value(param.value)?)
    } else if keyword.eq_ignore_ascii_case(b"SMTPUTF8") {
        match (param.value, parameters.smtputf8) {
            (Some(_), _) => Err(SyntaxReason::ParameterValue),
            (None, true) => Err(SyntaxReason::ParameterRepeated),
            (None, false) => {
                parameters.smtputf8 = true;
                Ok(())
            }
        }
    } else {
        Err(SyntaxReason::ParameterUnknown)
    }
}

fn put_once<T>(place: &mut Option<T>, value: T) -> Result<(), SyntaxReason> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SyntaxReason::ParameterRepeated),
    }
}

/// `size-value = 1*20DIGIT` (RFC 1870 §4). What is over 2^64 - 1 is as good as that: no limit is above it.
fn size_value(value: Option<&[u8]>) -> Result<u64, SyntaxReason> {
    match value {
        Some(digits @ [_, ..]) if digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit) => Ok(decimal(digits)),
        _ => Err(SyntaxReason::ParameterValue),
    }
}

/// The number that the digits are, or the greatest there is.
pub(super) fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

/// `body-value = "7BIT" / "8BITMIME"` (RFC 6152 §2)
fn body_value(value: Option<&[u8]>) -> Result<BodyType, SyntaxReason> {
    match value {
        None => Err(SyntaxReason::ParameterValue),
        Some(value) if value.eq_ignore_ascii_case(b"7BIT") => Ok(BodyType::SevenBit),
        Some(value) if value.eq_ignore_ascii_case(b"8BITMIME") => Ok(BodyType::EightBitMime),
        Some(_) => Err(SyntaxReason::ParameterValueNotImplemented),
    }
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

/// `esmtp-value = 1*(%d33-60 / %d62-126)`
fn esmtp_value(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while1(|octet| matches!(octet, 33..=60 | 62..=126)).parse(input)
}
