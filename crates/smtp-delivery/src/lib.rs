//! From a lease to an outcome: routes, next hops, pace, Maildir.
