//! Timestamps (RFC 3339 §5.6), in UTC as RFC 4865 §3 wants them.

use nom::Parser;
use nom::bytes::complete::{tag, tag_no_case, take_while_m_n};
use nom::combinator::{opt, recognize};
use nom::sequence::preceded;

use super::parameter::decimal;
use super::{Parsed, fail, must};
use crate::error::SyntaxReason;
use crate::parameter::Timestamp;

/// `date-time = full-date "T" partial-time "Z"`, with at most nine digits of a fraction
pub(crate) fn date_time_utc(input: &[u8]) -> Parsed<'_, Timestamp> {
    let (rest, (date, _, time, has_fraction, _)) = (
        must((number(4), preceded(tag("-"), number(2)), preceded(tag("-"), number(2))), SyntaxReason::ParameterValue),
        must(tag_no_case("T"), SyntaxReason::ParameterValue),
        must((number(2), preceded(tag(":"), number(2)), preceded(tag(":"), number(2))), SyntaxReason::ParameterValue),
        opt(recognize((
            tag("."),
            must(take_while_m_n(1, 9, |octet: u8| octet.is_ascii_digit()), SyntaxReason::ParameterValue),
        )))
        .map(|fraction: Option<&[u8]>| {
            fraction.is_some_and(|digits| digits.iter().any(|digit| matches!(digit, b'1'..=b'9')))
        }),
        must(tag_no_case("Z"), SyntaxReason::ParameterValue),
    )
        .parse(input)?;
    let text = std::str::from_utf8(&input[..input.len() - rest.len()]).expect("the rules above take ASCII only");
    match unix_seconds(date, time) {
        Some(seconds) => Ok((rest, Timestamp::from_parsed(text, seconds + i64::from(has_fraction)))),
        None => fail(input, SyntaxReason::ParameterValue),
    }
}

fn number<'a>(digits: usize) -> impl Parser<&'a [u8], Output = u32, Error = super::Failure> {
    take_while_m_n(digits, digits, |octet: u8| octet.is_ascii_digit())
        .map(|digits: &[u8]| u32::try_from(decimal(digits)).expect("at most four digits"))
}

/// The seconds since 1970, if there is such a day and time. A leap second is the one behind it.
fn unix_seconds((year, month, day): (u32, u32, u32), (hour, minute, second): (u32, u32, u32)) -> Option<i64> {
    let is_leap_second = (hour, minute, second) == (23, 59, 60);
    if hour > 23 || minute > 59 || second > 59 && !is_leap_second || day == 0 || day > days_of(year, month)? {
        return None;
    }
    // Years that begin in March, so that the day of a leap year is their last one.
    let year = i64::from(year) - i64::from(month <= 2);
    let month_from_march = i64::from((month + 9) % 12);
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month_from_march + 2) / 5
        + i64::from(day)
        - 1
        - DAYS_TO_1970;
    Some(days * 86_400 + i64::from(hour * 3600 + minute * 60 + second))
}

/// From the first of March of the year 0 to the first of January 1970.
const DAYS_TO_1970: i64 = 719_468;

fn days_of(year: u32, month: u32) -> Option<u32> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => Some(29),
        2 => Some(28),
        _ => None,
    }
}
