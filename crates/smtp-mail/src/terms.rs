//! What MAIL asks for on the way of a message: when it is to go, and when it is to be there.
//!
//! The parameters speak of times from when MAIL came in; here that is the time at which the message was accepted, and whoever accepts
//! it takes off what has passed between the two ([`counted_down`]).

use std::time::{Duration, SystemTime};

use smtp_proto::{DeliverBy, DeliverByMode, Hold, MailParameters};

/// When a message that was accepted at `received_at` may leave: then, unless HOLDFOR or HOLDUNTIL says later (RFC 4865 §4.2).
pub fn released_at(parameters: &MailParameters, received_at: SystemTime) -> SystemTime {
    let until = match &parameters.hold {
        None => None,
        Some(Hold::For(interval)) => received_at.checked_add(Duration::from_secs(interval.seconds().into())),
        Some(Hold::Until(timestamp)) => {
            let seconds = u64::try_from(timestamp.unix_seconds()).unwrap_or_default();
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        }
    };
    until.map_or(received_at, |until| until.max(received_at))
}

/// The deliver-by-time of a message that was accepted at `received_at`, and what is to be done then (RFC 2852 §4).
pub fn deadline(parameters: &MailParameters, received_at: SystemTime) -> Option<(SystemTime, DeliverByMode)> {
    let deliver_by = parameters.deliver_by?;
    let seconds = Duration::from_secs(deliver_by.seconds().unsigned_abs());
    let at = if deliver_by.seconds() < 0 { received_at.checked_sub(seconds) } else { received_at.checked_add(seconds) };
    Some((at.unwrap_or(received_at), deliver_by.mode()))
}

/// What is left of BY= when `elapsed` has passed, in whole seconds, so that the time never grows on the way (RFC 2852 §4.1.4).
///
/// # Errors
/// Nothing is left, and the message is to be returned.
pub fn counted_down(deliver_by: DeliverBy, elapsed: Duration) -> Result<DeliverBy, TimeOver> {
    let passed = elapsed.as_secs() + u64::from(elapsed.subsec_nanos() > 0);
    let passed = i64::try_from(passed).unwrap_or(i64::MAX);
    let seconds = deliver_by.seconds().saturating_sub(passed).max(-DeliverBy::SECONDS_MAX);
    DeliverBy::new(seconds, deliver_by.mode(), deliver_by.trace()).map_err(|_| TimeOver)
}

/// The time in which the message had to be delivered is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time in which the message had to be delivered is over")]
pub struct TimeOver;

/// All that MAIL has asked for on the way, as it stands in the command; `None`: nothing.
pub fn asked_for(parameters: &MailParameters) -> Option<String> {
    let MailParameters { require_tls, hold, deliver_by, priority, .. } = parameters;
    let terms = MailParameters {
        require_tls: *require_tls,
        hold: hold.clone(),
        deliver_by: *deliver_by,
        priority: *priority,
        ..MailParameters::default()
    };
    let text = terms.to_string();
    (!text.is_empty()).then(|| text.trim_start().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp_proto::Mail;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn parameters(text: &str) -> MailParameters {
        Mail::parse(format!("MAIL FROM:<a@example.org>{text}").as_bytes()).unwrap().parameters
    }

    #[test]
    fn a_message_is_released_when_its_sender_says_and_not_in_the_past() {
        let released = |text| released_at(&parameters(text), at(1_000));
        assert_eq!(released(""), at(1_000));
        assert_eq!(released(" HOLDFOR=60"), at(1_060));
        assert_eq!(released(" HOLDUNTIL=1970-01-01T01:00:00Z"), at(3_600));
        assert_eq!(released(" HOLDUNTIL=1970-01-01T00:00:01Z"), at(1_000));
    }

    #[test]
    fn the_deadline_counts_from_the_acceptance_either_way() {
        let deadline = |text| deadline(&parameters(text), at(1_000));
        assert_eq!(deadline(""), None);
        assert_eq!(deadline(" BY=60;R"), Some((at(1_060), DeliverByMode::Return)));
        assert_eq!(deadline(" BY=-60;NT"), Some((at(940), DeliverByMode::Notify)));
    }

    #[test]
    fn time_only_shrinks_on_the_way() {
        let by = |text: &str| text.parse::<DeliverBy>().unwrap();
        let left =
            |text, milliseconds| counted_down(by(text), Duration::from_millis(milliseconds)).map(|by| by.to_string());
        assert_eq!(left("120;R", 0).as_deref(), Ok("120;R"));
        assert_eq!(left("120;RT", 1).as_deref(), Ok("119;RT"));
        assert_eq!(left("1;R", 1), Err(TimeOver));
        assert_eq!(left("1;N", 2_000).as_deref(), Ok("-1;N"));
        assert_eq!(left("-999999999;N", 9_000).as_deref(), Ok("-999999999;N"));
    }

    #[test]
    fn what_was_asked_for_is_told_as_it_stands_in_the_command() {
        assert_eq!(asked_for(&parameters(" SIZE=100 RET=FULL")), None);
        let asked = asked_for(&parameters(" BY=120;R SIZE=100 REQUIRETLS MT-PRIORITY=-3"));
        assert_eq!(asked.as_deref(), Some("REQUIRETLS BY=120;R MT-PRIORITY=-3"));
    }
}
