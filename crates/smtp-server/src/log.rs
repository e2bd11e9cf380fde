//! What the daemon says of its work: one event for each thing that happens to a session or a message, with typed fields,
//! rendered as JSON or for people.
//!
//! An event is a function here, so that its name and its fields are the same wherever it happens. Fields that only we
//! write come first, text that a peer can choose comes last, and `record` escapes it: no peer can forge a line or a
//! field.

mod daemon;
mod escape;
mod event;
mod layer;
mod output;
mod record;
#[cfg(test)]
mod tests;

pub use self::daemon::{
    Chain, alias_dropped, certificates_not_reloaded, certificates_reloaded, configuration_warning, dropped_refused,
    fatal, lane_rests, left_out, login_failed, maildrop_unusable, not_accepted, not_reported, not_settled, not_started,
    panic, panicked, queue_opened, queue_unavailable, reload_failed, reloaded, session_refused, started, stopped,
};
pub use self::event::{
    Act, Attempt, Closed, Received, Refused, Session, SessionId, act, attempt, authenticated, authentication_failed,
    bounced, closed, connected, delay_notice, held, out_of_turn, proxy_refused, received, refused, success_reported,
    tls_established, tls_failed, turned_away, xclient,
};
pub use self::layer::{LogError, LogLayer, flush, install};
pub use self::output::LineQueue;
pub use self::record::{Format, Record, Value};
