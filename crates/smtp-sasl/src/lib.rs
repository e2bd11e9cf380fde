//! SASL (RFC 4422) for SMTP (RFC 4954): the mechanisms of both sides, and the password hashes behind them.
//!
//! There is no I/O here, no clock and no store of users. smtp-proto frames what these exchanges say, and the caller knows who may log in:
//!
//! * [`Server`] takes what the client said and gives a [`Step`]: a challenge to send, a [`Question`] for the caller, or the end. It holds no
//!   password: the caller answers whether the one that was given is right, or hands over the keys of SCRAM.
//! * [`Client`] has [`Credentials`] and answers the server's challenges.
//! * [`PasswordHash`] reads and verifies argon2id, bcrypt and sha-crypt, and makes argon2id; [`ScramKeys`] are what a server keeps for
//!   SCRAM-SHA-256 in place of a password.
//!
//! Whoever verifies passwords does so away from what must not wait: one takes tens of milliseconds of a processor, on purpose.
//!
//! ```
//! use smtp_proto::{ChannelBindings, Mechanism, Secret};
//! use smtp_sasl::{Question, Server, Step};
//!
//! let initial = Secret::new(b"\0alice\0wonderland".to_vec());
//! let (mut server, step) = Server::start(Mechanism::PLAIN, ChannelBindings::default(), Some(initial)).unwrap();
//! let Step::Ask(Question::Password { login, password }) = step else { panic!() };
//! assert_eq!((login.as_str(), password.as_bytes()), ("alice", &b"wonderland"[..]));
//! let Step::Authenticated(login) = server.verified(true) else { panic!() };
//! assert_eq!(login.as_str(), "alice");
//! ```

mod bearer;
mod client;
mod login;
mod password;
mod plain;
mod scram;
mod server;

pub use client::{Client, ClientError, Credentials};
pub use login::{LOGIN_OCTETS_MAX, Login, LoginError, PASSWORD_OCTETS_MAX, prepare_password};
pub use password::{HashError, PasswordHash, Workspace};
pub use scram::{DEFAULT_ITERATIONS, ITERATIONS_MAX, ITERATIONS_MIN, ScramKeys, ScramKeysError};
pub use server::{Failure, Question, Server, Step, UnknownMechanism};
