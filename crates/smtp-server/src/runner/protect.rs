//! What a message asks of its next hop: TLS all the way (RFC 8689), and delivery in time (RFC 2852).

use std::borrow::Cow;

use smtp_client::NextHop;
use smtp_delivery::{Carrier, Protection, Unreachable};
use smtp_mail::{Attempt, Outcome};
use smtp_proto::{Mail, MailParameters};

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
        let attempt = if self.lane.is_local() { &at_its_end(next_hop, attempt) } else { attempt };
        let protection = Protection::of(&attempt.mail);
        if protection == Protection::Usual {
            return self.carry(carrier, next_hop, attempt, told).await;
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
        let unprotected = with(attempt, MailParameters { require_tls: false, ..parameters(attempt) });
        self.carry(carrier, next_hop, &unprotected, told).await
    }
}

/// The attempt at a mailbox: with the program that keeps it the mail has been delivered, in time or not, and on this machine
/// nobody else's wire is between (RFC 8689 §4.4).
fn at_its_end<'a>(next_hop: &NextHop, attempt: &'a Attempt) -> Cow<'a, Attempt> {
    let require_tls = attempt.mail.parameters.require_tls && !next_hop.host.is_this_machine();
    with(attempt, MailParameters { require_tls, deliver_by: None, ..parameters(attempt) })
}

fn parameters(attempt: &Attempt) -> MailParameters {
    attempt.mail.parameters.clone()
}

/// The same attempt with these parameters of MAIL.
fn with(attempt: &Attempt, parameters: MailParameters) -> Cow<'_, Attempt> {
    if attempt.mail.parameters == parameters {
        return Cow::Borrowed(attempt);
    }
    let mail = Mail { reverse_path: attempt.mail.reverse_path.clone(), parameters };
    Cow::Owned(Attempt { mail, ..attempt.clone() })
}
