//! The extensions that the configuration offers. STARTTLS and AUTH depend on the session, and are its affair.

use smtp_proto::{Extensions, ReceiverLimits};

use crate::config::Config;

/// What a client is offered; `secured`: inside TLS.
pub(super) fn extensions(config: &Config, secured: bool) -> Extensions {
    let limits = ReceiverLimits {
        mail_max: Some(config.limits.transactions_per_session),
        rcpt_max: u32::try_from(config.limits.recipients_per_message).ok(),
        rcpt_domain_max: None,
    };
    Extensions {
        size: Some(config.limits.message_octets),
        pipelining: true,
        eight_bit_mime: true,
        smtputf8: config.extensions.smtputf8,
        enhanced_status_codes: true,
        // RFC 5321 §4.1.1.1: a command beyond the minimum of §4.5.1 is listed.
        help: true,
        chunking: config.extensions.chunking,
        binary_mime: config.extensions.binarymime,
        dsn: config.extensions.dsn,
        // RFC 8689 §2: whoever asks for it must have come by TLS.
        require_tls: config.extensions.requiretls && secured,
        limits: if config.extensions.limits { limits } else { ReceiverLimits::default() },
        ..Extensions::default()
    }
}
