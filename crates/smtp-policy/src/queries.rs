//! What a client may ask about addresses: VRFY and EXPN (RFC 5321 §3.5).

use std::fmt::Write as _;

use smtp_mail::LocalUser;
use smtp_proto::{Domain, EnhancedStatus, ForwardPath, LocalPart, Mailbox, Reply, ReplyCode};

use crate::facts::Facts;
use crate::policy::{Policy, refusal};
use crate::recipients::{Expansion, Resolution, Target};

/// To those who may not ask, and where nothing can be said: it tells nothing (RFC 5321 §7.3).
const CANNOT_VERIFY: Reply =
    Reply::new(ReplyCode::CANNOT_VERIFY, EnhancedStatus::new(2, 5, 0), "Cannot verify; send the message and see");
/// To those who may not ask: as where there is no EXPN.
const NOT_SHOWN: Reply = Reply::new(ReplyCode::NOT_IMPLEMENTED, EnhancedStatus::new(5, 5, 1), "Lists are not shown");
const ADDRESS: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 1, 5), "");
const FORWARDED: Reply = Reply::new(ReplyCode::WILL_FORWARD, EnhancedStatus::new(2, 1, 5), "");
const AMBIGUOUS: Reply = Reply::new(ReplyCode::NAME_NOT_ALLOWED, EnhancedStatus::new(5, 1, 4), "");
const NO_ADDRESS: Reply =
    Reply::new(ReplyCode::NAME_NOT_ALLOWED, EnhancedStatus::new(5, 1, 3), "That is no name and no address");
/// RFC 5321 §3.5.2: the mail may be taken all the same.
const NO_LIST: Reply =
    Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, EnhancedStatus::new(5, 1, 1), "That is no list of this server");

/// Addresses that an ambiguous name is answered with at most.
const POSSIBILITIES_MAX: usize = 10;

/// Who was asked for.
enum Found {
    /// Nobody of whom this server knows more than that it would send to them.
    Elsewhere,
    Here(Mailbox, Expansion),
}

impl Policy {
    /// Whether a client may ask who there is: those who may send to anywhere may. To others the answers say nothing (RFC 5321 §7.3).
    pub fn may_ask(&self, facts: &Facts) -> bool {
        facts.is_logged_in() || facts.client.is_none_or(|client| self.relay().trusts(client))
    }

    /// VRFY (RFC 5321 §3.5.1): is there such a user? 250 with the address, 251 where its mail goes on to another, 252 where that
    /// cannot be said, 550 where there is none, 553 where a name without a domain means several. Such a name is one of `home`
    /// first.
    pub fn verify(&self, facts: &Facts, asked: &str, home: &Domain) -> Reply {
        if !self.may_ask(facts) {
            return CANNOT_VERIFY;
        }
        let reply = match self.find(asked, home) {
            Err(reply) => return reply,
            Ok(Found::Elsewhere) => return CANNOT_VERIFY,
            Ok(Found::Here(mailbox, expansion)) => match &expansion.targets[..] {
                [Target::Mailbox(other)] => FORWARDED.with_text(format!("User not local; will forward to <{other}>")),
                _ => ADDRESS.with_text(format!("<{mailbox}>")),
            },
        };
        // An address in UTF-8 cannot be told to who has not asked for SMTPUTF8 (RFC 6531 §3.7.4.2).
        reply.unwrap_or(CANNOT_VERIFY)
    }

    /// EXPN (RFC 5321 §3.5.1): who is on this list? 250 with an address a line; a user's list has the user alone.
    pub fn expand(&self, facts: &Facts, asked: &str, home: &Domain) -> Reply {
        if !self.may_ask(facts) {
            return NOT_SHOWN;
        }
        match self.find(asked, home) {
            Err(reply) => reply,
            Ok(Found::Elsewhere) => NO_LIST,
            Ok(Found::Here(_, expansion)) => {
                let members = self.members(&expansion.targets, home);
                ADDRESS.with_text(members.join("\n")).unwrap_or(CANNOT_VERIFY)
            }
        }
    }

    fn find(&self, asked: &str, home: &Domain) -> Result<Found, Reply> {
        let Some(local) = self.local() else { return Ok(Found::Elsewhere) };
        let asked = asked.strip_prefix('<').and_then(|asked| asked.strip_suffix('>')).unwrap_or(asked);
        if let Ok(mailbox) = Mailbox::parse(asked.as_bytes()) {
            let path = ForwardPath::Mailbox(mailbox.clone());
            return match local.resolve(&path) {
                Resolution::NotLocal => Ok(Found::Elsewhere),
                Resolution::Targets(expansion) => Ok(Found::Here(mailbox, expansion)),
                other => Err(refusal(&other, &path)),
            };
        }
        let name = Some(asked).filter(|asked| !asked.is_empty() && !asked.contains('@'));
        let name =
            name.and_then(|name| name.parse().or_else(|_| LocalPart::from_unquoted(name)).ok()).ok_or(NO_ADDRESS)?;
        self.find_name(&name, home)
    }

    /// A name without a domain: the address that it is at `home`, else at one other local domain.
    fn find_name(&self, name: &LocalPart, home: &Domain) -> Result<Found, Reply> {
        let Some(local) = self.local() else { return Ok(Found::Elsewhere) };
        let mut domains: Vec<&Domain> = local.domains().collect();
        domains.sort_by_cached_key(|domain| (*domain != home, domain.to_string()));
        let mut refused = None;
        let mut found: Vec<(Mailbox, Expansion)> = Vec::new();
        for domain in domains {
            let Ok(mailbox) = Mailbox::new(name.clone(), domain.clone()) else { continue };
            let path = ForwardPath::Mailbox(mailbox.clone());
            match local.resolve(&path) {
                Resolution::Targets(expansion) if domain == home => return Ok(Found::Here(mailbox, expansion)),
                Resolution::Targets(expansion) => {
                    if !found.iter().any(|(_, other)| other.targets == expansion.targets) {
                        found.push((mailbox, expansion));
                    }
                }
                other => refused = refused.or_else(|| Some(refusal(&other, &path))),
            }
        }
        match (found.len(), refused) {
            (1, _) => Ok(found.pop().map_or(Found::Elsewhere, |(mailbox, expansion)| Found::Here(mailbox, expansion))),
            (0, refused) => Err(refused.unwrap_or(NO_ADDRESS)),
            (_, _) => Err(ambiguous(&found)),
        }
    }

    fn members(&self, targets: &[Target], home: &Domain) -> Vec<String> {
        let addresses = self.local().map(|local| local.addresses_of(targets, home)).unwrap_or_default();
        let member = |target: &Target| match target {
            Target::Mailbox(mailbox) => format!("<{mailbox}>"),
            Target::User(user) => match addresses.get(user) {
                Some(mailbox) => format!("<{mailbox}>"),
                None => LocalUser::to_string(user),
            },
        };
        targets.iter().map(member).collect()
    }
}

/// RFC 5321 §3.5.1: the possibilities are told.
fn ambiguous(found: &[(Mailbox, Expansion)]) -> Reply {
    let mut text = String::from("Ambiguous; possibilities are");
    for (mailbox, _) in found.iter().take(POSSIBILITIES_MAX) {
        write!(text, "\n<{mailbox}>").expect("a String grows as it is written to");
    }
    AMBIGUOUS.with_text(text).unwrap_or(CANNOT_VERIFY)
}

#[cfg(test)]
mod tests;
