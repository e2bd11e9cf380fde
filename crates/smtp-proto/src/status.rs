//! Enhanced status codes (RFC 3463).

use std::fmt;
use std::str::FromStr;

use crate::reply::ReplyClass;

/// The class of an enhanced status code: its first number (RFC 3463 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusClass {
    /// `2.y.z`: success.
    Success,
    /// `4.y.z`: persistent transient failure; the message may get through later.
    PersistentTransient,
    /// `5.y.z`: permanent failure.
    Permanent,
}

impl StatusClass {
    const fn digit(self) -> u8 {
        match self {
            Self::Success => 2,
            Self::PersistentTransient => 4,
            Self::Permanent => 5,
        }
    }

    const fn from_digit(digit: u8) -> Option<Self> {
        match digit {
            2 => Some(Self::Success),
            4 => Some(Self::PersistentTransient),
            5 => Some(Self::Permanent),
            _ => None,
        }
    }

    /// Whether a reply of the class `class` may carry this status (RFC 2034 §4).
    pub const fn agrees_with(self, class: ReplyClass) -> bool {
        matches!(
            (self, class),
            (Self::Success, ReplyClass::Completion)
                | (Self::PersistentTransient, ReplyClass::Transient)
                | (Self::Permanent, ReplyClass::Permanent)
        )
    }
}

/// An enhanced status code, `class.subject.detail` (RFC 3463 §2).
///
/// Subject and detail are numbers of one to three digits. Codes that RFC 3463 does not name are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedStatus {
    class: StatusClass,
    subject: u16,
    detail: u16,
}

impl EnhancedStatus {
    /// The status `class.subject.detail`, written as one reads it: `EnhancedStatus::new(5, 1, 1)`.
    ///
    /// # Panics
    ///
    /// If the class is none of 2, 4 and 5, or if subject or detail is over 999. In a constant that is an error of the build.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        match Self::from_parts(class, subject, detail) {
            Some(status) => status,
            None => panic!("an enhanced status code is 2|4|5 . 0-999 . 0-999"),
        }
    }

    /// The status `class.subject.detail`, or `None` where the class is none of 2, 4 and 5, or a number is over 999.
    pub const fn from_parts(class: u8, subject: u16, detail: u16) -> Option<Self> {
        match StatusClass::from_digit(class) {
            Some(class) if subject <= 999 && detail <= 999 => Some(Self { class, subject, detail }),
            _ => None,
        }
    }

    /// The class: success, transient or permanent failure.
    pub const fn class(self) -> StatusClass {
        self.class
    }

    /// The subject: 1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 policy (RFC 3463 §3.2).
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The detail within the subject.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// The same subject and detail in another class: `4.4.1` becomes `5.4.1` when a message has expired.
    #[must_use]
    pub const fn with_class(self, class: StatusClass) -> Self {
        Self { class, ..self }
    }

    /// The octets of its text form.
    pub(crate) fn encoded_octets(self) -> usize {
        let digits = |number: u16| match number {
            0..=9 => 1,
            10..=99 => 2,
            _ => 3,
        };
        3 + digits(self.subject) + digits(self.detail)
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class.digit(), self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an enhanced status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an enhanced status code (RFC 3463), such as 5.1.1")]
pub struct StatusSyntaxError;

impl FromStr for EnhancedStatus {
    type Err = StatusSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match crate::syntax::reply::status_code(text.as_bytes()) {
            Ok((b"", status)) => Ok(status),
            _ => Err(StatusSyntaxError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_and_parse_agree() {
        for text in ["2.0.0", "4.4.1", "5.7.25", "5.1.999"] {
            let status: EnhancedStatus = text.parse().unwrap();
            assert_eq!(status.to_string(), text);
            assert_eq!(status.encoded_octets(), text.len());
        }
    }

    #[test]
    fn malformed_status_codes_are_refused() {
        for text in ["", "5", "5.1", "5.1.", "3.1.1", "5.1.1000", "5.1.1 ", "5.1.1.1", "05.1.1", "5.+1.1"] {
            assert_eq!(text.parse::<EnhancedStatus>(), Err(StatusSyntaxError), "{text}");
        }
    }

    #[test]
    fn the_class_can_be_changed_when_a_message_expires() {
        let expired = EnhancedStatus::new(4, 4, 1).with_class(StatusClass::Permanent);
        assert_eq!(expired, EnhancedStatus::new(5, 4, 1));
    }
}
