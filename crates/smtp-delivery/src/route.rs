//! Which next hop the mail of a domain goes to.

use smtp_client::NextHop;
use smtp_mail::{DeliveryResult, DomainPattern, Report, Stage};
use smtp_proto::{Domain, EnhancedStatus};

/// One `[[route]]`: the mail of these domains goes to this next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The domains.
    pub recipients: Vec<DomainPattern>,
    /// Where their mail goes.
    pub to: NextHop,
}

/// All routes, as the configuration has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// The first that matches wins.
    pub routes: Vec<Route>,
    /// Where the mail of all other domains goes.
    pub smart_host: Option<NextHop>,
}

/// No route matches, and there is no smart host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no route to {domain}: no [[route]] names it in `recipients`, and [smart_host] `to` is not set")]
pub struct NoRoute {
    /// The domain that mail cannot go to.
    pub domain: Domain,
}

impl NoRoute {
    /// A deferral: the configuration may be completed before the message expires.
    pub fn result(&self) -> DeliveryResult {
        let report = Report::new(EnhancedStatus::new(4, 4, 4), &self.to_string());
        DeliveryResult::Deferred(report.at_stage(Stage::Route))
    }
}

impl Routes {
    /// The next hop for `domain`.
    ///
    /// # Errors
    /// None is known; the text says which keys of the configuration would name one.
    pub fn route(&self, domain: &Domain) -> Result<&NextHop, NoRoute> {
        self.routes
            .iter()
            .find(|route| route.recipients.iter().any(|pattern| pattern.matches(domain)))
            .map(|route| &route.to)
            .or(self.smart_host.as_ref())
            .ok_or_else(|| NoRoute { domain: domain.clone() })
    }

    /// The patterns and next hops in the order in which they are tried, for the queue to sort its lanes by. All domains
    /// of one next hop share a lane, which is named by [`NextHop`]'s text.
    pub fn lanes(&self) -> impl Iterator<Item = (&DomainPattern, &NextHop)> {
        let routed = self.routes.iter().flat_map(|route| route.recipients.iter().map(|pattern| (pattern, &route.to)));
        routed.chain(self.smart_host.iter().map(|smart_host| (&DomainPattern::ANY, smart_host)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp_client::{Host, TlsMode};
    use smtp_proto::Protocol;

    fn hop(name: &str) -> NextHop {
        NextHop::new(Host::Name(name.into()), 25, Protocol::Smtp, TlsMode::Opportunistic)
    }

    fn routes() -> Routes {
        let route = |patterns: &[&str], to| Route {
            recipients: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
            to: hop(to),
        };
        Routes {
            routes: vec![
                route(&["corp.example", "*.corp.example"], "inside"),
                route(&["a.corp.example", "b.example"], "b"),
            ],
            smart_host: Some(hop("smart")),
        }
    }

    #[test]
    fn the_first_match_wins_then_the_smart_host() {
        let routes = routes();
        for (domain, to) in [
            ("Corp.Example", "inside"),
            ("a.corp.example", "inside"),
            ("b.example", "b"),
            ("x.b.example", "smart"),
            ("[192.0.2.1]", "smart"),
        ] {
            assert_eq!(routes.route(&domain.parse().unwrap()), Ok(&hop(to)), "{domain}");
        }
    }

    #[test]
    fn without_a_route_the_text_names_the_keys() {
        let routes = Routes { smart_host: None, ..routes() };
        let error = routes.route(&"else.example".parse().unwrap()).unwrap_err();
        let DeliveryResult::Deferred(report) = error.result() else { panic!("{error}") };
        assert_eq!(report.status.to_string(), "4.4.4");
        for part in ["else.example", "[[route]]", "[smart_host]"] {
            assert!(report.text().contains(part), "{report}");
        }
    }

    #[test]
    fn the_lanes_say_what_route_says() {
        let routes = routes();
        for domain in ["corp.example", "a.corp.example", "b.example", "c.example"] {
            let domain = domain.parse().unwrap();
            let by_lane = routes.lanes().find(|(pattern, _)| pattern.matches(&domain)).map(|(_, hop)| hop);
            assert_eq!(by_lane, routes.route(&domain).ok());
        }
    }
}
