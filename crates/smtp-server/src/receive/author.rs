//! Who a submitted message says it is from: `From`, held against who submits it, and `Sender` (RFC 5322 §3.6.2).

use smtp_mail::address_list;
use smtp_mail::header::HeaderBlock;
use smtp_proto::{Domain, Mailbox, ReversePath};

use super::auth::LoggedIn;
use crate::config::Config;
use crate::submit::Submitter;

/// Who submits a message.
#[derive(Clone, Copy)]
pub(super) enum Submitting<'a> {
    /// Who has logged in.
    Login(&'a LoggedIn),
    /// A program of this machine.
    Program(&'a Submitter),
}

impl Submitting<'_> {
    fn permits(self, config: &Config, author: &Mailbox) -> bool {
        let path = ReversePath::Mailbox(author.clone());
        match self {
            Self::Login(login) => login.permits(config, &path),
            Self::Program(submitter) => submitter.permit(config, &path).is_ok(),
        }
    }
}

/// Whether every address in From is one that the user may send under (RFC 6409 §6.1). A field that cannot be read could be
/// read by others.
pub(super) fn sends_as_itself(login: &LoggedIn, config: &Config, block: &HeaderBlock) -> bool {
    let authors = authors(block, None);
    authors.is_some_and(|authors| authors.iter().all(|author| Submitting::Login(login).permits(config, author)))
}

/// The address for the `Sender` field, where the message has none and is to have one: several people have written it (RFC
/// 5322 §3.6.2), or somebody under whose address this one may not send (RFC 6409 §8.1). It is one of the submitting user's
/// own, and there is a mailbox for it where that can be known.
pub(super) fn owed_sender(
    submitting: Submitting<'_>,
    config: &Config,
    reverse_path: &ReversePath,
    block: &HeaderBlock,
) -> Option<Mailbox> {
    if block.find("Sender").is_some() {
        return None;
    }
    let domain = Domain::Name(config.submit.domain.clone());
    let authors = authors(block, Some(&domain))?;
    let (first, others) = authors.split_first()?;
    if others.is_empty() && submitting.permits(config, first) {
        return None;
    }
    let own = reverse_path.mailbox().cloned().or_else(|| match submitting {
        // Each author is one of the user's own addresses, or the message would have been refused.
        Submitting::Login(_) => Some(first.clone()),
        Submitting::Program(submitter) => submitter.address(config),
    });
    own.filter(|own| config.targets_of(own).is_some())
}

/// The addresses in From, where one has no domain at `domain`; `None`: they cannot be read.
fn authors(block: &HeaderBlock, domain: Option<&Domain>) -> Option<Vec<Mailbox>> {
    let mut authors = Vec::new();
    for field in block.named("From") {
        for address in address_list::parse(field.value()).ok()? {
            let domain = address.domain.or_else(|| domain.cloned())?;
            authors.push(Mailbox::new(address.local_part, domain).ok()?);
        }
    }
    Some(authors)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    const CONFIGURATION: &str = r#"hostname = "mx.example.org"
[local]
domains = ["example.org"]
users = "users.toml"
deliver = { maildir = "mail/{user}" }
postmaster = "alice"
[submit]
trusted_users = ["www-data"]
"#;

    fn config() -> Config {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("users.toml"), "[alice]\n[bob]\n").unwrap();
        fs::write(folder.path().join("c.toml"), CONFIGURATION).unwrap();
        Config::load(&folder.path().join("c.toml")).unwrap().config
    }

    /// The `Sender` that a program of that user is owed; what is no user of this machine is neither root nor the server's.
    fn owed(config: &Config, user: &str, reverse_path: &str, header: &str) -> Option<String> {
        let submitter = Submitter::new(u32::MAX - 1, user);
        let block = HeaderBlock::from_bytes(format!("{header}\r\n").into());
        let path = reverse_path.parse().unwrap();
        owed_sender(Submitting::Program(&submitter), config, &path, &block).map(|sender| sender.to_string())
    }

    /// RFC 6409 §8.1.
    #[test]
    fn a_program_that_writes_for_another_is_named_beside() {
        let config = config();
        for (user, path, header, sender) in [
            ("alice", "<>", "From: alice@example.org\r\n", None),
            ("alice", "<>", "From: Alice <alice+list@example.org>\r\n", None),
            ("alice", "<>", "From: alice\r\n", None),
            ("alice", "<>", "From: boss@example.com\r\n", Some("alice@example.org")),
            ("alice", "<alice+x@example.org>", "From: boss@example.com\r\n", Some("alice+x@example.org")),
            ("alice", "<>", "From: boss\r\n", Some("alice@example.org")),
            ("alice", "<>", "From: boss@example.com\r\nSender: boss@example.com\r\n", None),
            ("alice", "<>", "Subject: no From\r\n", None),
            ("alice", "<>", "From: what is this\r\n", None),
            ("alice", "<>", "From: nobody:;\r\n", None),
            // They may send under any address.
            ("www-data", "<>", "From: shop@example.com\r\n", None),
            // Nobody has that address, and a name that cannot be one.
            ("games", "<>", "From: boss@example.com\r\n", None),
            ("two words", "<>", "From: boss@example.com\r\n", None),
        ] {
            assert_eq!(owed(&config, user, path, header).as_deref(), sender, "{user} {path} {header}");
        }
    }

    /// RFC 5322 §3.6.2.
    #[test]
    fn one_of_several_authors_has_sent_it() {
        let config = config();
        for (user, path, header, sender) in [
            ("alice", "<>", "From: alice@example.org, bob@example.org\r\n", Some("alice@example.org")),
            ("alice", "<>", "From: alice@example.org, alice+x@example.org\r\n", Some("alice@example.org")),
            ("alice", "<>", "From: us: alice@example.org, bob@example.org;\r\n", Some("alice@example.org")),
            ("www-data", "<shop@example.com>", "From: a@example.com, b@example.com\r\n", Some("shop@example.com")),
            ("www-data", "<bob@example.org>", "From: a@example.com, b@example.com\r\n", Some("bob@example.org")),
            ("www-data", "<carol@example.org>", "From: a@example.com, b@example.com\r\n", None),
        ] {
            assert_eq!(owed(&config, user, path, header).as_deref(), sender, "{user} {path} {header}");
        }
    }
}
