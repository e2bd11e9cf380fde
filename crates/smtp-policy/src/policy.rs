//! The rules, one method a stage of the session.

use std::net::IpAddr;

use smtp_proto::{Domain, EnhancedStatus, ForwardPath, LocalPart, Mailbox, Rcpt, Reply, ReplyCode};

use crate::facts::{Facts, LoginState, Service};
use crate::recipients::{Expansion, LocalRecipients, Resolution, Target};
use crate::relay::{Denied, Relay};
use crate::verdict::Verdict;

const NOT_A_CLIENT: Reply = Reply::new(
    ReplyCode::MAILBOX_UNAVAILABLE,
    EnhancedStatus::new(5, 7, 1),
    "This service is for the clients of this network only",
);
/// RFC 4954 §6.
const LOG_IN_FIRST: Reply = Reply::new(
    ReplyCode::MUST_DO_FIRST,
    EnhancedStatus::new(5, 7, 0),
    "Authentication required: log in first, under TLS",
);
const UNKNOWN: Reply = Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, EnhancedStatus::new(5, 1, 1), "No such user here");
const RELAY_DENIED: Reply =
    Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, EnhancedStatus::new(5, 7, 1), "Relaying is not allowed");
const ROUTE_DENIED: Reply = Reply::new(
    ReplyCode::MAILBOX_UNAVAILABLE,
    EnhancedStatus::new(5, 7, 1),
    "A route to another host is not taken in a local part",
);
const ALIAS_LOOP: Reply = Reply::new(
    ReplyCode::MAILBOX_UNAVAILABLE,
    EnhancedStatus::new(5, 4, 6),
    "The aliases of this address lead in a circle, or too far",
);
const ALIAS_TOO_MANY: Reply = Reply::new(
    ReplyCode::MAILBOX_UNAVAILABLE,
    EnhancedStatus::new(5, 5, 3),
    "This address stands for too many recipients",
);

/// What this server takes, from whom, for whom.
#[derive(Debug, Clone)]
pub struct Policy {
    hostname: Domain,
    relay: Relay,
    local: Option<LocalRecipients>,
}

impl Policy {
    /// The rules of the server called `hostname`; without `local` recipients no mail ends here.
    pub fn new(hostname: Domain, relay: Relay, local: Option<LocalRecipients>) -> Self {
        Self { hostname, relay, local }
    }

    /// Whether this client may send on.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Who is local.
    pub fn local(&self) -> Option<&LocalRecipients> {
        self.local.as_ref()
    }

    /// MAIL: submission is for those who have logged in, the client networks and the users of this machine (RFC 6409 §4.3).
    pub fn mail(&self, facts: &Facts) -> Verdict {
        let is_stranger = !self.may_ask(facts);
        match facts.service {
            Service::Submission if is_stranger && facts.login == LoginState::Missing => Verdict::Refuse(LOG_IN_FIRST),
            Service::Submission if is_stranger => Verdict::Refuse(NOT_A_CLIENT),
            Service::Mx | Service::Submission => Verdict::Accept(()),
        }
    }

    /// RCPT: where mail for this recipient goes (RFC 5321 §3.6.2, §7.9). What is accepted has at least one target.
    pub fn rcpt(&self, facts: &Facts, rcpt: &Rcpt) -> Verdict<Expansion> {
        let path = &rcpt.forward_path;
        let resolution = self.local.as_ref().map_or(Resolution::NotLocal, |local| local.resolve(path));
        match resolution {
            Resolution::Targets(expansion) => Verdict::Accept(expansion),
            Resolution::NotLocal => self.remote(facts, path),
            other => Verdict::Refuse(refusal(&other, path)),
        }
    }

    fn remote(&self, facts: &Facts, path: &ForwardPath) -> Verdict<Expansion> {
        let Some(mailbox) = self.remote_mailbox(path) else {
            return Verdict::Refuse(naming(UNKNOWN, path));
        };
        let Some(client) = facts.client.filter(|_| !facts.is_logged_in()) else {
            return Verdict::Accept(Expansion::of(Target::Mailbox(mailbox)));
        };
        match self.relay.decide(client, &mailbox) {
            Ok(()) => Verdict::Accept(Expansion::of(Target::Mailbox(mailbox))),
            Err(Denied::NotAllowed) => Verdict::Refuse(relay_denied(path, client)),
            Err(Denied::RouteInLocalPart) => Verdict::Refuse(naming(ROUTE_DENIED, path)),
        }
    }

    /// Without local domains `<postmaster>` is the postmaster of this host, wherever the next hop takes that.
    fn remote_mailbox(&self, path: &ForwardPath) -> Option<Mailbox> {
        match path {
            ForwardPath::Mailbox(mailbox) => Some(mailbox.clone()),
            ForwardPath::Postmaster => {
                let local_part: LocalPart = "postmaster".parse().ok()?;
                Mailbox::new(local_part, self.hostname.clone()).ok()
            }
        }
    }
}

/// Why nothing goes to a local address that has no targets.
pub(crate) fn refusal(resolution: &Resolution, path: &ForwardPath) -> Reply {
    let reply = match resolution {
        Resolution::Loop => ALIAS_LOOP,
        Resolution::TooMany => ALIAS_TOO_MANY,
        Resolution::Unknown | Resolution::NotLocal | Resolution::Targets(_) => UNKNOWN,
    };
    naming(reply, path)
}

fn relay_denied(path: &ForwardPath, client: IpAddr) -> Reply {
    let text = format!("{path}: this is no address of this server, and [{client}] may not send through it");
    RELAY_DENIED.with_text(text).unwrap_or(RELAY_DENIED)
}

/// The reply with the path before its text, where that can be said in ASCII.
fn naming(reply: Reply, path: &ForwardPath) -> Reply {
    let text = format!("{path}: {}", lower_initial(reply.text()));
    reply.clone().with_text(text).unwrap_or(reply)
}

fn lower_initial(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|initial| initial.to_ascii_lowercase()).into_iter().chain(characters).collect()
}
