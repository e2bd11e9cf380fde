//! The values of parameters: one function for each rule.

use super::super::address::{is_atext, text};
use super::super::{Parsed, fail, xtext};
use super::{decimal, is_digits, whole_number};
use crate::error::SyntaxReason;
use crate::limits::{ENVELOPE_ID_OCTETS, ORIGINAL_RECIPIENT_OCTETS};
use crate::parameter::{
    AuthIdentity, BodyType, DeliverBy, DeliverByMode, EnvelopeId, HoldInterval, Notify, OriginalRecipient, Priority,
    Ret,
};
use crate::path::Mailbox;

const MALFORMED: SyntaxReason = SyntaxReason::ParameterValue;

/// Applies a rule to the whole value. Wherever it is wrong, it is the value that is.
pub(crate) fn whole<'a, T>(value: &'a [u8], rule: impl FnMut(&'a [u8]) -> Parsed<'a, T>) -> Result<T, SyntaxReason> {
    super::super::whole(value, rule).map_err(|_| MALFORMED)
}

/// `size-value = 1*20DIGIT` (RFC 1870 §4). What is over 2^64 - 1 is as good as that: no limit is above it.
pub(crate) fn size(value: &[u8]) -> Result<u64, SyntaxReason> {
    if is_digits(value, 20) { Ok(decimal(value)) } else { Err(MALFORMED) }
}

/// `body-value = "7BIT" / "8BITMIME" / "BINARYMIME"` (RFC 6152 §2, RFC 3030 §3)
pub(crate) fn body(value: &[u8]) -> Result<BodyType, SyntaxReason> {
    [BodyType::SevenBit, BodyType::EightBitMime, BodyType::BinaryMime]
        .into_iter()
        .find(|body| value.eq_ignore_ascii_case(body.as_str().as_bytes()))
        .ok_or(SyntaxReason::ParameterValueNotImplemented)
}

/// `"FULL" / "HDRS"` (RFC 3461 §4.3)
pub(crate) fn ret(value: &[u8]) -> Result<Ret, SyntaxReason> {
    [Ret::Full, Ret::Headers]
        .into_iter()
        .find(|ret| value.eq_ignore_ascii_case(ret.as_str().as_bytes()))
        .ok_or(MALFORMED)
}

/// `xtext` (RFC 3461 §4.4)
pub(crate) fn envelope_id(input: &[u8]) -> Parsed<'_, EnvelopeId> {
    match text(input) {
        Some(text) if (1..=ENVELOPE_ID_OCTETS).contains(&input.len()) && xtext::is_xtext(input) => {
            Ok((b"", EnvelopeId::from_parsed(text)))
        }
        _ => fail(input, MALFORMED),
    }
}

/// `original-recipient-address = addr-type ";" xtext`, where `addr-type = atom` (RFC 3461 §4.2); behind `utf-8;` any of the forms of RFC 6533 §3
pub(crate) fn original_recipient(input: &[u8]) -> Parsed<'_, OriginalRecipient> {
    let Some(text) = text(input).filter(|text| text.len() <= ORIGINAL_RECIPIENT_OCTETS) else {
        return fail(input, MALFORMED);
    };
    let Some((address_type, address)) = text.split_once(';') else { return fail(input, MALFORMED) };
    let is_addr_type = !address_type.is_empty()
        && address_type.bytes().all(|octet| octet.is_ascii() && octet != b'=' && is_atext(octet));
    let is_utf8 = address_type.eq_ignore_ascii_case(OriginalRecipient::UTF8);
    let is_address = if is_utf8 { xtext::is_xtext_or_utf8 } else { xtext::is_xtext };
    if !is_addr_type || !is_address(address.as_bytes()) {
        return fail(input, MALFORMED);
    }
    Ok((b"", OriginalRecipient::from_parsed(text, address_type.len())))
}

/// `"NEVER" / 1#notify-list-element` (RFC 3461 §4.1)
pub(crate) fn notify(value: &[u8]) -> Result<Notify, SyntaxReason> {
    let mut notify = Notify::NEVER;
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(notify);
    }
    for element in value.split(|&octet| octet == b',') {
        let wanted = [("SUCCESS", &mut notify.success), ("FAILURE", &mut notify.failure), ("DELAY", &mut notify.delay)];
        let known = wanted.into_iter().find(|(word, _)| element.eq_ignore_ascii_case(word.as_bytes()));
        *known.ok_or(MALFORMED)?.1 = true;
    }
    Ok(notify)
}

/// `"<>"`, or a mailbox as xtext (RFC 4954 §5)
pub(crate) fn auth(value: &[u8]) -> Result<AuthIdentity, SyntaxReason> {
    if !xtext::is_xtext(value) {
        return Err(MALFORMED);
    }
    match &*xtext::decode(value) {
        b"<>" => Ok(AuthIdentity::Unknown),
        mailbox => Mailbox::parse(mailbox).map(|mailbox| AuthIdentity::Mailbox(mailbox.into())).map_err(|_| MALFORMED),
    }
}

/// `future-release-integer = %x31-39 *8DIGIT` (RFC 4865 §3)
pub(crate) fn hold_interval(value: &[u8]) -> Result<HoldInterval, SyntaxReason> {
    whole_number(value, 9).and_then(HoldInterval::from_seconds).ok_or(MALFORMED)
}

/// `by-value = by-time ";" by-mode [by-trace]`, where `by-time = ["-" / "+"] 1*9DIGIT` (RFC 2852 §4)
pub(crate) fn deliver_by(value: &[u8]) -> Result<DeliverBy, SyntaxReason> {
    let separator = value.iter().position(|&octet| octet == b';').ok_or(MALFORMED)?;
    let (time, mode) = (&value[..separator], &value[separator + 1..]);
    let (sign, digits) = match time {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let (mode, trace) = match mode.to_ascii_uppercase().as_slice() {
        b"N" => (DeliverByMode::Notify, false),
        b"NT" => (DeliverByMode::Notify, true),
        b"R" => (DeliverByMode::Return, false),
        b"RT" => (DeliverByMode::Return, true),
        _ => return Err(MALFORMED),
    };
    if !is_digits(digits, 9) {
        return Err(MALFORMED);
    }
    let seconds = i64::try_from(decimal(digits)).map_err(|_| MALFORMED)?;
    DeliverBy::new(sign * seconds, mode, trace).map_err(|error| error.reason)
}

/// `priority-value = (["-"] NZDIGIT) / "0"` (RFC 6710 §7)
pub(crate) fn priority(value: &[u8]) -> Result<Priority, SyntaxReason> {
    let digit = |digit: u8| i8::try_from(digit - b'0').map_err(|_| MALFORMED);
    let value = match *value {
        [zero_or_more @ b'0'..=b'9'] => digit(zero_or_more)?,
        [b'-', one_or_more @ b'1'..=b'9'] => -digit(one_or_more)?,
        _ => return Err(MALFORMED),
    };
    Priority::new(value).ok_or(MALFORMED)
}
