//! Where clients come in, what they are shown, and which of them may send on.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use smtp_config::Placed;
use smtp_config::file::{self, ClientCertificates, File, ListenerTls};
use smtp_mail::DomainPattern;
use smtp_policy::{Network, Relay};
use smtp_proto::DomainName;

use super::Listener;
use super::prover::Prover;
use crate::certificates::{CertificateError, CertificateFiles, Certificates};
use crate::credentials::Credentials;
use crate::metrics::Service;

const SMTP_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

/// The certificates, each loaded and found to have the right key.
pub(super) fn certificates(
    prover: &mut Prover<'_>,
    tls: &file::Tls,
    hostname: Option<&DomainName>,
) -> Option<Arc<Certificates>> {
    let mut all = Vec::new();
    for written in &tls.certificates {
        let files = CertificateFiles { chain: prover.resolve(&*written.chain), key: prover.resolve(&*written.key) };
        match Certificates::load(vec![files.clone()], None) {
            Ok(_) => all.push(files),
            Err(error) => {
                let place = if is_about(&error, &files) { written.key.place() } else { written.chain.place() };
                prover.error(place, with_cause(&error));
            }
        }
    }
    let client_authorities = client_authorities(prover, tls);
    if all.is_empty() {
        return None;
    }
    let place = tls.certificates.first().and_then(Placed::place);
    let certificates = Certificates::load(all, client_authorities)
        .map_err(|error| prover.error(place.clone(), with_cause(&error)))
        .ok()?;
    if let Some(hostname) = hostname.filter(|hostname| !certificates.is_for(hostname.as_str())) {
        prover.warn(
            place,
            format!("no certificate is for {hostname}: clients that verify the name of this server turn away"),
        );
    }
    Some(Arc::new(certificates))
}

/// The file with who vouches for clients, where it can be used.
fn client_authorities(prover: &mut Prover<'_>, tls: &file::Tls) -> Option<PathBuf> {
    let written = tls.client_authorities.as_ref()?;
    let path = prover.resolve(&**written);
    match Certificates::check_client_authorities(&path) {
        Ok(()) => Some(path),
        Err(error) => {
            prover.error(written.place(), with_cause(&error));
            None
        }
    }
}

/// Whether it is the key that cannot be used.
fn is_about(error: &CertificateError, files: &CertificateFiles) -> bool {
    match error {
        CertificateError::Read { path, .. } | CertificateError::Pem { path, .. } => *path == files.key,
        CertificateError::Mismatch { .. } => true,
        CertificateError::Empty { .. } | CertificateError::Authority { .. } => false,
    }
}

fn with_cause(error: &CertificateError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Where to listen: what is written, or what stands in for it.
pub(super) fn listeners(prover: &mut Prover<'_>, file: &File, credentials: &Credentials) -> Vec<Listener> {
    let has_certificates = !file.tls.certificates.is_empty();
    warn_of_idle_certificates(prover, file, credentials);
    if file.listener.is_empty() {
        return default_listeners(file.local.is_some(), has_certificates, credentials.has_passwords());
    }
    let mut seen = HashSet::new();
    let mut listeners = Vec::new();
    for written in &file.listener {
        if written.addresses.is_empty() {
            prover.error(
                written.place(),
                "`addresses` of this listener is empty; leave the listener out, or name an address",
            );
        }
        let proxy_from = named_peers(prover, &written.proxy_from, "name your proxies");
        let xclient_from = named_peers(prover, &written.xclient_from, "name the peers that you trust");
        if let (Some(first), false) = (written.xclient_from.first(), proxy_from.is_empty()) {
            let text = "a listener has `xclient_from` or `proxy_from`, not both: give each a listener of its own";
            prover.error(first.place(), text);
        }
        for address in &written.addresses {
            if address.0.port() != 0 && !seen.insert(address.0) {
                prover.error(address.place(), format!("{} is named twice", **address));
            }
            if written.service == file::Service::Lmtp && address.0.port() == SMTP_PORT {
                prover.error(address.place(), "port 25 is SMTP's: LMTP must have another port (RFC 2033 §5)");
            }
            let tls = listener_tls(prover, written, address.0, has_certificates);
            let client_certificates = client_certificates(prover, file, written, tls);
            listeners.push(Listener {
                service: service(written.service),
                address: address.0,
                tls,
                client_certificates,
                proxy_from: Arc::clone(&proxy_from),
                xclient_from: Arc::clone(&xclient_from),
                by_default: false,
            });
        }
    }
    listeners
}

fn service(service: file::Service) -> Service {
    match service {
        file::Service::Mx => Service::Mx,
        file::Service::Submission => Service::Submission,
        file::Service::Lmtp => Service::Lmtp,
    }
}

/// People log in under TLS, so that without a certificate there is nothing for them.
fn default_listeners(has_local: bool, has_certificates: bool, has_people: bool) -> Vec<Listener> {
    let (service, addresses): (_, [IpAddr; 2]) = if has_local {
        (Service::Mx, [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()])
    } else {
        (Service::Submission, [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    };
    let tls = if has_certificates { ListenerTls::Starttls } else { ListenerTls::None };
    let on = |service, port, tls| {
        addresses.map(|address| Listener {
            service,
            address: SocketAddr::new(address, port),
            tls,
            client_certificates: ClientCertificates::Off,
            proxy_from: Arc::default(),
            xclient_from: Arc::default(),
            by_default: true,
        })
    };
    let mut listeners = on(service, SMTP_PORT, tls).to_vec();
    if has_people && has_certificates {
        listeners.extend(on(Service::Submission, SUBMISSION_PORT, ListenerTls::Starttls));
        listeners.extend(on(Service::Submission, SUBMISSIONS_PORT, ListenerTls::Implicit));
    }
    listeners
}

fn listener_tls(
    prover: &mut Prover<'_>,
    written: &file::Listener,
    address: SocketAddr,
    has_certificates: bool,
) -> ListenerTls {
    match &written.tls {
        Some(tls) => {
            if **tls != ListenerTls::None && !has_certificates {
                prover.error(
                    tls.place(),
                    format!("`tls = \"{}\"` needs a certificate: name one in [tls] certificates", **tls),
                );
            }
            **tls
        }
        None if address.port() == SUBMISSIONS_PORT => {
            if !has_certificates {
                let place = written.addresses.iter().find(|placed| placed.0 == address).and_then(Placed::place);
                prover.error(
                    place,
                    "on port 465 TLS begins with the first octet: name a certificate in [tls] certificates",
                );
            }
            ListenerTls::Implicit
        }
        None if has_certificates => ListenerTls::Starttls,
        None => ListenerTls::None,
    }
}

/// How a listener asks clients for a certificate: under TLS, and where somebody vouches for them.
fn client_certificates(
    prover: &mut Prover<'_>,
    file: &File,
    written: &file::Listener,
    tls: ListenerTls,
) -> ClientCertificates {
    let Some(asked) = written.client_certificates.as_ref().filter(|asked| ***asked != ClientCertificates::Off) else {
        return ClientCertificates::Off;
    };
    let key = format!("`client_certificates = \"{}\"`", **asked);
    if tls == ListenerTls::None {
        prover.error(asked.place(), format!("{key} needs TLS, which this listener does not have"));
    } else if file.tls.client_authorities.is_none() {
        let text = format!("{key} needs somebody who vouches for clients: name a file in [tls] client_authorities");
        prover.error(asked.place(), text);
    }
    **asked
}

/// What is written for client certificates, and no client is asked for one where it would count.
fn warn_of_idle_certificates(prover: &mut Prover<'_>, file: &File, credentials: &Credentials) {
    let asks =
        |one: &file::Listener| one.client_certificates.as_ref().is_some_and(|asked| **asked != ClientCertificates::Off);
    if let Some(written) = &file.tls.client_authorities
        && !file.listener.iter().any(|one| asks(one))
    {
        let text = "`client_authorities` is of no use: no [[listener]] has `client_certificates`";
        prover.warn(written.place(), text);
    }
    let lets_in = |one: &file::Listener| one.service == file::Service::Submission && asks(one);
    if credentials.has_certificates() && !file.listener.iter().any(|one| lets_in(one)) {
        let place = file.local.as_ref().and_then(|local| local.users.as_ref()).and_then(Placed::place);
        let text = "users have `certificates`, and no `submission` [[listener]] has `client_certificates`: nobody can log in by one";
        prover.warn(place, text);
    }
}

/// Those who may say for whom they speak. Everybody is none: whom they name would then be for everybody to choose.
fn named_peers(prover: &mut Prover<'_>, written: &[Placed<String>], advice: &str) -> Arc<[Network]> {
    let mut peers = Vec::new();
    for written in written {
        let Some(network) = prover.parse::<Network>(written) else { continue };
        if network.is_everything() {
            prover.error(
                written.place(),
                format!("{network} is everybody, who could then name any address as his own; {advice}"),
            );
        }
        peers.push(network);
    }
    peers.into()
}

/// Who may send on. What would let everybody do so is refused.
pub(super) fn relay(prover: &mut Prover<'_>, file: &File, listeners: &[Listener]) -> Relay {
    let networks = match &file.relay.networks {
        Some(written) => written.iter().filter_map(|network| client_network(prover, network)).collect(),
        None if file.local.is_none() && listeners.iter().all(|listener| listener.address.ip().is_loopback()) => {
            Network::LOOPBACK.to_vec()
        }
        None => Vec::new(),
    };
    let domains = file.relay.domains.iter().filter_map(|domain| relay_domain(prover, domain)).collect();
    Relay::new(networks, domains)
}

fn client_network(prover: &mut Prover<'_>, written: &Placed<String>) -> Option<Network> {
    let network: Network = prover.parse(written)?;
    if network.is_everything() {
        prover.error(
            written.place(),
            format!("{network} is everybody: this server would be an open relay; name your own networks"),
        );
    }
    Some(network)
}

fn relay_domain(prover: &mut Prover<'_>, written: &Placed<String>) -> Option<DomainPattern> {
    let pattern: DomainPattern = prover.parse(written)?;
    if pattern == DomainPattern::ANY {
        prover.error(
            written.place(),
            "* is every domain: this server would be an open relay; name the domains that it relays for",
        );
    }
    Some(pattern)
}
