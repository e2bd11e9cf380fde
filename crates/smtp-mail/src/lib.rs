//! The mail object beyond SMTP: ids, content, header fields, trace fields, outcomes, delivery reports.
//!
//! Everything here is a value or a function on values. Nothing opens a connection, asks a clock or knows a
//! task; the one thing that touches a disk is [`Content::chunk`], which reads a body that lies in a file.

pub mod address_list;
mod attempt;
mod content;
pub mod date;
mod destination;
pub mod dsn;
pub mod header;
mod id;
pub mod maildrop;
mod pattern;
pub mod submission;
pub mod terms;
pub mod trace;

pub use attempt::{Attempt, AttemptRecipient, DeliveryResult, Outcome, RemoteHost, Report, Stage};
pub use content::{Body, Content};
pub use destination::{Destination, LocalUser};
pub use id::{IdError, MessageId, MessageIds, RecipientId};
pub use pattern::{DomainPattern, PatternError};
