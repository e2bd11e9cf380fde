//! `smtp-server check`: can the configuration be used, and what will it do?

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use smtp_client::{NextHop, SecretFile};
use smtp_config::file::ClientCertificates;
use smtp_config::{LoadError, Problem};
use smtp_policy::Resolution;
use smtp_policy::recipients::Target;
use smtp_proto::ForwardPath;

use crate::config::{Config, EXIT_CONFIG, Loaded, Mailboxes};

/// How long before its end a certificate is warned of: automatic renewal should have come by then.
const RENEWAL_DUE: Duration = Duration::from_hours(14 * 24);

/// What was found, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    text: String,
    usable: bool,
}

impl CheckReport {
    /// Whether a server could be started with it.
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// The exit code: 0, or [`EXIT_CONFIG`] where the server would not start. Warnings do not count.
    pub fn exit_code(&self) -> u8 {
        if self.usable { 0 } else { EXIT_CONFIG }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Reads the configuration at `path`, with the users, aliases and certificates that it names. Opens no socket and no queue, so that it can
/// run beside the server.
pub fn check(path: &Path, now: SystemTime) -> CheckReport {
    match Config::load(path) {
        Ok(Loaded { config, mut warnings }) => {
            warnings.extend(ending_certificates(&config, now));
            warnings.extend(missing_dovecot(&config));
            CheckReport { text: usable(&config, &warnings, now), usable: true }
        }
        Err(error) => CheckReport { text: unusable(path, &error), usable: false },
    }
}

fn unusable(path: &Path, error: &LoadError) -> String {
    match error {
        LoadError::Read(error) => format!("{error}\n"),
        LoadError::Problems(problems) => {
            let count = problems.iter().count();
            let noun = if count == 1 { "problem" } else { "problems" };
            format!("{problems}\n\n{} cannot be used: {count} {noun}.\n", path.display())
        }
    }
}

fn usable(config: &Config, warnings: &[Problem], now: SystemTime) -> String {
    let mut text = String::new();
    for warning in warnings {
        let _ = writeln!(text, "warning: {warning}\n");
    }
    let _ = writeln!(text, "{} can be used.\n", config.path.display());
    for (name, lines) in facts(config, now) {
        for (index, line) in lines.iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(text, "{name:<13} {line}");
        }
    }
    text
}

/// What the configuration does, a name and its lines.
fn facts(config: &Config, now: SystemTime) -> Vec<(&'static str, Vec<String>)> {
    let listeners = config.listeners.iter().map(|listener| {
        let line = format!("{} on {}, tls {}", listener.service, shown(listener.address), listener.tls);
        match listener.client_certificates {
            ClientCertificates::Off => line,
            asked => format!("{line}, client certificates {asked}"),
        }
    });
    let mut facts = vec![("hostname", vec![config.hostname.clone()]), ("listeners", listeners.collect())];
    facts.push(("certificates", certificates(config, now)));
    facts.push(("local", local(config)));
    if config.credentials.is_for_people() {
        facts.push(("log-in", vec![log_in(config)]));
    }
    facts.push(("relay", relay(config)));
    facts.push(("next hops", next_hops(config)));
    facts.push(("queue", vec![config.queue.directory.display().to_string()]));
    facts.push(("admin", vec![config.admin.path.display().to_string()]));
    facts
}

fn shown(address: SocketAddr) -> String {
    if address.port() == 0 { format!("{}, a free port", address.ip()) } else { address.to_string() }
}

fn certificates(config: &Config, now: SystemTime) -> Vec<String> {
    let Some(certificates) = &config.certificates else { return vec!["none: no TLS".to_owned()] };
    let line = |(chain, end): (std::path::PathBuf, Option<SystemTime>)| match end {
        Some(end) => format!("{}, {}", chain.display(), until(end, now)),
        None => format!("{}, without an end that can be read", chain.display()),
    };
    let vouching = certificates.client_authorities().map(|path| format!("{} vouches for clients", path.display()));
    certificates.ends().into_iter().map(line).chain(vouching).collect()
}

fn until(end: SystemTime, now: SystemTime) -> String {
    match end.duration_since(now) {
        Ok(left) => format!("until {} ({} days)", date(end), left.as_secs() / 86_400),
        Err(_) => format!("no more, it ended on {}", date(end)),
    }
}

fn date(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap_or_default().strftime("%F").to_string()
}

fn ending_certificates(config: &Config, now: SystemTime) -> Vec<Problem> {
    let ends = config.certificates.iter().flat_map(|certificates| certificates.ends());
    let ending = ends.filter_map(|(chain, end)| end.filter(|&end| end < now + RENEWAL_DUE).map(|end| (chain, end)));
    let warning = |(chain, end)| {
        let message = format!(
            "the certificate is valid {}: clients that verify it turn away from one that has ended; renew it",
            until(end, now)
        );
        Problem::of_file(chain, message)
    };
    ending.map(warning).collect()
}

/// It is looked for, and not spoken to: it may be started later.
fn missing_dovecot(config: &Config) -> Option<Problem> {
    let path = config.credentials.dovecot()?.path();
    let is_socket = std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let text = "there is no socket here now: while Dovecot does not listen AUTH is answered with 454 4.7.0";
    (!is_socket).then(|| Problem::of_file(path.to_owned(), text.to_owned()))
}

fn local(config: &Config) -> Vec<String> {
    let Some(local) = config.policy.local() else { return vec!["nothing: no mail ends here".to_owned()] };
    let mut domains: Vec<String> = local.domains().map(ToString::to_string).collect();
    domains.sort();
    let mut lines = vec![match &config.mailboxes {
        Some(Mailboxes::Maildirs(maildirs)) => format!("{}; users: {}", domains.join(", "), maildirs.users()),
        Some(Mailboxes::Server(server)) => format!("{}; mailboxes at {server}", domains.join(", ")),
        None => domains.join(", "),
    }];
    if let Resolution::Targets(expansion) = local.resolve(&ForwardPath::Postmaster) {
        let targets = expansion.targets.iter().map(|target| match target {
            Target::User(user) => user.to_string(),
            Target::Mailbox(mailbox) => mailbox.to_string(),
        });
        lines.push(format!("postmaster is {}", targets.collect::<Vec<_>>().join(", ")));
    }
    lines
}

fn log_in(config: &Config) -> String {
    let credentials = &config.credentials;
    let (noun, people) = (if credentials.people() == 1 { "user" } else { "users" }, credentials.people());
    if let Some(dovecot) = credentials.dovecot() {
        let path = dovecot.path().display();
        return format!(
            "whom Dovecot knows at {path}, and {people} {noun} of the users file; mechanisms as Dovecot has them"
        );
    }
    let mechanisms: Vec<_> = credentials.mechanisms(None).iter().map(ToString::to_string).collect();
    let external = credentials.has_certificates().then(|| "EXTERNAL".to_owned());
    let mechanisms: Vec<_> = external.into_iter().chain(mechanisms).collect();
    let hint = if credentials.has_scram() || !credentials.has_passwords() {
        ""
    } else {
        " (SCRAM-SHA-256 when everybody has `scram_sha_256`)"
    };
    format!("{people} {noun}, by {}{hint}", mechanisms.join(", "))
}

fn relay(config: &Config) -> Vec<String> {
    let relay = config.policy.relay();
    let list = |texts: Vec<String>| if texts.is_empty() { "nobody".to_owned() } else { texts.join(", ") };
    let networks = list(relay.networks().iter().map(ToString::to_string).collect());
    let mut lines = vec![format!("to anywhere: {networks}")];
    let domains = relay.domains();
    if !domains.is_empty() {
        lines.push(format!("to {}: anybody", domains.join(", ")));
    }
    lines
}

/// What this server logs in with at a next hop.
fn secret(hop: &NextHop) -> String {
    hop.login.as_ref().map_or_else(String::new, |login| match &login.secret {
        SecretFile::Password(path) => format!(", logged in with the password in {}", path.display()),
        SecretFile::Token(path) => format!(", logged in with the token in {}", path.display()),
    })
}

fn next_hops(config: &Config) -> Vec<String> {
    let hops = config.routes.lanes().map(|(pattern, hop)| format!("{pattern} by {hop}{}", secret(hop)));
    let lines: Vec<String> = hops.collect();
    if lines.is_empty() { vec!["none: no mail leaves this server".to_owned()] } else { lines }
}

#[cfg(test)]
mod tests;
