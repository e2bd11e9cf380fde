//! How a command can end otherwise than well, and the exit code of each ending.

use std::fmt::{self, Display};
use std::process::ExitCode;

use smtp_admin::ClientError;

/// An ending that is not success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be meant.
    Usage(String),
    /// Nothing in the queue is what was asked for.
    NothingMatched,
    /// Mail to this address does not arrive, and why.
    Undeliverable(String),
    /// It was tried and did not work.
    Failed(anyhow::Error),
    /// The server is not running.
    NotRunning(String),
    /// This user may not do it.
    NotPermitted(String),
    /// The configuration cannot be used.
    Configuration(String),
}

impl Failure {
    /// sysexits.h where there is a code for it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NothingMatched | Self::Undeliverable(_) | Self::Failed(_) => 1,
            Self::Usage(_) => 64,
            Self::NotRunning(_) => 69,
            Self::NotPermitted(_) => 77,
            Self::Configuration(_) => 78,
        })
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingMatched => f.write_str("nothing in the queue matches"),
            // The whole chain: what failed, then why.
            Self::Failed(error) => write!(f, "{error:#}"),
            Self::Usage(text)
            | Self::Undeliverable(text)
            | Self::NotRunning(text)
            | Self::NotPermitted(text)
            | Self::Configuration(text) => f.write_str(text),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotRunning { .. } => {
                Self::NotRunning(format!("{error}. Start it, or say with --socket where it listens"))
            }
            // What was written on the command line, in the end.
            ClientError::Refused { status: 400, problem } => Self::Usage(problem),
            ClientError::Denied { .. } => Self::NotPermitted(error.to_string()),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(anyhow::Error::new(error).context("the output could not be written"))
    }
}
