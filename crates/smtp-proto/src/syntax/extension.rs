//! Lines of the reply to EHLO (RFC 5321 §4.1.1.1), read leniently: what cannot be read is not offered.

use super::parameter::value::hold_interval;
use super::parameter::{decimal, is_digits, whole_number};
use super::timestamp::date_time_utc;
use super::whole;
use crate::auth::Mechanism;
use crate::extension::{DeliverByOffer, FutureRelease, ReceiverLimits};
use crate::limits::MECHANISMS;
use crate::xclient::{XClientAttribute, XClientAttributes};

/// The greatest number that a limit of RFC 9422 may have.
pub(crate) const RECEIVER_LIMIT_MAX: u32 = 999_999;

/// `ehlo-line = ehlo-keyword *( SP ehlo-param )`: the keyword, and what follows it.
///
/// Old servers write `AUTH=` for `AUTH `, and old clients want it so: it is read as the same.
pub(crate) fn ehlo_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some((b"=", mechanisms)) = after_keyword(text, b"AUTH").map(|rest| rest.split_at(rest.len().min(1))) {
        return Some((b"AUTH", mechanisms.trim_ascii()));
    }
    let end = text.iter().position(|&octet| octet == b' ').unwrap_or(text.len());
    let (keyword, parameters) = text.split_at(end);
    let well_formed = keyword.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-');
    (well_formed && !keyword.is_empty()).then(|| (keyword, parameters.trim_ascii()))
}

/// The limit behind the keyword SIZE: `[ SP 1*20DIGIT ]`, 0 where there is none that can be read (RFC 1870 §4).
pub(crate) fn size_limit(parameters: &[u8]) -> u64 {
    let number = parameters.split(|&octet| octet == b' ').next().unwrap_or_default();
    if number.iter().all(u8::is_ascii_digit) { decimal(number) } else { 0 }
}

fn after_keyword<'a>(text: &'a [u8], keyword: &[u8]) -> Option<&'a [u8]> {
    let (front, rest) = text.split_at_checked(keyword.len())?;
    front.eq_ignore_ascii_case(keyword).then_some(rest)
}

fn words(parameters: &[u8]) -> impl Iterator<Item = &[u8]> {
    parameters.split(|&octet| octet == b' ').filter(|word| !word.is_empty())
}

/// `auth-param = sasl-mech *( SP sasl-mech )` (RFC 4954 §3): those of them that are names of mechanisms, once each.
pub(crate) fn add_mechanisms(parameters: &[u8], mechanisms: &mut Vec<Mechanism>) {
    for mechanism in words(parameters).filter_map(|word| Mechanism::parse(word).ok()) {
        if mechanisms.len() < MECHANISMS && !mechanisms.contains(&mechanism) {
            mechanisms.push(mechanism);
        }
    }
}

/// `limits-param = limit-name-value 0*[SP limit-name-value]` (RFC 9422 §3). One that is malformed does not count; where the line as a whole
/// is, none of it does (§3.7).
pub(crate) fn receiver_limits(parameters: &[u8]) -> ReceiverLimits {
    let mut limits = ReceiverLimits::default();
    for limit in words(parameters) {
        let (name, value) = match limit.iter().position(|&octet| octet == b'=') {
            Some(at) => (&limit[..at], Some(&limit[at + 1..])),
            None => (limit, None),
        };
        if !is_limit_name(name) || value.is_some_and(|value| !is_limit_value(value)) {
            return ReceiverLimits::default();
        }
        let place = [
            ("MAILMAX", &mut limits.mail_max),
            ("RCPTMAX", &mut limits.rcpt_max),
            ("RCPTDOMAINMAX", &mut limits.rcpt_domain_max),
        ]
        .into_iter()
        .find_map(|(known, place)| name.eq_ignore_ascii_case(known.as_bytes()).then_some(place));
        if let (Some(place), Some(value)) = (place, value) {
            *place = whole_number(value, 6).or(*place);
        }
    }
    limits
}

/// `limit-name = 1*(ALPHA / DIGIT / "-" / "_")`
fn is_limit_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// `limit-value = 1*(%x21-3A / %x3C-7E)`
fn is_limit_value(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|octet| matches!(octet, 0x21..=0x3a | 0x3c..=0x7e))
}

/// `max-future-release-interval SP max-future-release-date-time` (RFC 4865 §3): both, or nothing is offered.
pub(crate) fn future_release(parameters: &[u8]) -> Option<FutureRelease> {
    let mut words = words(parameters);
    let interval_max = hold_interval(words.next()?).ok()?;
    let until_max = whole(words.next()?, date_time_utc).ok()?;
    Some(FutureRelease { interval_max, until_max })
}

/// `deliverby-param = min-by-time *( ',' extension-token )`, where `min-by-time = [1*9DIGIT]` (RFC 2852 §2)
pub(crate) fn deliver_by_offer(parameters: &[u8]) -> DeliverByOffer {
    let digits = parameters.split(|&octet| matches!(octet, b',' | b' ')).next().unwrap_or_default();
    let seconds_min = if is_digits(digits, 9) { u32::try_from(decimal(digits)).ok() } else { None };
    DeliverByOffer { seconds_min }
}

/// The attributes that a server takes. Those that are not known here say nothing to us.
pub(crate) fn xclient_attributes(parameters: &[u8]) -> XClientAttributes {
    words(parameters).filter_map(XClientAttribute::named).collect()
}
