//! Recipients sorted into deliveries: where each target of an accepted address goes.

use std::collections::HashSet;

use smtp_mail::Destination;
use smtp_policy::recipients::Target;
use smtp_proto::{ForwardPath, Rcpt};
use smtp_queue::{NewDelivery, NewRecipient};

/// The deliveries of one message. A target that two addresses lead to gets it once.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    deliveries: Vec<NewDelivery>,
    seen: HashSet<Target>,
}

impl Deliveries {
    /// How many targets there are.
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Adds what the recipient stands for that the client has named as `named`. Of several targets one alone tells of its
    /// success: who asked for a report on one address hears of it once (RFC 3461 §5.2.7.3).
    pub(crate) fn add_all(&mut self, targets: Vec<Target>, named: &Rcpt) {
        let mut named = named.clone();
        for target in targets {
            if self.add(target, &named)
                && let Some(notify) = &mut named.parameters.notify
            {
                notify.success = false;
            }
        }
    }

    /// Adds one target; says whether it is a new one.
    fn add(&mut self, target: Target, named: &Rcpt) -> bool {
        if !self.seen.insert(target.clone()) {
            return false;
        }
        let (destination, recipient) = match target {
            Target::User(user) => (Destination::Mailbox(user), NewRecipient { rcpt: named.clone(), original: None }),
            Target::Mailbox(mailbox) => {
                let destination = Destination::Domain(mailbox.domain().clone());
                let forward_path = ForwardPath::Mailbox(mailbox);
                let original = (forward_path != named.forward_path).then(|| named.forward_path.clone());
                (destination, NewRecipient { rcpt: Rcpt { forward_path, ..named.clone() }, original })
            }
        };
        match self.deliveries.iter_mut().find(|delivery| delivery.destination == destination) {
            Some(delivery) => delivery.recipients.push(recipient),
            None => self.deliveries.push(NewDelivery { destination, recipients: vec![recipient], reverse_path: None }),
        }
        true
    }

    /// What the queue is given.
    pub(crate) fn into_vec(self) -> Vec<NewDelivery> {
        self.deliveries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp_mail::LocalUser;

    #[test]
    fn recipients_of_one_domain_share_a_delivery_and_nobody_gets_two_copies() {
        let mut deliveries = Deliveries::default();
        let named = |path: &str| Rcpt::new(path.parse().unwrap());
        let remote = |path: &str| Target::Mailbox(path.parse().unwrap());
        deliveries.add(Target::User(LocalUser::new("alice")), &named("<alice@example.org>"));
        deliveries.add(Target::User(LocalUser::new("alice")), &named("<alice+tag@example.org>"));
        deliveries.add(remote("x@Example.net"), &named("<x@Example.net>"));
        deliveries.add(remote("y@example.NET"), &named("<list@example.org>"));
        assert_eq!(deliveries.len(), 3);
        let deliveries = deliveries.into_vec();
        assert_eq!(deliveries.len(), 2);
        assert_eq!(deliveries[0].recipients.len(), 1);
        let [x, y] = &deliveries[1].recipients[..] else { panic!("{deliveries:?}") };
        assert_eq!((&x.original, x.rcpt.forward_path.to_string()), (&None, "<x@Example.net>".to_owned()));
        assert_eq!(y.original.as_ref().map(ToString::to_string).as_deref(), Some("<list@example.org>"));
    }

    #[test]
    fn of_several_targets_one_tells_of_its_success() {
        let mut deliveries = Deliveries::default();
        let targets = |paths: &[&str]| paths.iter().map(|path| Target::Mailbox(path.parse().unwrap())).collect();
        let named = |line: &str| Rcpt::parse(format!("RCPT TO:{line}").as_bytes()).unwrap();
        deliveries.add_all(targets(&["a@example.net"]), &named("<one@example.org> NOTIFY=SUCCESS"));
        let several = targets(&["a@example.net", "b@example.net", "c@example.net"]);
        deliveries.add_all(several, &named("<team@example.org> NOTIFY=SUCCESS,DELAY"));
        deliveries.add_all(targets(&["d@example.net", "e@example.net"]), &named("<other@example.org> NOTIFY=SUCCESS"));
        deliveries.add_all(targets(&["f@example.net", "g@example.net"]), &named("<last@example.org>"));
        let recipients = deliveries.into_vec().remove(0).recipients;
        let notify: Vec<_> = recipients.iter().map(|recipient| recipient.rcpt.parameters.to_string()).collect();
        let asked =
            ["NOTIFY=SUCCESS", "NOTIFY=SUCCESS,DELAY", "NOTIFY=DELAY", "NOTIFY=SUCCESS", "NOTIFY=NEVER", "", ""];
        assert_eq!(notify.iter().map(|shown| shown.trim_start()).collect::<Vec<_>>(), asked);
    }
}
