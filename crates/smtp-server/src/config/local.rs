//! Mail that ends here: domains, users, aliases, Maildirs.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;

use smtp_config::{Placed, Source, UserEntry, Users, file};
use smtp_mail::LocalUser;
use smtp_policy::LocalRecipients;
use smtp_policy::aliases::{AliasTarget, Aliases};
use smtp_policy::recipients::{Dropped, ExpansionLimits, LocalRules, Resolution};
use smtp_proto::{Domain, ForwardPath, LocalPart, Mailbox};

use super::Maildirs;
use super::prover::Prover;

/// How deep aliases may be allowed to go: each step is a step of recursion.
pub(super) const ALIAS_DEPTH_MAX: u32 = 100;

/// The longest name of a user in octets, which is a local part and the name of a folder.
const USER_NAME_OCTETS_MAX: usize = 64;

/// Who is local, and where their mail is put.
pub(super) struct Local {
    pub(super) recipients: LocalRecipients,
    pub(super) maildirs: Maildirs,
}

pub(super) fn local(prover: &mut Prover<'_>, local: &Placed<file::Local>, limits: &file::Limits) -> Option<Local> {
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
    let template = template(prover, &local.deliver.maildir);
    let (users_source, users) = users?;
    let (aliases_source, aliases) = aliases?;
    let maildirs = add_users(prover, &users_source, &users, &mut recipients, domains.first(), &template?);
    check_rules(prover, local, &recipients);
    check_aliases(prover, &aliases_source, &aliases, &recipients);
    Some(Local { recipients, maildirs })
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
        Ok(users) => Some((source, users)),
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

/// A path with places for the user and the domain.
struct Template(String);

fn template(prover: &mut Prover<'_>, written: &Placed<String>) -> Option<Template> {
    let unknown = written.split('{').skip(1).find(|rest| !rest.starts_with("user}") && !rest.starts_with("domain}"));
    let message = if let Some(rest) = unknown {
        let name = rest.split('}').next().unwrap_or(rest);
        format!("{{{name}}} stands for nothing here; there are {{user}} and {{domain}}")
    } else if !written.contains("{user}") {
        "all users would share one Maildir; put {user} into the path".to_owned()
    } else {
        return Some(Template(prover.resolve(written.as_str()).to_string_lossy().into_owned()));
    };
    prover.error(written.place(), message);
    None
}

impl Template {
    fn path(&self, user: &LocalUser, domain: &Domain) -> PathBuf {
        let domain = domain.to_string().to_ascii_lowercase();
        // The name of a user is checked, so that it has no braces.
        self.0.replace("{user}", user.as_str()).replace("{domain}", &domain).into()
    }
}

fn add_users(
    prover: &mut Prover<'_>,
    source: &Source,
    users: &Users,
    recipients: &mut LocalRecipients,
    first_domain: Option<&Domain>,
    template: &Template,
) -> Maildirs {
    let mut by_user = HashMap::new();
    let mut paths = HashSet::new();
    for (name, entry) in &users.0 {
        let user = LocalUser::new(name);
        let known = check_user_name(name).and_then(|()| recipients.add_user(&user).map_err(|error| error.to_string()));
        if let Err(message) = known {
            prover.error_elsewhere(source.problem(name.place(), message));
            continue;
        }
        let domain = add_addresses(prover, source, &user, entry, recipients).or_else(|| first_domain.cloned());
        // Without a domain there is a problem that says so.
        let Some(domain) = domain else { continue };
        let path = template.path(&user, &domain);
        if !paths.insert(path.clone()) {
            let text = format!("another user has the Maildir {} already", path.display());
            prover.error_elsewhere(source.problem(name.place(), text));
        }
        by_user.insert(user, path);
    }
    Maildirs { by_user }
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
