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

    /// Adds a target of the recipient that the client has named as `named`.
    pub(crate) fn add(&mut self, target: Target, named: &Rcpt) {
        if !self.seen.insert(target.clone()) {
            return;
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
}
