//! Who a local address is: domains, users, aliases, tags, catch-all.

mod expand;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use smtp_mail::LocalUser;
use smtp_proto::{Domain, ForwardPath, LocalPart, Mailbox};

use crate::aliases::{AliasTarget, Aliases};

/// Where mail for a recipient goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Into the mailbox of a user.
    User(LocalUser),
    /// On to a mailbox that is not local: forwarding.
    Mailbox(Mailbox),
}

/// All targets of a recipient, each once, in the order of the aliases file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Where the mail goes; at least one.
    pub targets: Vec<Target>,
    /// What was left out on the way: for the log.
    pub dropped: Vec<Dropped>,
}

impl Expansion {
    /// One target, without any alias.
    pub fn of(target: Target) -> Self {
        Self { targets: vec![target], dropped: Vec::new() }
    }
}

/// A target of an alias that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// It leads back to an alias that it comes from, and there is no user of that name.
    #[error("alias {alias:?} leads back to {target:?}")]
    Loop {
        /// The alias whose target it is.
        alias: String,
        /// The target.
        target: String,
    },
    /// There is no such user, alias or local address.
    #[error("alias {alias:?} names {target:?}, which is no user and no alias")]
    Unknown {
        /// The alias whose target it is.
        alias: String,
        /// The target.
        target: String,
    },
}

/// Who a forward-path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Its domain is not local.
    NotLocal,
    /// Its domain is local, and nobody has the address.
    Unknown,
    /// Its aliases lead in a circle and to nobody, or further than [`ExpansionLimits::depth`].
    Loop,
    /// Its aliases lead to more than [`ExpansionLimits::recipients`].
    TooMany,
    /// It is these.
    Targets(Expansion),
}

/// How far aliases may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpansionLimits {
    /// Aliases from one to the next.
    pub depth: usize,
    /// Targets of one recipient.
    pub recipients: usize,
}

impl Default for ExpansionLimits {
    fn default() -> Self {
        Self { depth: 10, recipients: 1000 }
    }
}

/// Why an address cannot be given to a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Its domain is not local.
    #[error("{0} is not one of the local domains")]
    NotLocal(Domain),
    /// Another user has it.
    #[error("{address} belongs to {user} already")]
    Taken {
        /// The address.
        address: Mailbox,
        /// Who has it.
        user: LocalUser,
    },
}

/// Why a user cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} and {user} are the same name: names match without regard to case")]
pub struct UserError {
    /// The name.
    pub name: String,
    /// Who has it.
    pub user: LocalUser,
}

/// The addresses of the local domains, and who they are. Local parts match without regard to case and quoting.
#[derive(Debug, Clone, Default)]
pub struct LocalRecipients {
    /// Each local domain, with the addresses in it that were given to users one by one.
    domains: HashMap<Domain, HashMap<Key, LocalUser>>,
    /// By name, for targets of aliases.
    users: HashMap<Key, LocalUser>,
    /// By name: users who have their name at each local domain.
    everywhere: HashMap<Key, LocalUser>,
    rules: LocalRules,
}

/// What holds for all local domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRules {
    /// Names that stand for others. They go before users.
    pub aliases: Aliases,
    /// Who gets the mail for postmaster. None: the alias or the user of that name.
    pub postmaster: Option<AliasTarget>,
    /// Who gets the mail for addresses that nobody has. None: it is refused.
    pub catch_all: Option<AliasTarget>,
    /// What divides a user from a tag (RFC 5233). None: nothing does.
    pub subaddress_separator: Option<char>,
    /// How far aliases may lead.
    pub limits: ExpansionLimits,
}

impl Default for LocalRules {
    fn default() -> Self {
        Self {
            aliases: Aliases::default(),
            postmaster: None,
            catch_all: None,
            subaddress_separator: Some('+'),
            limits: ExpansionLimits::default(),
        }
    }
}

/// A local part, or a name, in the one form in which it is compared: without quotes and in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key(Box<str>);

impl Key {
    pub(crate) fn of_name(name: &str) -> Self {
        Self(name.to_lowercase().into())
    }

    pub(crate) fn of(local_part: &LocalPart) -> Self {
        Self::of_name(&local_part.unquoted())
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl LocalRecipients {
    /// Local domains in which no user lives yet.
    pub fn new(domains: impl IntoIterator<Item = Domain>, rules: LocalRules) -> Self {
        let domains = domains.into_iter().map(|domain| (domain, HashMap::new())).collect();
        Self { domains, rules, ..Self::default() }
    }

    /// Adds a user who has no address yet, but whom aliases can name.
    pub fn add_user(&mut self, user: &LocalUser) -> Result<(), UserError> {
        match self.users.entry(Key::of_name(user.as_str())) {
            Entry::Occupied(other) => Err(UserError { name: user.as_str().to_owned(), user: other.get().clone() }),
            Entry::Vacant(free) => {
                free.insert(user.clone());
                Ok(())
            }
        }
    }

    /// Gives a user the address of the user's name at each local domain.
    pub fn add_everywhere(&mut self, user: &LocalUser) {
        self.everywhere.insert(Key::of_name(user.as_str()), user.clone());
    }

    /// Gives a user an address in a local domain.
    pub fn add_address(&mut self, user: &LocalUser, address: &Mailbox) -> Result<(), AddressError> {
        let Some(addresses) = self.domains.get_mut(address.domain()) else {
            return Err(AddressError::NotLocal(address.domain().clone()));
        };
        let owner = addresses.entry(Key::of(address.local_part())).or_insert_with(|| user.clone());
        if owner == user { Ok(()) } else { Err(AddressError::Taken { address: address.clone(), user: owner.clone() }) }
    }

    /// Whether mail for a domain ends here.
    pub fn is_local(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain)
    }

    /// The local domains, in no order.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.domains.keys()
    }

    /// Who a forward-path is.
    pub fn resolve(&self, path: &ForwardPath) -> Resolution {
        match path {
            ForwardPath::Postmaster => expand::address(self, &Key::of_name(POSTMASTER), None),
            ForwardPath::Mailbox(mailbox) if self.is_local(mailbox.domain()) => {
                expand::address(self, &Key::of(mailbox.local_part()), Some(mailbox.domain()))
            }
            ForwardPath::Mailbox(_) => Resolution::NotLocal,
        }
    }

    /// Whether mail for this address ends with that user, or with others too: then it is one that the user may send under.
    pub fn reaches(&self, mailbox: &Mailbox, user: &LocalUser) -> bool {
        match self.resolve(&ForwardPath::Mailbox(mailbox.clone())) {
            Resolution::Targets(expansion) => expansion.targets.iter().any(|target| match target {
                Target::User(found) => found == user,
                Target::Mailbox(_) => false,
            }),
            _ => false,
        }
    }

    /// An address of each user among these: the user's name at `home`, else the first one in the order of the alphabet.
    pub(crate) fn addresses_of<'a>(&self, targets: &'a [Target], home: &Domain) -> HashMap<&'a LocalUser, Mailbox> {
        let users = targets.iter().filter_map(|target| match target {
            Target::User(user) => Some((user, user)),
            Target::Mailbox(_) => None,
        });
        let users: HashMap<&LocalUser, &'a LocalUser> = users.collect();
        let mut found: HashMap<&'a LocalUser, Mailbox> = HashMap::new();
        let mut note = |key: &Key, user: &LocalUser, domain: &Domain| {
            let Some(user) = users.get(user) else { return };
            let Ok(local_part) = LocalPart::from_unquoted(key.as_str()) else { return };
            let Ok(mailbox) = Mailbox::new(local_part, domain.clone()) else { return };
            let before = |one: &Mailbox| (one.domain() != home, one.to_string());
            if found.get(user).is_none_or(|other| before(&mailbox) < before(other)) {
                found.insert(user, mailbox);
            }
        };
        let own = if self.is_local(home) { Some(home) } else { self.domains().min_by_key(ToString::to_string) };
        for (key, user) in &self.everywhere {
            if let Some(own) = own {
                note(key, user, own);
            }
        }
        for (domain, addresses) in &self.domains {
            for (key, user) in addresses {
                note(key, user, domain);
            }
        }
        found
    }

    /// Who a target of the configuration is: that of `[local] postmaster` or `catch_all`, or of an alias.
    pub fn resolve_target(&self, target: &AliasTarget) -> Resolution {
        expand::target(self, target)
    }
}

const POSTMASTER: &str = "postmaster";

#[cfg(test)]
mod tests;
