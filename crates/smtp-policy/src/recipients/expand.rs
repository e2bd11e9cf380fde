//! From a local address to its targets, through aliases.

use std::collections::HashSet;

use smtp_mail::LocalUser;
use smtp_proto::Domain;

use crate::aliases::AliasTarget;
use crate::recipients::{Dropped, Expansion, Key, LocalRecipients, POSTMASTER, Resolution, Target};

/// Who `key` is in a local domain, or, without one, everywhere.
pub(super) fn address(table: &LocalRecipients, key: &Key, domain: Option<&Domain>) -> Resolution {
    let mut walk = Walk::new(table);
    let end = match walk.find_or_catch_all(key, domain) {
        Some(found) => walk.follow(found, key, domain),
        None => return Resolution::Unknown,
    };
    walk.resolution(end)
}

/// Who a target is.
pub(super) fn target(table: &LocalRecipients, target: &AliasTarget) -> Resolution {
    let mut walk = Walk::new(table);
    let end = walk.target(target);
    walk.resolution(end)
}

/// One expansion: a walk through the aliases, depth first.
struct Walk<'a> {
    table: &'a LocalRecipients,
    /// The aliases from the address to here. Only these can make a circle: two branches may well meet.
    branch: Vec<Node<'a>>,
    /// The aliases whose targets are all taken already.
    done: HashSet<Node<'a>>,
    taken: HashSet<Target>,
    expansion: Expansion,
}

/// Something that stands for other targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node<'a> {
    Alias(&'a Key),
    Postmaster,
    CatchAll,
}

/// What an address or a name leads to.
#[derive(Debug, Clone, Copy)]
enum Found<'a> {
    User(&'a LocalUser),
    Node(Node<'a>),
}

/// Why the walk was given up.
#[derive(Debug, Clone, Copy)]
enum Stop {
    TooDeep,
    TooMany,
}

impl<'a> Walk<'a> {
    fn new(table: &'a LocalRecipients) -> Self {
        Self { table, branch: Vec::new(), done: HashSet::new(), taken: HashSet::new(), expansion: Expansion::default() }
    }

    fn resolution(self, end: Result<(), Stop>) -> Resolution {
        match end {
            Err(Stop::TooDeep) => Resolution::Loop,
            Err(Stop::TooMany) => Resolution::TooMany,
            Ok(()) if !self.expansion.targets.is_empty() => Resolution::Targets(self.expansion),
            Ok(()) if self.expansion.dropped.iter().any(|dropped| matches!(dropped, Dropped::Loop { .. })) => {
                Resolution::Loop
            }
            Ok(()) => Resolution::Unknown,
        }
    }

    /// What `key` is: the postmaster of the configuration, an alias, a user; or the same without a tag.
    fn find(&self, key: &Key, domain: Option<&Domain>) -> Option<Found<'a>> {
        self.find_exactly(key, domain).or_else(|| {
            let separator = self.table.rules.subaddress_separator?;
            // From the right: the separator may be a part of the name.
            let mut ends = key.as_str().rmatch_indices(separator).map(|(at, _)| at).filter(|&at| at > 0);
            ends.find_map(|end| self.find_exactly(&Key::of_name(&key.as_str()[..end]), domain))
        })
    }

    fn find_exactly(&self, key: &Key, domain: Option<&Domain>) -> Option<Found<'a>> {
        if key.as_str() == POSTMASTER && self.table.rules.postmaster.is_some() && !self.is_on_branch(Node::Postmaster) {
            return Some(Found::Node(Node::Postmaster));
        }
        let alias = self.table.rules.aliases.find(key).map(|(key, _)| Found::Node(Node::Alias(key)));
        alias.or_else(|| self.user(key, domain).map(Found::User))
    }

    fn find_or_catch_all(&self, key: &Key, domain: Option<&Domain>) -> Option<Found<'a>> {
        let catch_all = self.table.rules.catch_all.is_some() && !self.is_on_branch(Node::CatchAll);
        self.find(key, domain).or_else(|| catch_all.then_some(Found::Node(Node::CatchAll)))
    }

    /// The user who has the address, or, without a domain, the name.
    fn user(&self, key: &Key, domain: Option<&Domain>) -> Option<&'a LocalUser> {
        match domain {
            None => self.table.users.get(key),
            Some(domain) => self
                .table
                .domains
                .get(domain)
                .and_then(|addresses| addresses.get(key))
                .or_else(|| self.table.everywhere.get(key)),
        }
    }

    fn is_on_branch(&self, node: Node<'_>) -> bool {
        self.branch.contains(&node)
    }

    fn follow(&mut self, found: Found<'a>, key: &Key, domain: Option<&Domain>) -> Result<(), Stop> {
        match found {
            Found::User(user) => self.take(Target::User(user.clone())),
            Found::Node(node) if self.is_on_branch(node) => self.close_circle(node, key, domain),
            Found::Node(node) => self.enter(node),
        }
    }

    /// A name that leads back to itself is the mailbox of the user of that name: the common way to keep a copy.
    fn close_circle(&mut self, node: Node<'a>, key: &Key, domain: Option<&Domain>) -> Result<(), Stop> {
        let name = match node {
            Node::Alias(alias) => alias,
            Node::Postmaster | Node::CatchAll => key,
        };
        if let Some(user) = self.user(name, domain).or_else(|| self.table.users.get(name)) {
            return self.take(Target::User(user.clone()));
        }
        let (alias, target) = (self.current_name(), name.as_str().to_owned());
        self.expansion.dropped.push(Dropped::Loop { alias, target });
        Ok(())
    }

    /// Follows all targets of a node, once.
    fn enter(&mut self, node: Node<'a>) -> Result<(), Stop> {
        if self.done.contains(&node) {
            return Ok(());
        }
        if self.branch.len() >= self.table.rules.limits.depth {
            return Err(Stop::TooDeep);
        }
        self.branch.push(node);
        for target in self.targets_of(node) {
            self.target(target)?;
        }
        self.branch.pop();
        self.done.insert(node);
        Ok(())
    }

    fn targets_of(&self, node: Node<'a>) -> impl Iterator<Item = &'a AliasTarget> + use<'a> {
        let rules = &self.table.rules;
        let (alias, rule) = match node {
            Node::Alias(key) => (rules.aliases.find(key).map(|(_, alias)| alias), None),
            Node::Postmaster => (None, rules.postmaster.as_ref()),
            Node::CatchAll => (None, rules.catch_all.as_ref()),
        };
        alias.into_iter().flat_map(|alias| alias.targets().map(|(target, _)| target)).chain(rule)
    }

    fn target(&mut self, target: &AliasTarget) -> Result<(), Stop> {
        let known = match target {
            AliasTarget::Mailbox(mailbox) if self.table.is_local(mailbox.domain()) => {
                let (key, domain) = (Key::of(mailbox.local_part()), Some(mailbox.domain()));
                self.find_or_catch_all(&key, domain).map(|found| self.follow(found, &key, domain))
            }
            AliasTarget::Mailbox(mailbox) => Some(self.take(Target::Mailbox(mailbox.clone()))),
            AliasTarget::Name(name) => {
                let key = Key::of_name(name);
                self.find(&key, None).map(|found| self.follow(found, &key, None))
            }
            AliasTarget::User(name) => {
                self.table.users.get(&Key::of_name(name)).map(|user| self.take(Target::User(user.clone())))
            }
        };
        known.unwrap_or_else(|| {
            // A dead target must not cost the others their mail.
            let alias = self.current_name();
            self.expansion.dropped.push(Dropped::Unknown { alias, target: target.to_string() });
            Ok(())
        })
    }

    fn take(&mut self, target: Target) -> Result<(), Stop> {
        if self.taken.contains(&target) {
            return Ok(());
        }
        if self.taken.len() >= self.table.rules.limits.recipients {
            return Err(Stop::TooMany);
        }
        self.taken.insert(target.clone());
        self.expansion.targets.push(target);
        Ok(())
    }

    fn current_name(&self) -> String {
        match self.branch.last() {
            Some(Node::Alias(key)) => key.as_str().to_owned(),
            Some(Node::Postmaster) | None => POSTMASTER.to_owned(),
            Some(Node::CatchAll) => "catch_all".to_owned(),
        }
    }
}
