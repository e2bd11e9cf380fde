//! Messages that go by TLS only (RFC 8689).

use std::borrow::Cow;

use smtp_client::NextHop;
use smtp_delivery::{Carrier, Protection, Unreachable};
use smtp_mail::{Attempt, Outcome};

use super::attempt::Worker;

impl Worker {
    /// Makes one attempt at a next hop, on terms that protect the message as it asks for. A next hop of which TLS is not to be had
    /// is no worse for other mail: its lane does not rest for it.
    pub(super) async fn carry_protected(
        &self,
        carrier: &mut Option<Carrier>,
        next_hop: &NextHop,
        attempt: &Attempt,
        told: &mut bool,
    ) -> Result<Vec<Outcome>, Unreachable> {
        let protection = Protection::of(&attempt.mail);
        // On this machine the mail is at its end: nobody else's wire is between (RFC 8689 §4.4).
        let ends_here = self.lane.is_local() && next_hop.host.is_this_machine();
        if protection == Protection::Usual || ends_here {
            return self.carry(carrier, next_hop, &released(attempt), told).await;
        }
        let unprotected = match Protection::terms(next_hop) {
            Ok(terms) => match self.carry(carrier, &terms, attempt, told).await {
                Err(unreachable) => unreachable.without_tls().ok_or(unreachable)?,
                outcomes => return outcomes,
            },
            Err(no_tls) => no_tls.result(),
        };
        if protection == Protection::Required {
            return Ok(attempt.outcomes(&unprotected));
        }
        self.carry(carrier, next_hop, &released(attempt), told).await
    }
}

/// The attempt without the demand for TLS.
fn released(attempt: &Attempt) -> Cow<'_, Attempt> {
    if !attempt.mail.parameters.require_tls {
        return Cow::Borrowed(attempt);
    }
    let mut released = attempt.clone();
    released.mail.parameters.require_tls = false;
    Cow::Owned(released)
}
