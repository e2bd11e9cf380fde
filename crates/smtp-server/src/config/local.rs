//! Mail that ends here: domains, users, aliases, Maildirs.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use smtp_config::{Placed, Source, UserEntry, Users, file};
use smtp_delivery::maildir::{MaildirConfig, MaildirTemplate, Maildirs, TemplateError};
use smtp_mail::LocalUser;
use smtp_policy::LocalRecipients;
use smtp_policy::aliases::{AliasTarget, Aliases};
use smtp_policy::recipients::{Dropped, ExpansionLimits, LocalRules, Resolution};
use smtp_proto::{Domain, ForwardPath, LocalPart, Mailbox};

use super::auth;
use super::prover::Prover;
use super::{Mailboxes, hops};
use crate::credentials::Credentials;

/// How deep aliases may be allowed to go: each step is a step of recursion.
pub(super) const ALIAS_DEPTH_MAX: u32 = 100;

/// The longest name of a user in octets, which is a local part and the name of a folder.
const USER_NAME_OCTETS_MAX: usize = 64;

/// Who is local, and where their mail is put.
pub(super) struct Local {
    pub(super) recipients: LocalRecipients,
    pub(super) mailboxes: Mailboxes,
}

pub(super) fn local(
    prover: &mut Prover<'_>,
    local: &Placed<file::Local>,
    limits: &file::Limits,
    hostname: &str,
    credentials: &mut Credentials,
) -> Option<Local> {
    let domains = domains(prover, local);
    let users = match &local.users {
        Some(path) => prover.read(path).and_then(|source| users(prover, source)),
        None => Some((Source::new("", ""), Users::default())),
    };
    let aliases = match &local.aliases {
        Some(path) => prover.read(path).and_then(|source| aliases(prover, source)),
        None => Some((Source::new("", ""), Aliases::default())),
    };
    let rules = LocalRules {
        postmaster: local.postmaster.as_ref().and_then(|target| prover.parse(target)),
        catch_all: local.catch_all.as_ref().and_then(|target| prover.parse(target)),
        subaddress_separator: separator(prover, &local.subaddress_separator),
        limits: ExpansionLimits {
            // A limit of zero is told where limits are.
            depth: usize::try_from(*limits.alias_depth).unwrap_or(usize::MAX).max(1),
            recipients: usize::try_from(*limits.alias_recipients).unwrap_or(usize::MAX).max(1),
        },
        aliases: aliases.as_ref().map(|(_, aliases)| aliases.clone()).unwrap_or_default(),
    };
    let mut recipients = LocalRecipients::new(domains.iter().cloned(), rules);
    let (users_source, users) = users?;
    let (aliases_source, aliases) = aliases?;
    let maildir_users = add_users(prover, &users_source, &users, &mut recipients, domains.first());
    auth::add_users(prover, &users_source, &users, &domains, credentials);
    let mailboxes = mailboxes(prover, local, hostname, maildir_users);
    if let Some(Mailboxes::Maildirs(maildirs)) = &mailboxes {
        check_maildirs(prover, &users_source, &users, maildirs);
    }
    check_rules(prover, local, &recipients);
    check_aliases(prover, &aliases_source, &aliases, &recipients);
    Some(Local { recipients, mailboxes: mailboxes? })
}

fn mailboxes(
    prover: &mut Prover<'_>,
    local: &Placed<file::Local>,
    hostname: &str,
    users: HashMap<LocalUser, Domain>,
) -> Option<Mailboxes> {
    match (&local.deliver.maildir, &local.deliver.lmtp) {
        (Some(maildir), None) => {
            let template = template(prover, maildir)?;
            let config = MaildirConfig { template, hostname: hostname.to_owned(), users };
            Some(Mailboxes::Maildirs(Maildirs::new(config)))
        }
        (None, Some(lmtp)) => Some(Mailboxes::Server(hops::mailbox_server(lmtp))),
        (Some(_), Some(lmtp)) => {
            prover.error(lmtp.place(), "`deliver` has `maildir` and `lmtp`: mail goes one way, so leave one out");
            None
        }
        (None, None) => {
            let text = "`deliver` is empty: write { maildir = \"/var/mail/{domain}/{user}\" } or { lmtp = \"unix:/run/dovecot/lmtp\" }";
            prover.error(local.place(), text);
            None
        }
    }
}

fn domains(prover: &mut Prover<'_>, local: &Placed<file::Local>) -> Vec<Domain> {
    if local.domains.is_empty() {
        prover.error(local.place(), "`domains` is empty: name the domains whose mail ends here, or leave [local] out");
    }
    let mut domains: Vec<Domain> = Vec::new();
    for written in &local.domains {
        match written.parse::<Domain>() {
            Ok(domain) if domains.contains(&domain) => {
                prover.error(written.place(), format!("{domain} is named twice"));
            }
            Ok(domain) => domains.push(domain),
            Err(error) => prover.error(written.place(), format!("{:?} is no domain: {error}", written.as_str())),
        }
    }
    domains
}

fn separator(prover: &mut Prover<'_>, written: &Placed<String>) -> Option<char> {
    let mut characters = written.chars();
    let separator = characters.next()?;
    if characters.next().is_some() || !"!#$%&'*+-/=?^_`{|}~.".contains(separator) {
        let text = format!(
            "{:?} cannot divide a user from a tag; take one character such as \"+\" or \"-\", or \"\"",
            written.as_str()
        );
        prover.error(written.place(), text);
    }
    Some(separator)
}

fn users(prover: &mut Prover<'_>, source: Source) -> Option<(Source, Users)> {
    match source.users() {
        Ok(users) => Some((source.hiding_values(), users)),
        Err(problems) => {
            problems.into_iter().for_each(|problem| prover.error_elsewhere(problem));
            None
        }
    }
}

fn aliases(prover: &mut Prover<'_>, source: Source) -> Option<(Source, Aliases)> {
    match Aliases::parse(source.text()) {
        Ok(aliases) => Some((source, aliases)),
        Err(problems) => {
            for problem in problems {
                prover.error_elsewhere(source.problem(Some(problem.place), problem.error.to_string()));
            }
            None
        }
    }
}

fn template(prover: &mut Prover<'_>, written: &Placed<String>) -> Option<MaildirTemplate> {
    let path = prover.resolve(written.as_str()).to_string_lossy().into_owned();
    path.parse().map_err(|error: TemplateError| prover.error(written.place(), error.to_string())).ok()
}

/// Makes the users known, each with the domain that stands in the path of the Maildir.
fn add_users(
    prover: &mut Prover<'_>,
    source: &Source,
    users: &Users,
    recipients: &mut LocalRecipients,
    first_domain: Option<&Domain>,
) -> HashMap<LocalUser, Domain> {
    let mut domains = HashMap::new();
    for (name, entry) in &users.0 {
        let user = LocalUser::new(name);
        let known = check_user_name(name).and_then(|()| recipients.add_user(&user).map_err(|error| error.to_string()));
        if let Err(message) = known {
            prover.error_elsewhere(source.problem(name.place(), message));
            continue;
        }
        let domain = add_addresses(prover, source, &user, entry, recipients).or_else(|| first_domain.cloned());
        // Without a domain there is a problem that says so.
        domains.extend(domain.map(|domain| (user, domain)));
    }
    domains
}

/// No two users share a Maildir.
fn check_maildirs(prover: &mut Prover<'_>, source: &Source, users: &Users, maildirs: &Maildirs) {
    let mut paths = HashSet::new();
    for name in users.0.keys() {
        let text = match maildirs.path_of(&LocalUser::new(name)) {
            Ok(Some(path)) if !paths.insert(path.clone()) => {
                format!("another user has the Maildir {} already", path.display())
            }
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        prover.error_elsewhere(source.problem(name.place(), text));
    }
}

/// The name is that of a folder, and of what stands before `@`.
fn check_user_name(name: &str) -> Result<(), String> {
    let is_plain =
        |character: char| character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '+' | '=' | '\'' | '~');
    if name.len() > USER_NAME_OCTETS_MAX {
        Err(format!("the name of a user has at most {USER_NAME_OCTETS_MAX} octets"))
    } else if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        let text = "cannot be the name of a user; take letters, digits and the characters . - _ + = ' ~, without a dot in front";
        Err(format!("{name:?} {text}"))
    } else {
        Ok(())
    }
}

/// Gives a user the addresses that are written; the domain of the first of them.
fn add_addresses(
    prover: &mut Prover<'_>,
    source: &Source,
    user: &LocalUser,
    entry: &UserEntry,
    recipients: &mut LocalRecipients,
) -> Option<Domain> {
    let Some(addresses) = &entry.addresses else {
        recipients.add_everywhere(user);
        return None;
    };
    let mut first = None;
    for written in addresses {
        let address: Result<Mailbox, String> =
            written.parse().map_err(|error| format!("{:?} is no address: {error}", written.as_str()));
        let added = address.and_then(|address| match recipients.add_address(user, &address) {
            Ok(()) => Ok(address),
            Err(error) => Err(error.to_string()),
        });
        match added {
            Ok(address) => first = first.or_else(|| Some(address.domain().clone())),
            Err(message) => prover.error_elsewhere(source.problem(written.place(), message)),
        }
    }
    first
}

/// There must be a postmaster at each local domain, and the catch-all must be somebody.
fn check_rules(prover: &mut Prover<'_>, local: &Placed<file::Local>, recipients: &LocalRecipients) {
    let rules = [("postmaster", &local.postmaster), ("catch_all", &local.catch_all)];
    for (key, written) in rules {
        let Some(written) = written else { continue };
        let Ok(target) = written.parse::<AliasTarget>() else { return };
        if !matches!(recipients.resolve_target(&target), Resolution::Targets(_)) {
            let text = format!(
                "`{key}` is {:?}, which is no user, no alias and no address that mail can go to",
                written.as_str()
            );
            prover.error(written.place(), text);
            return;
        }
    }
    for path in postmasters(recipients) {
        if !matches!(recipients.resolve(&path), Resolution::Targets(_)) {
            let text = format!(
                "mail for {path} goes to nobody: add `postmaster` with the name of a user to [local], or an alias or a user of that \
                 name (RFC 5321 §4.5.1)"
            );
            prover.error(local.place(), text);
            return;
        }
    }
}

fn postmasters(recipients: &LocalRecipients) -> Vec<ForwardPath> {
    let at_domain = |domain: &Domain| {
        let local_part: LocalPart = "postmaster".parse().ok()?;
        Mailbox::new(local_part, domain.clone()).ok().map(ForwardPath::Mailbox)
    };
    let mut paths = vec![ForwardPath::Postmaster];
    paths.extend(recipients.domains().filter_map(at_domain));
    paths
}

/// Says which aliases lead nowhere. The others go on working, so it is no error.
fn check_aliases(prover: &mut Prover<'_>, source: &Source, aliases: &Aliases, recipients: &LocalRecipients) {
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    for alias in aliases.iter() {
        let name = alias.name();
        let refused = match recipients.resolve_target(&AliasTarget::Name(name.into())) {
            Resolution::Targets(expansion) => {
                let dropped = expansion.dropped.iter().filter_map(|dropped| {
                    let place = place_of(dropped, aliases)?;
                    Some((place, format!("{dropped}; it is left out")))
                });
                found.extend(dropped);
                continue;
            }
            Resolution::TooMany => "stands for too many recipients",
            Resolution::Loop => "leads in a circle, or too far",
            Resolution::Unknown | Resolution::NotLocal => "leads to nobody",
        };
        found.push((alias.place(), format!("alias {name:?} {refused}: mail for it is refused")));
    }
    // All who lead through it find the same.
    found.sort_by(|left, right| (left.0.start, &left.1).cmp(&(right.0.start, &right.1)));
    found.dedup();
    for (place, message) in found {
        prover.warn_elsewhere(source.problem(Some(place), message));
    }
}

/// Where the target that was dropped stands.
fn place_of(dropped: &Dropped, aliases: &Aliases) -> Option<Range<usize>> {
    let (from, to) = match dropped {
        Dropped::Loop { alias, target } | Dropped::Unknown { alias, target } => (alias, target.to_lowercase()),
    };
    let alias = aliases.named(from)?;
    let target = alias.targets().find(|(target, _)| target.to_string().to_lowercase() == to);
    Some(target.map_or(alias.place(), |(_, place)| place))
}
