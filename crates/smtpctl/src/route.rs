//! What would become of mail to an address.

use std::io::{self, Write as _};

use smtp_admin::RouteRequest;

use crate::act::line;
use crate::failure::Failure;
use crate::place::Place;
use crate::render;

/// Asks the server, and shows what it says.
///
/// # Errors
/// The address is refused, or there is no way to one of its targets.
pub(crate) async fn show(address: String, place: &Place, json: bool) -> Result<(), Failure> {
    let route = place.client()?.route(&RouteRequest { address }).await?;
    let mut output = io::stdout().lock();
    if json {
        writeln!(output, "{}", line(&route)?)?;
    } else {
        render::route(&mut output, &route)?;
    }
    render::undeliverable(&route).map_or(Ok(()), |reasons| Err(Failure::Undeliverable(reasons)))
}
