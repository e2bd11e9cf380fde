//! Mail from programs of this machine.

use std::collections::HashSet;
use std::num::NonZeroU32;

use smtp_config::file::File;
use smtp_policy::LocalSenders;
use smtp_proto::{Domain, DomainName};

use super::Submit;
use super::prover::Prover;
use crate::local_socket::SocketConfig;

/// Every user of the machine may connect: the kernel says who it is.
const SOCKET_MODE: u32 = 0o666;

pub(super) fn submit(prover: &mut Prover<'_>, file: &File, hostname: &DomainName) -> Option<Submit> {
    let written = &file.submit;
    let local: Vec<DomainName> =
        file.local.iter().flat_map(|local| &local.domains).filter_map(|it| it.parse().ok()).collect();
    let domain = match &written.domain {
        Some(domain) => prover.ascii_domain("addresses of this domain are", domain)?,
        None => local.iter().find(|domain| domain.is_ascii()).unwrap_or(hostname).clone(),
    };
    let domains: HashSet<Domain> =
        local.into_iter().chain([domain.clone(), hostname.clone()]).map(Domain::Name).collect();
    let separator = file.local.as_ref().map_or("+", |local| local.subaddress_separator.as_str());
    let trusted = written.trusted_users.iter().map(|user| (**user).clone()).collect();
    Some(Submit {
        socket: SocketConfig { path: prover.resolve(file.submit_socket()), mode: SOCKET_MODE, group: None },
        maildrop: prover.resolve(file.maildrop()),
        domain,
        senders: LocalSenders::new(domains, separator, trusted),
        messages_per_hour: NonZeroU32::new(*written.messages_per_hour),
    })
}
