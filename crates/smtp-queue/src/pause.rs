//! Pauses: a whole way out of the queue, or one domain, put to rest by an operator.

use std::time::SystemTime;

use bytes::BytesMut;
use smtp_mail::Destination;

use crate::codec::{DecodeError, Decoder, Encode};
use crate::schedule::PauseScope;

impl PauseScope {
    /// Whether deliveries to `destination` rest under it.
    pub fn covers(&self, destination: &Destination) -> bool {
        match (self, destination) {
            (Self::Mta, Destination::Domain(_)) | (Self::Mda, Destination::Mailbox(_)) => true,
            (Self::Domain(paused), Destination::Domain(domain)) => paused == domain,
            _ => false,
        }
    }
}

/// A pause in force. Deliveries under it are not attempted, and their attempts are not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What rests.
    pub scope: PauseScope,
    /// When it ends by itself; `None`: when it is resumed.
    pub until: Option<SystemTime>,
    /// Why, for people to read. Kept to its first 256 octets.
    pub reason: String,
}

impl Pause {
    /// Whether the pause is still in force.
    pub fn is_in_force(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

pub(crate) fn encode_pause(pause: &Pause, output: &mut BytesMut) {
    match &pause.scope {
        PauseScope::Mta => output.integer(0),
        PauseScope::Mda => output.integer(1),
        PauseScope::Domain(domain) => {
            output.integer(2);
            output.octets(domain.to_string().as_bytes());
        }
    }
    output.optional(pause.until, BytesMut::time);
    output.octets(pause.reason.as_bytes());
}

pub(crate) fn decode_pause(input: &mut Decoder<'_>) -> Result<Pause, DecodeError> {
    let scope = match input.integer()? {
        0 => PauseScope::Mta,
        1 => PauseScope::Mda,
        2 => PauseScope::Domain(input.text()?.parse().map_err(|_| DecodeError::Malformed)?),
        _ => return Err(DecodeError::Malformed),
    };
    Ok(Pause { scope, until: input.optional(Decoder::time)?, reason: input.text()?.to_owned() })
}

pub(crate) fn encode_pauses(pauses: &[Pause], output: &mut BytesMut) {
    output.integer(pauses.len() as u64);
    for pause in pauses {
        encode_pause(pause, output);
    }
}

pub(crate) fn decode_pauses(input: &mut Decoder<'_>) -> Result<Vec<Pause>, DecodeError> {
    let pauses = input.number()?;
    (0..pauses).map(|_| decode_pause(input)).collect()
}
