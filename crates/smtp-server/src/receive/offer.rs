//! The extensions that the configuration offers. STARTTLS and AUTH depend on the session, and are its affair.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use smtp_proto::{DeliverByOffer, Extensions, FutureRelease, ReceiverLimits};

use crate::config::Config;
use crate::metrics::Service;

/// To whom it is offered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// By what it comes in.
    pub(super) service: Service,
    /// Whether it comes by TLS.
    pub(super) secured: bool,
    /// Whether it may ask who there is, and for what waits.
    pub(super) may_ask: bool,
}

/// What a client is offered now.
pub(super) fn extensions(config: &Config, client: Client, now: SystemTime) -> Extensions {
    let limits = ReceiverLimits {
        mail_max: Some(config.limits.transactions_per_session),
        rcpt_max: u32::try_from(config.limits.recipients_per_message).ok(),
        rcpt_domain_max: None,
    };
    let switches = &config.extensions;
    // What delays the mail of others, or asks for reports, is for those who submit (RFC 4865 §4.2).
    let submits = client.service == Service::Submission;
    Extensions {
        size: Some(config.limits.message_octets),
        pipelining: true,
        eight_bit_mime: true,
        smtputf8: switches.smtputf8,
        enhanced_status_codes: true,
        // RFC 5321 §4.1.1.1: a command beyond the minimum of §4.5.1 is listed.
        help: true,
        chunking: switches.chunking,
        binary_mime: switches.binarymime,
        dsn: switches.dsn,
        // RFC 8689 §2: whoever asks for it must have come by TLS.
        require_tls: switches.requiretls && client.secured,
        limits: if switches.limits { limits } else { ReceiverLimits::default() },
        future_release: (submits && switches.futurerelease).then(|| future_release(config, now)).flatten(),
        mt_priority: submits && switches.mtpriority,
        deliver_by: (submits && switches.deliverby).then(|| deliver_by(config)),
        vrfy: switches.vrfy && client.may_ask,
        expn: switches.expn && client.may_ask,
        // RFC 6409 §7: never for submission. It is for servers, and they come to mx.
        etrn: switches.etrn && client.may_ask && client.service == Service::Mx,
        ..Extensions::default()
    }
}

/// RFC 4865 §3. `None` where the clock shows what no date has.
fn future_release(config: &Config, now: SystemTime) -> Option<FutureRelease> {
    let interval_max = config.limits.future_release;
    let until = now + Duration::from_secs(interval_max.seconds().into());
    let until = Timestamp::try_from(until).ok()?;
    Some(FutureRelease { interval_max, until_max: format!("{until:.0}").parse().ok()? })
}

/// RFC 2852 §2.
fn deliver_by(config: &Config) -> DeliverByOffer {
    DeliverByOffer { seconds_min: Some(config.limits.deliver_by_seconds).filter(|seconds| *seconds > 0) }
}
