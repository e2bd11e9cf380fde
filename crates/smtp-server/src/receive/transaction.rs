//! One mail transaction: who it is from and for, its content on the way into the queue, and the moment it is durable.

use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use smtp_mail::header::{HeaderBlock, HeaderSplitter};
use smtp_mail::trace::{self, Received};
use smtp_mail::{MessageId, submission, terms};
use smtp_policy::recipients::Target;
use smtp_policy::{Facts, LoginState};
use smtp_proto::{
    ContentFacts, DomainName, ForwardPath, Hello, Mail, MailParameters, Mailbox, Priority, Rcpt, Reply, ReversePath,
    TlsFacts,
};
use smtp_queue::{CommitError, Draft, DraftError, NewMessage};

use super::auth::LoggedIn;
use super::author::{self, Submitting};
use super::times::{self, Times};
use super::{Endpoint, replies};
use crate::allowance::{Allowance, Counted};
use crate::config::Config;
use crate::deliveries::Deliveries;
use crate::listener::Peer;
use crate::log;
use crate::metrics::Service;
use crate::shared::Shared;
use crate::submit::Submitter;

/// What is kept between MAIL and the reply to the mail data.
pub(super) struct Transaction {
    config: Arc<Config>,
    facts: Facts,
    /// Who has logged in.
    login: Option<LoggedIn>,
    /// The user, where it is a program of this machine.
    submitter: Option<Submitter>,
    allowance: Option<Allowance>,
    mail: Mail,
    /// The priority of the message, where it is lower than was asked for.
    lowered: Option<Priority>,
    /// When MAIL came.
    begun_at: SystemTime,
    draft: Draft,
    header: HeaderSplitter,
    recipients: Recipients,
}

/// Who sends.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) peer: Peer,
    /// The user, where it is a program of this machine.
    pub(super) submitter: Option<&'a Submitter>,
    /// Who has logged in.
    pub(super) login: Option<&'a LoggedIn>,
    pub(super) login_state: LoginState,
}

impl Sender<'_> {
    /// Whether this one may send under that path.
    fn permit(&self, config: &Config, path: &ReversePath) -> Result<(), Reply> {
        if let Some(login) = self.login.filter(|login| !login.permits(config, path)) {
            let text = format!("{path}: {} may not send under this address", login.user());
            return Err(replies::NOT_YOUR_ADDRESS.with_text(text).unwrap_or(replies::NOT_YOUR_ADDRESS));
        }
        self.submitter.map_or(Ok(()), |submitter| submitter.permit(config, path))
    }

    /// Lowers the priority to what this one may ask for: who has logged in, or is of a client network, has what the configuration permits;
    /// others nothing above 0 (RFC 6710 §4.1). The new one, where it was lowered.
    fn lower(&self, config: &Config, parameters: &mut MailParameters) -> Option<Priority> {
        let highest = if self.submitter.is_some() { Priority::default() } else { config.limits.priority };
        let asked = parameters.priority.filter(|asked| *asked > highest)?;
        parameters.priority = Some(asked.min(highest));
        parameters.priority
    }

    /// How much this one may send, where that is limited.
    fn allowance(&self, config: &Config) -> Option<Allowance> {
        match self.login {
            Some(login) => Some(Allowance::of_login(login.user().clone(), config.login_allowance)),
            None => self.submitter.map(|submitter| submitter.allowance(config)),
        }
    }
}

/// What the session knows of the message when its content is complete.
pub(super) struct Incoming {
    pub(super) peer: Peer,
    /// The name that the address is known to have.
    pub(super) name: Option<DomainName>,
    pub(super) hello: Option<Hello>,
    pub(super) tls: Option<TlsFacts>,
    pub(super) facts: ContentFacts,
}

/// The transaction is not begun, or has not come to its end: what is answered, and whose it was, for the log.
pub(super) struct Refused {
    pub(super) reply: Reply,
    pub(super) reverse_path: ReversePath,
}

impl Transaction {
    /// Begins with MAIL: the policy is asked, and whether there is room for what SIZE declares; it is reserved when the content comes.
    pub(super) fn begin(
        shared: &Shared,
        config: Arc<Config>,
        endpoint: &Endpoint,
        sender: Sender<'_>,
        mut mail: Mail,
    ) -> Result<Self, Refused> {
        let lowered = sender.lower(&config, &mut mail.parameters);
        let facts = facts(endpoint.service, sender.peer, sender.login_state);
        let permitted = config.policy.mail(&facts).into_result();
        let permitted = permitted.and_then(|()| sender.permit(&config, &mail.reverse_path));
        let begun_at = SystemTime::now();
        let permitted = permitted.and_then(|()| times::check(&mail.parameters, begun_at));
        let allowance = sender.allowance(&config);
        let permitted = permitted.and_then(|()| allowance.as_ref().map_or(Ok(()), |it| it.permit(shared, 0)));
        let draft = permitted.and_then(|()| {
            let draft = shared.queue().draft(mail.parameters.size);
            draft.map_err(|error| draft_refused(&error))
        });
        match draft {
            Ok(draft) => {
                let header = HeaderSplitter::new(config.limits.header_octets);
                Ok(Self {
                    config,
                    facts,
                    login: sender.login.cloned(),
                    submitter: sender.submitter.cloned(),
                    allowance,
                    mail,
                    lowered,
                    begun_at,
                    draft,
                    header,
                    recipients: Recipients::default(),
                })
            }
            Err(reply) => Err(Refused { reply, reverse_path: mail.reverse_path }),
        }
    }

    /// What is answered to MAIL.
    pub(super) fn taken(&self) -> Reply {
        self.lowered.map_or(replies::SENDER_OK, replies::priority_lowered)
    }

    /// The sender, for the log.
    pub(super) fn reverse_path(&self) -> &ReversePath {
        &self.mail.reverse_path
    }

    /// Decides one RCPT, and says what is answered.
    pub(super) fn recipient(&mut self, shared: &Shared, rcpt: &Rcpt) -> Reply {
        let expansion = match self.config.policy.rcpt(&self.facts, rcpt).into_result() {
            Ok(expansion) => expansion,
            Err(reply) => return reply,
        };
        let permitted = self.allowance.as_ref().map_or(Ok(()), |it| it.permit(shared, self.recipients.named + 1));
        if let Err(reply) = permitted {
            return reply;
        }
        for dropped in &expansion.dropped {
            log::alias_dropped(&rcpt.forward_path, dropped);
        }
        if self.recipients.deliveries.len() + expansion.targets.len() > self.config.limits.expanded_recipients() {
            return replies::TOO_MANY_RECIPIENTS;
        }
        self.recipients.add(expansion.targets, rcpt);
        replies::RECIPIENT_OK
    }

    /// Takes content as it comes: the header block is kept, the body goes on into the queue.
    pub(super) async fn write(&mut self, octets: Bytes) -> Result<(), Reply> {
        let body = self.header.push(octets).map_err(|_| replies::HEADER_TOO_LONG)?;
        self.write_body(body).await
    }

    /// Puts the trace field on and makes the message durable. The id is in the reply, the log and the Received field.
    pub(super) async fn commit(
        mut self: Box<Self>,
        shared: &Shared,
        endpoint: &Endpoint,
        session: &log::Session,
        incoming: Incoming,
    ) -> Result<MessageId, Refused> {
        let (block, body) = std::mem::replace(&mut self.header, HeaderSplitter::new(0)).finish();
        let received_at = SystemTime::now();
        let completed = self.complete(&block, body, received_at).await;
        // The last that can refuse it, so that only what is accepted counts.
        let counted = match completed.and_then(|()| self.count(shared)) {
            Ok(counted) => counted,
            Err(reply) => return Err(Refused { reply, reverse_path: self.mail.reverse_path }),
        };
        let id = self.draft.id();
        let header = self.header_on_top(&block, id, received_at, endpoint, &incoming);
        let message_id_field = block.find("Message-ID").map(|field| field.text().into_owned());
        let Self { config, allowance, mail, draft, recipients, .. } = *self;
        let times = Times::of(&config, &mail.parameters, received_at);
        let (octets, count, named) = (incoming.facts.octets, recipients.deliveries.len(), recipients.named);
        let message = NewMessage {
            // What is sent on is longer than what came: SIZE is of all of it (RFC 1870 §6).
            facts: ContentFacts { octets: header.len() as u64 + draft.octets(), ..incoming.facts },
            header,
            received_at,
            expires_at: times.expires_at,
            delay_notice_at: times.delay_notice_at,
            deliveries: recipients.deliveries.into_vec(),
            origin: incoming.peer.origin(),
            mail: mail.clone(),
            hold: counted.held_because().map(str::to_owned),
        };
        if let Err(error) = draft.commit(message).await {
            if let Some(allowance) = allowance {
                allowance.take_back(shared, named, &counted);
            }
            return Err(Refused { reply: commit_refused(&error), reverse_path: mail.reverse_path });
        }
        shared.metrics().message_received(endpoint.service, octets);
        log::received(
            session,
            log::Received {
                message: id,
                octets,
                recipients: count,
                tls: incoming.tls.as_ref().map(|tls| tls.version.as_str()),
                hello: incoming.hello.as_ref().map(|hello| &hello.name),
                reverse_path: &mail.reverse_path,
                terms: terms::asked_for(&mail.parameters).as_deref(),
                message_id_field: message_id_field.as_deref(),
            },
        );
        if let Some(reason) = counted.held_because() {
            log::held(session, id, reason);
        }
        Ok(id)
    }

    fn count(&self, shared: &Shared) -> Result<Counted, Reply> {
        self.allowance.as_ref().map_or(Ok(Counted::Within), |it| it.count(shared, self.recipients.named))
    }

    /// Looks at the header block, now that it is complete, and hands on the end of the body.
    async fn complete(&mut self, block: &HeaderBlock, body: Bytes, now: SystemTime) -> Result<(), Reply> {
        times::count_down(&mut self.mail.parameters, self.begun_at, now)?;
        if trace::hop_count(block) >= self.config.limits.received_hops {
            return Err(replies::TOO_MANY_HOPS);
        }
        if let Some(login) = &self.login
            && !author::sends_as_itself(login, &self.config, block)
        {
            return Err(replies::NOT_YOUR_FROM);
        }
        self.write_body(body).await
    }

    async fn write_body(&mut self, body: Bytes) -> Result<(), Reply> {
        if body.is_empty() {
            return Ok(());
        }
        self.draft.write(body).await.map_err(|error| draft_refused(&error))
    }

    /// The header block as it goes into the queue: the trace field, then the block as it came, on submission
    /// made complete (RFC 6409 §8).
    fn header_on_top(
        &self,
        block: &HeaderBlock,
        id: MessageId,
        received_at: SystemTime,
        endpoint: &Endpoint,
        incoming: &Incoming,
    ) -> Bytes {
        let received = Received {
            hello: incoming.hello.as_ref(),
            address: incoming.peer.address(),
            uid: incoming.peer.uid(),
            name: incoming.name.as_ref(),
            by: &self.config.hostname,
            smtputf8: self.mail.parameters.smtputf8,
            authenticated: self.login.is_some(),
            tls: incoming.tls.as_ref(),
            priority: self.mail.parameters.priority,
            id,
            recipient: self.recipients.only().filter(|path| path.is_ascii() || incoming.facts.eight_bit_header),
            at: received_at,
        };
        let submitted = (endpoint.service == Service::Submission).then(|| {
            let sender = self.owed_sender(block, &incoming.facts);
            submission::completed(block, id, &self.config.hostname, sender.as_ref(), received_at)
        });
        submitted.as_ref().unwrap_or(block).with_on_top(&received.to_field()).into_bytes()
    }

    /// The address for a `Sender` field. One that only SMTPUTF8 could carry is put into no header that does without.
    fn owed_sender(&self, block: &HeaderBlock, facts: &ContentFacts) -> Option<Mailbox> {
        let login = self.login.as_ref().map(Submitting::Login);
        let submitting = login.or_else(|| self.submitter.as_ref().map(Submitting::Program))?;
        let owed = author::owed_sender(submitting, &self.config, &self.mail.reverse_path, block);
        owed.filter(|owed| owed.is_ascii() || facts.eight_bit_header)
    }
}

/// The accepted recipients.
#[derive(Default)]
struct Recipients {
    deliveries: Deliveries,
    /// The first that the client has named, and whether it has named others.
    first: Option<ForwardPath>,
    several: bool,
    /// How many the client has named.
    named: usize,
}

impl Recipients {
    /// The one recipient that the client named, where it named one only: others must not be shown to each other
    /// (RFC 5321 §7.2).
    fn only(&self) -> Option<&ForwardPath> {
        self.first.as_ref().filter(|_| !self.several)
    }

    fn add(&mut self, targets: Vec<Target>, named: &Rcpt) {
        self.named += 1;
        match &self.first {
            None => self.first = Some(named.forward_path.clone()),
            Some(first) => self.several |= *first != named.forward_path,
        }
        self.deliveries.add_all(targets, named);
    }
}

/// What the policy may look at.
pub(super) fn facts(service: Service, peer: Peer, login: LoginState) -> Facts {
    match peer.address() {
        Some(client) => Facts::new(policy_service(service), client).with_login(login),
        None => Facts::of_local_user(),
    }
}

fn policy_service(service: Service) -> smtp_policy::Service {
    match service {
        Service::Mx | Service::Lmtp => smtp_policy::Service::Mx,
        Service::Submission => smtp_policy::Service::Submission,
    }
}

fn draft_refused(error: &DraftError) -> Reply {
    not_queued(error, error.is_full())
}

fn commit_refused(error: &CommitError) -> Reply {
    not_queued(error, error.is_full())
}

/// What is answered where the queue cannot take a message at present.
fn not_queued(error: &dyn Error, is_full: bool) -> Reply {
    log::queue_unavailable(error);
    if is_full { replies::NO_ROOM } else { replies::UNAVAILABLE }
}
