//! SMTP and LMTP syntax and both session engines, without I/O.

pub mod mail_data;
mod session;

pub use session::{Deadline, NotAwaited, Session, Timer, TlsFacts};
