//! What would become of mail to an address.

use std::io::{self, Write};

use smtp_admin::{AddressRoute, Class, RouteRefusal, RouteTarget};

use super::visible;

/// Writes the ways of an address that is accepted, a line each.
pub(crate) fn route(output: &mut impl Write, route: &AddressRoute) -> io::Result<()> {
    if route.refusal.is_some() {
        return Ok(());
    }
    writeln!(output, "{}", visible(&route.address))?;
    for RouteTarget { address, class, to, .. } in &route.targets {
        let Some(to) = to else { continue };
        let by = if *class == Class::Local { "in" } else { "by" };
        writeln!(output, "  {} {by} {}", visible(address), visible(to))?;
    }
    for dropped in &route.dropped {
        writeln!(output, "  left out: {}", visible(dropped))?;
    }
    Ok(())
}

/// Why mail to the address does not arrive, a line for each reason; `None`: it does.
pub(crate) fn undeliverable(route: &AddressRoute) -> Option<String> {
    if let Some(RouteRefusal { code, status, text }) = &route.refusal {
        let status = status.as_ref().map_or(String::new(), |status| format!("{status} "));
        return Some(visible(&format!("{} is refused: {code} {status}{text}", route.address)));
    }
    let waiting = route.targets.iter().filter_map(|target| {
        let problem = target.problem.as_ref()?;
        Some(visible(&format!("mail to {} waits: {problem}", target.address)))
    });
    let waiting: Vec<String> = waiting.collect();
    (!waiting.is_empty()).then(|| waiting.join("\n"))
}
