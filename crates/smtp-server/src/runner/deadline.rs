//! What is told of messages that are to be delivered within a time (RFC 2852).

use std::time::SystemTime;

use smtp_mail::{Report, terms};
use smtp_proto::{DeliverByMode, EnhancedStatus, Notify};
use smtp_queue::Lease;

/// "Delivery time expired" (RFC 2852 §4.1.3); reported as a failure it is 5.4.7.
const TIME_EXPIRED: EnhancedStatus = EnhancedStatus::new(4, 4, 7);

/// What is known of a message that is late (mode N) or has expired (mode R): that its sender's time for it is over, where that is why.
pub(super) fn told(lease: &Lease, why: DeliverByMode, mut report: Report, now: SystemTime) -> Report {
    if deadline(lease).is_some_and(|(at, mode)| mode == why && now >= at) {
        report.status = TIME_EXPIRED;
    }
    report
}

/// Whether the sender hears that a recipient's copy was handed on, also where it did not ask for success to be reported: it wants each
/// step told, or from here on nobody knows of its time (RFC 2852 §4.1.4). `passed_on`: the next hop was told of it.
pub(super) fn hears_of_relay(lease: &Lease, notify: Option<Notify>, passed_on: bool, now: SystemTime) -> bool {
    let Some(deliver_by) = lease.attempt().mail.parameters.deliver_by else { return false };
    let in_time = deadline(lease).is_some_and(|(at, _)| now < at);
    let out_of_sight = deliver_by.mode() == DeliverByMode::Notify && !passed_on && in_time;
    let may_be_told = notify.is_none_or(|notify| !notify.is_never()) && !lease.lane().is_local();
    may_be_told && (deliver_by.trace() || out_of_sight)
}

fn deadline(lease: &Lease) -> Option<(SystemTime, DeliverByMode)> {
    terms::deadline(&lease.attempt().mail.parameters, lease.received_at())
}
