//! Where mail for other domains goes, and who vouches for the hosts there.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use smtp_client::{Host, NextHop, TlsMode, TlsStart};
use smtp_config::file::{File, NextHopTls};
use smtp_config::{LmtpAddress, Placed, Scheme};
use smtp_delivery::{Route, Routes};
use smtp_mail::DomainPattern;
use smtp_proto::Protocol;

use super::hop_login::{self, WrittenHop};
use super::prover::Prover;

/// The routes, in order, and the smart host.
pub(super) fn routes(prover: &mut Prover<'_>, file: &File) -> Routes {
    let mut routes = Vec::new();
    for route in &file.route {
        if route.recipients.is_empty() {
            prover.error(route.place(), "`recipients` of this route is empty: it would never be taken");
        }
        let recipients = route.recipients.iter().filter_map(|pattern| prover.parse(pattern)).collect();
        let to = next_hop(prover, &WrittenHop::from(&**route), NextHopTls::Opportunistic);
        routes.push(Route { recipients, to });
    }
    let smart_host = file.smart_host.as_ref();
    let smart_host = smart_host.map(|hop| next_hop(prover, &WrittenHop::from(hop), NextHopTls::Verify));
    Routes { routes, smart_host }
}

fn next_hop(prover: &mut Prover<'_>, hop: &WrittenHop<'_>, default: NextHopTls) -> NextHop {
    let (to, tls) = (hop.to, hop.tls);
    let implicit = to.scheme.implicit_tls();
    let start = if implicit { TlsStart::Implicit } else { TlsStart::StartTls };
    let word = match tls {
        Some(tls) => **tls,
        None if implicit || to.user.is_some() => NextHopTls::Verify,
        None => default,
    };
    let mode = match word {
        NextHopTls::Require => TlsMode::Require(start),
        NextHopTls::Verify => TlsMode::Verify(start),
        NextHopTls::Opportunistic => TlsMode::Opportunistic,
        NextHopTls::None => TlsMode::None,
    };
    if implicit && !mode.is_implicit() {
        let place = tls.and_then(Placed::place);
        prover.error(
            place,
            format!("{}:// is TLS from the first octet; take \"verify\" or \"require\", or smtp://", to.scheme),
        );
    }
    let protocol = if to.scheme == Scheme::Lmtp { Protocol::Lmtp } else { Protocol::Smtp };
    let login = hop_login::login(prover, hop, word).map(Arc::new);
    NextHop { login, chunking: hop.chunking, ..NextHop::new(host(&to.host), to.port, protocol, mode) }
}

fn host(host: &smtp_config::Host) -> Host {
    match host {
        smtp_config::Host::Name(name) => Host::Name(name.clone()),
        smtp_config::Host::Address(address) => Host::Address(*address),
    }
}

/// The program that keeps the mailboxes. It is ours, on this machine or in our network: it is spoken to in the clear, unless it offers TLS.
pub(super) fn mailbox_server(lmtp: &LmtpAddress) -> NextHop {
    let (host, port, tls) = match lmtp {
        LmtpAddress::Socket(path) => (Host::Socket(path.clone()), 0, TlsMode::None),
        LmtpAddress::Tcp { host: name, port } => (host(name), *port, TlsMode::Opportunistic),
    };
    NextHop::new(host, port, Protocol::Lmtp, tls)
}

/// The authorities of a PEM file: one at least, and all of them usable.
pub(super) fn authorities(prover: &mut Prover<'_>, path: &Placed<PathBuf>) -> Option<RootCertStore> {
    let source = prover.read(path)?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(source.text().as_bytes()).enumerate() {
        let added = certificate.map_err(|error| error.to_string());
        let added = added.and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        if let Err(error) = added {
            let text = format!("certificate {} of {} cannot be used: {error}", index + 1, source.path().display());
            prover.error(path.place(), text);
            return None;
        }
    }
    if roots.is_empty() {
        prover.error(path.place(), format!("{} holds no certificate in PEM form", source.path().display()));
        return None;
    }
    Some(roots)
}

/// Says where mail would be taken and have nowhere to go.
pub(super) fn check_ways_out(prover: &mut Prover<'_>, file: &File, routes: &Routes) {
    let patterns = || routes.routes.iter().flat_map(|route| &route.recipients);
    let everywhere = routes.smart_host.is_some() || patterns().any(|pattern| *pattern == DomainPattern::ANY);
    if file.local.is_none() && routes.routes.is_empty() && routes.smart_host.is_none() {
        let text = "there is nowhere for mail to go: add [smart_host] with `to`, or [local] with the domains whose mail ends here";
        prover.error(None, text);
        return;
    }
    if everywhere {
        return;
    }
    if let Some(network) = file.relay.networks.as_ref().and_then(|networks| networks.first()) {
        let text =
            "these clients may send to anywhere, but mail that no [[route]] is for has no next hop: add [smart_host]";
        prover.warn(network.place(), text);
    }
    for written in &file.relay.domains {
        let Ok(pattern) = written.parse::<DomainPattern>() else { continue };
        let is_routed = |domain| routes.route(domain).is_ok();
        if !patterns().any(|routed| *routed == pattern) && !pattern.exact().is_some_and(is_routed) {
            prover.warn(
                written.place(),
                "mail for this domain is taken and has no next hop: add a [[route]] for it, or [smart_host]",
            );
        }
    }
}
