//! The one place where a session meets tokio and rustls.
//!
//! A [`Connection`] holds a [`Stream`] (plain, or TLS), a [`Session`](smtp_proto::Session) and the octets on their way
//! between the two. It knows no command and no reply, so one driver serves both sides, and each side is a loop:
//!
//! ```
//! use smtp_io::{CloseLimits, Connection, ConnectionError};
//! use smtp_proto::Session;
//!
//! async fn drive<S: Session>(
//!     tcp: tokio::net::TcpStream,
//!     session: S,
//!     answer: impl Fn(&mut S, S::Event) -> bool,
//! ) -> Result<(), ConnectionError> {
//!     let mut connection = Connection::new(tcp, session);
//!     loop {
//!         let event = connection.next_event().await?;
//!         if answer(connection.session(), event) {
//!             break;
//!         }
//!     }
//!     connection.close(CloseLimits::default()).await;
//!     Ok(())
//! }
//! ```

pub mod certificate;
mod connection;
mod input;
mod output;
pub mod proxy;
mod stream;

pub use connection::{CloseLimits, Connection, ConnectionError, now};
pub use stream::{HandshakeError, Stream};
