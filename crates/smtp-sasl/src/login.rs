//! Names and passwords, prepared as SASLprep says (RFC 4013), so that one that was typed in another way is the same.

use std::fmt;

use smtp_proto::Secret;
use zeroize::Zeroizing;

/// The longest login in octets.
pub const LOGIN_OCTETS_MAX: usize = 255;
/// The longest password in octets.
pub const PASSWORD_OCTETS_MAX: usize = 1024;

/// The name that somebody logs in by: prepared, not empty, without control characters, at most [`LOGIN_OCTETS_MAX`] octets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Login(Box<str>);

/// Why something is no login or no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// It is empty, or nothing is left of it.
    #[error("it is empty")]
    Empty,
    /// It is longer than is taken.
    #[error("it is longer than {0} octets")]
    TooLong(usize),
    /// It is not UTF-8, or has characters that SASLprep does not allow (RFC 4013 §2.3).
    #[error("it has characters that cannot stand in it (RFC 4013)")]
    Characters,
}

impl Login {
    /// Prepares what a client calls itself.
    ///
    /// # Errors
    /// When it can be nobody's name.
    pub fn prepare(octets: &[u8]) -> Result<Self, LoginError> {
        let name = prepare(octets, LOGIN_OCTETS_MAX)?;
        Ok(Self(name.as_str().into()))
    }

    /// The prepared name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prepares a password.
///
/// # Errors
/// When it can be nobody's password.
pub fn prepare_password(octets: &[u8]) -> Result<Secret, LoginError> {
    let password = prepare(octets, PASSWORD_OCTETS_MAX)?;
    Ok(Secret::new(password.as_bytes().to_vec()))
}

fn prepare(octets: &[u8], octets_max: usize) -> Result<Zeroizing<String>, LoginError> {
    if octets.len() > octets_max {
        return Err(LoginError::TooLong(octets_max));
    }
    let text = std::str::from_utf8(octets).map_err(|_| LoginError::Characters)?;
    let prepared = stringprep::saslprep(text).map_err(|_| LoginError::Characters)?;
    let prepared = Zeroizing::new(prepared.into_owned());
    // Normal forms can be longer than what they stand for.
    match prepared.len() {
        0 => Err(LoginError::Empty),
        octets if octets > octets_max => Err(LoginError::TooLong(octets_max)),
        _ => Ok(prepared),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4013_section_3() {
        let prepared = |text: &str| Login::prepare(text.as_bytes()).map(|login| login.as_str().to_owned());
        assert_eq!(prepared("I\u{ad}X").unwrap(), "IX");
        assert_eq!(prepared("user").unwrap(), "user");
        assert_eq!(prepared("USER").unwrap(), "USER");
        assert_eq!(prepared("\u{aa}").unwrap(), "a");
        assert_eq!(prepared("\u{2168}").unwrap(), "IX");
        assert_eq!(prepared("\u{7}"), Err(LoginError::Characters));
        assert_eq!(prepared("\u{627}\u{31}"), Err(LoginError::Characters));
    }

    #[test]
    fn what_can_be_nobody_is_refused() {
        assert_eq!(Login::prepare(b""), Err(LoginError::Empty));
        assert_eq!(Login::prepare("\u{ad}".as_bytes()), Err(LoginError::Empty));
        assert_eq!(Login::prepare(b"a\0b"), Err(LoginError::Characters));
        assert_eq!(Login::prepare(b"a\r\nb"), Err(LoginError::Characters));
        assert_eq!(Login::prepare(&[0xff]), Err(LoginError::Characters));
        assert_eq!(Login::prepare(&[b'a'; 256]), Err(LoginError::TooLong(255)));
        assert_eq!(prepare_password(&[b'a'; 1025]), Err(LoginError::TooLong(1024)));
        // One character whose normal form has eighteen.
        let long = "\u{fdfa}".repeat(80);
        assert_eq!(Login::prepare(long.as_bytes()), Err(LoginError::TooLong(255)));
    }
}
