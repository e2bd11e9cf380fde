//! What would become of mail to an address, by the configuration in force.

use axum::body::Bytes;
use axum::extract::State;
use smtp_admin::{AddressRoute, Class, RouteRefusal, RouteRequest, RouteTarget};
use smtp_mail::{LocalUser, address_list};
use smtp_policy::Facts;
use smtp_policy::recipients::Target;
use smtp_proto::{Domain, ForwardPath, Mailbox, Rcpt, Reply};

use super::answer::{Json, Refusal, read};
use crate::config::{Config, InForce, Mailboxes};

pub(super) async fn route(State(configuration): State<InForce>, body: Bytes) -> Result<Json<AddressRoute>, Refusal> {
    let RouteRequest { address } = read(&body)?;
    let config = configuration.load();
    let mailbox = parse(&address, &config.submit.domain.clone().into()).map_err(Refusal::bad_request)?;
    Ok(Json(of(&config, mailbox)))
}

/// The one address that is written there.
fn parse(text: &str, domain: &Domain) -> Result<Mailbox, String> {
    let addresses = address_list::parse(text.as_bytes()).map_err(|error| format!("{text:?} is no address: {error}"))?;
    let [address] = <[_; 1]>::try_from(addresses).map_err(|_| format!("{text:?}: one address belongs here"))?;
    address.at(domain).map_err(|error| format!("{text:?} is no address: {error}"))
}

fn of(config: &Config, mailbox: Mailbox) -> AddressRoute {
    let address = mailbox.to_string();
    let rcpt = Rcpt::new(ForwardPath::Mailbox(mailbox));
    match config.policy.rcpt(&Facts::of_local_user(), &rcpt).into_result() {
        Ok(expansion) => AddressRoute {
            address,
            targets: expansion.targets.into_iter().map(|target| way_to(config, target)).collect(),
            dropped: expansion.dropped.iter().map(ToString::to_string).collect(),
            refusal: None,
        },
        Err(reply) => {
            AddressRoute { address, targets: Vec::new(), dropped: Vec::new(), refusal: Some(refusal(&reply)) }
        }
    }
}

fn way_to(config: &Config, target: Target) -> RouteTarget {
    let (address, class, way) = match target {
        Target::User(user) => (user.to_string(), Class::Local, mailbox_of(config, &user)),
        Target::Mailbox(mailbox) => {
            let next_hop = config.routes.route(mailbox.domain());
            let way = next_hop.map(ToString::to_string).map_err(|no_route| no_route.to_string());
            (mailbox.to_string(), Class::Remote, way)
        }
    };
    let (to, problem) = match way {
        Ok(to) => (Some(to), None),
        Err(problem) => (None, Some(problem)),
    };
    RouteTarget { address, class, to, problem }
}

fn mailbox_of(config: &Config, user: &LocalUser) -> Result<String, String> {
    match &config.mailboxes {
        Some(Mailboxes::Server(server)) => Ok(server.to_string()),
        Some(Mailboxes::Maildirs(maildirs)) => match maildirs.path_of(user) {
            Ok(Some(path)) => Ok(path.display().to_string()),
            Ok(None) => Err(format!("{user} has no mailbox")),
            Err(error) => Err(error.to_string()),
        },
        None => Err("no mailbox is known: the configuration has no [local]".to_owned()),
    }
}

fn refusal(reply: &Reply) -> RouteRefusal {
    RouteRefusal {
        code: reply.code().number(),
        status: reply.status().map(|status| status.to_string()),
        text: reply.text().to_owned(),
    }
}
