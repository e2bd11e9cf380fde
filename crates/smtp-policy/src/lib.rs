//! May this client, sender, recipient pass? Facts in, verdicts out.
//!
//! Pure: no I/O, no clock. The tables (domains, users, aliases, networks) are read by the server and given as values.
//!
//! - [`Policy`] has one method a stage of the session; each takes [`Facts`] and gives a [`Verdict`].
//! - [`relay`] says who may send to where. What it does not allow is refused: there is no other way out of this server.
//! - [`recipients`] says who a local address is: users, aliases, tags, catch-all.
//! - [`LocalSenders`] says which reverse-paths a user of this machine may use.
//! - [`allowance`] says how much each sender may send in an hour, by [`rate`].
//! - [`guard`] says who has failed to log in too often.
//! - [`aliases`] reads the aliases file in the syntax of sendmail.

pub mod aliases;
pub mod allowance;
mod facts;
pub mod guard;
mod network;
mod policy;
mod queries;
pub mod rate;
pub mod recipients;
pub mod relay;
mod senders;
mod verdict;

pub use facts::{Facts, LoginState, Service};
pub use network::{Network, NetworkError, client_network};
pub use policy::Policy;
pub use recipients::{LocalRecipients, Resolution};
pub use relay::Relay;
pub use senders::{LocalSenders, LocalUserFacts};
pub use verdict::Verdict;
