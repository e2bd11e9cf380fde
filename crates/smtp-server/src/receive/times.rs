//! When a message is to go and to be there (RFC 4865, RFC 2852), and what that means for its life in the queue.

use std::time::SystemTime;

use smtp_mail::terms;
use smtp_proto::{DeliverByMode, MailParameters, Reply};

use super::replies;
use crate::config::Config;

/// Refuses what cannot leave before its time for delivery is over (RFC 4865 §5.2.2).
pub(super) fn check(parameters: &MailParameters, begun_at: SystemTime) -> Result<(), Reply> {
    let released_at = terms::released_at(parameters, begun_at);
    match terms::deadline(parameters, begun_at) {
        Some((deadline, _)) if parameters.hold.is_some() && released_at > deadline => Err(replies::HELD_TOO_LONG),
        _ => Ok(()),
    }
}

/// Takes off the time for delivery what has passed since MAIL (RFC 2852 §4).
pub(super) fn count_down(parameters: &mut MailParameters, begun_at: SystemTime, now: SystemTime) -> Result<(), Reply> {
    let elapsed = now.duration_since(begun_at).unwrap_or_default();
    let left = parameters.deliver_by.map(|deliver_by| terms::counted_down(deliver_by, elapsed)).transpose();
    parameters.deliver_by = left.map_err(|_| replies::TIME_OVER)?;
    Ok(())
}

/// What is due to a message, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// When it is given up.
    pub(super) expires_at: SystemTime,
    /// When its sender hears that it is late.
    pub(super) delay_notice_at: Option<SystemTime>,
}

impl Times {
    /// Counted from the release of the message; but its time for delivery ends when its sender says (RFC 2852 §4.1.3).
    pub(super) fn of(config: &Config, parameters: &MailParameters, received_at: SystemTime) -> Self {
        let released_at = terms::released_at(parameters, received_at);
        let expires_at = released_at + config.queue.expire_after;
        let delay_notice_at = config.queue.delay_notice_after.map(|after| released_at + after);
        match terms::deadline(parameters, received_at) {
            None => Self { expires_at, delay_notice_at },
            Some((at, DeliverByMode::Return)) => Self { expires_at: expires_at.min(at), delay_notice_at },
            Some((at, DeliverByMode::Notify)) => Self { expires_at, delay_notice_at: Some(at) },
        }
    }
}
