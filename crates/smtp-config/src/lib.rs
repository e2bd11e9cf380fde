//! The configuration file as written, and where it is found.
//!
//! For the server and for the tools beside it. [`find`] says which file it is, [`Source`] reads it and keeps its text, so
//! that whatever is found wrong later can be shown at its place, [`Source::file`] gives the [`File`]: every key typed,
//! every default filled in. Whether the file can be used (do the certificates exist, is there a postmaster) is not known
//! here: the server proves that, and says [`Source::problem`] where it cannot.
//!
//! ```
//! use smtp_config::Source;
//!
//! let source = Source::new("smtp-server.toml", "hostname = \"mx.example.com\"\n[queue]\nretrys = [\"5m\"]\n");
//! let problems = source.file().unwrap_err();
//! assert_eq!(
//!     problems.to_string(),
//!     "smtp-server.toml:3:1: unknown key `retrys` in [queue]; did you mean `retry`?\n  \
//!        |\n\
//!      3 | retrys = [\"5m\"]\n  \
//!        | ^^^^^^"
//! );
//! ```

pub mod file;
mod find;
mod keys;
mod problem;
mod reference;
mod secret;
mod source;
mod suggest;
mod users;
mod value;

pub use file::File;
pub use find::{DEFAULT_PATH, ENVIRONMENT_VARIABLE, Found, Origin, find};
pub use keys::{Fallback, KEYS, Key, SECTIONS, Section};
pub use problem::{Problem, Problems};
pub use reference::reference;
pub use source::{LoadError, ReadError, SOURCE_OCTETS_MAX, Source};
pub use users::{UserEntry, Users};
pub use value::{
    FileMode, Hidden, Host, ListenAddress, LmtpAddress, NextHopUrl, Period, Placed, Scheme, Size, ValueError,
};
