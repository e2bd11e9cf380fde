//! HELP, VRFY, EXPN and ETRN, where the configuration has them.

use std::time::SystemTime;

use smtp_mail::DomainPattern;
use smtp_policy::Facts;
use smtp_proto::{Argument, Domain, EnhancedStatus, NotAwaited, Reply, ReplyCode};
use smtp_queue::{Act, Selector};

use super::connection::{Paths, Receiver};
use super::{replies, transaction};
use crate::config::Config;
use crate::log;
use crate::metrics::{Stage, Verb};

impl Receiver {
    /// HELP (RFC 5321 §4.1.1.8), whatever it is asked about.
    pub(super) fn help(&mut self) -> Result<(), NotAwaited> {
        // A reload may have taken the text away since this session began.
        let reply = self.shared.config().help.clone().unwrap_or(replies::NO_HELP);
        self.reply(Verb::Other, Stage::Command, reply, Paths::default())
    }

    /// VRFY (RFC 5321 §3.5).
    pub(super) fn vrfy(&mut self, argument: &Argument) -> Result<(), NotAwaited> {
        let config = self.shared.config();
        let home = Domain::Name(config.submit.domain.clone());
        let reply = config.policy.verify(&self.facts(&config), argument.as_str(), &home);
        self.reply(Verb::Other, Stage::Command, reply, Paths::default())
    }

    /// EXPN (RFC 5321 §3.5).
    pub(super) fn expn(&mut self, argument: &Argument) -> Result<(), NotAwaited> {
        let config = self.shared.config();
        let home = Domain::Name(config.submit.domain.clone());
        let reply = config.policy.expand(&self.facts(&config), argument.as_str(), &home);
        self.reply(Verb::Other, Stage::Command, reply, Paths::default())
    }

    /// ETRN (RFC 1985): what waits for a domain that has a route is due now.
    pub(super) async fn etrn(&mut self, argument: &Argument) -> Result<(), NotAwaited> {
        let config = self.shared.config();
        let reply = match self.node(&config, argument) {
            Ok(node) => self.start(&node).await,
            Err(reply) => reply,
        };
        self.reply(Verb::Other, Stage::Command, reply, Paths::default())
    }

    /// Whether this client may ask who there is, and for what waits.
    pub(super) fn may_ask(&self, config: &Config) -> bool {
        config.policy.may_ask(&self.facts(config))
    }

    /// What the policy may look at.
    pub(super) fn facts(&self, config: &Config) -> Facts {
        transaction::facts(self.endpoint.service, self.session.peer, self.login_state(config))
    }

    /// The domains that are asked for, where this client may ask for them.
    fn node(&self, config: &Config, argument: &Argument) -> Result<Node, Reply> {
        if !self.may_ask(config) {
            return Err(not_allowed(argument, "this client may not ask for it"));
        }
        let node = Node::parse(argument).ok_or(replies::NO_NODE)?;
        if config.routes.routes.iter().flat_map(|route| &route.recipients).any(|pattern| pattern.matches(&node.domain))
        {
            Ok(node)
        } else {
            Err(not_allowed(argument, "it has no route of its own here"))
        }
    }

    async fn start(&self, node: &Node) -> Reply {
        let mut matched = 0;
        for pattern in node.patterns() {
            // What is held is not the client's to let go: by an operator, or by who has sent it and said when it may leave.
            let (held, released) = (Some(false), Some(true));
            let selector = Selector { domain: Some(pattern), held, released, ..Selector::default() };
            match self.shared.queue().control(&selector, Act::DueNow, SystemTime::now()).await {
                Ok(report) => matched += report.matched,
                Err(error) => {
                    log::queue_unavailable(&error);
                    return replies::NODE_NOT_STARTED;
                }
            }
        }
        let reply = if matched == 0 { replies::NODE_EMPTY } else { replies::NODE_STARTED };
        let text = match matched {
            0 => format!("OK, nothing waiting for node {}", node.domain),
            1 => format!("OK, 1 pending recipient for node {} started", node.domain),
            several => format!("OK, {several} pending recipients for node {} started", node.domain),
        };
        reply.clone().with_text(text).unwrap_or(reply)
    }
}

/// What ETRN asks for (RFC 1985 §5.3).
struct Node {
    domain: Domain,
    /// `@` stands before it.
    with_subdomains: bool,
}

impl Node {
    /// A name of a queue (`#name`) is none: there are no queues with names here.
    fn parse(argument: &Argument) -> Option<Self> {
        let text = argument.as_str();
        let name = text.strip_prefix('@');
        let domain = name.unwrap_or(text).parse().ok()?;
        Some(Self { domain, with_subdomains: name.is_some() })
    }

    fn patterns(&self) -> impl Iterator<Item = DomainPattern> {
        let below = self.with_subdomains.then(|| format!("*.{}", self.domain));
        [Some(self.domain.to_string()), below].into_iter().flatten().filter_map(|pattern| pattern.parse().ok())
    }
}

fn not_allowed(argument: &Argument, reason: &str) -> Reply {
    const NOT_ALLOWED: Reply =
        Reply::new(ReplyCode::NODE_NOT_ALLOWED, EnhancedStatus::new(4, 7, 1), "Node not allowed");
    NOT_ALLOWED.with_text(format!("Node {argument} not allowed: {reason}")).unwrap_or(NOT_ALLOWED)
}
