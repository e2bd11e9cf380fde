//! One host, one connection, transactions over it.
//!
//! [`Client::connect`] goes through the addresses of a [`NextHop`] until one of them greets, and secures the connection
//! as its [`TlsMode`] asks, and says who this is where there is a [`HopLogin`]. [`Client::deliver`] carries one [`Attempt`](smtp_mail::Attempt) after the other over it and
//! says for each recipient what came of it. It looks up no name, keeps no connection and tries nothing again: that is
//! the caller's part.

mod addresses;
mod client;
mod error;
mod hop;
mod login;
mod tls;
mod transaction;

pub use client::{Client, ClientSettings};
pub use error::{ConnectError, ConnectFailure, ENCRYPTION_NEEDED};
pub use hop::{Host, NextHop, TlsMode, TlsStart};
pub use login::{HopLogin, LoginFailure, SecretError, SecretFile};
pub use tls::ClientTls;
pub use transaction::Stale;
