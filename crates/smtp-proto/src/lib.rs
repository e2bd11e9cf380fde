//! SMTP and LMTP syntax and both session engines, without I/O.

pub mod client;
pub mod limits;
pub mod mail_data;
pub mod server;

mod command;
mod domain;
mod envelope;
mod error;
mod extension;
mod line;
mod parameter;
mod path;
mod remote_reply;
mod reply;
mod session;
mod status;
mod syntax;

pub use command::{Argument, Command, Hello, HelloKind, HelloName, Mail, Rcpt};
pub use domain::{AddressLiteral, Domain, DomainName};
pub use envelope::Envelope;
pub use error::{SyntaxError, SyntaxReason};
pub use extension::{Extensions, Unfit};
pub use limits::Limits;
pub use mail_data::ContentFacts;
pub use parameter::{BodyType, MailParameters, RcptParameters};
pub use path::{ForwardPath, LocalPart, Mailbox, ReversePath};
pub use remote_reply::{ReadReplyError, RemoteReply, ReplyReader};
pub use reply::{Reply, ReplyClass, ReplyCode, ReplyError};
pub use session::{Deadline, NotAwaited, Session, Timer, TlsFacts};
pub use status::{EnhancedStatus, StatusClass, StatusSyntaxError};
