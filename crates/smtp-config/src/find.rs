//! Where the configuration file is.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// The file that is used when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/smtp-server/smtp-server.toml";

/// The environment variable that names another file.
pub const ENVIRONMENT_VARIABLE: &str = "SMTP_SERVER_CONFIG";

/// Which file it is, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file. It need not exist.
    pub path: PathBuf,
    /// Who named it.
    pub origin: Origin,
}

/// Who named the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line: `--config`.
    Argument,
    /// [`ENVIRONMENT_VARIABLE`].
    Environment,
    /// Nobody: it is [`DEFAULT_PATH`].
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => write!(formatter, "named by --config"),
            Self::Environment => write!(formatter, "named by ${ENVIRONMENT_VARIABLE}"),
            Self::Default => write!(formatter, "the default"),
        }
    }
}

/// Says which file is the configuration: that of the command line, else that of the environment, else
/// [`DEFAULT_PATH`]. `environment` is the value of [`ENVIRONMENT_VARIABLE`]; an empty one counts as none.
pub fn find(argument: Option<PathBuf>, environment: Option<OsString>) -> Found {
    if let Some(path) = argument {
        return Found { path, origin: Origin::Argument };
    }
    match environment.filter(|value| !value.is_empty()) {
        Some(value) => Found { path: value.into(), origin: Origin::Environment },
        None => Found { path: DEFAULT_PATH.into(), origin: Origin::Default },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_wins_over_the_environment_and_that_over_the_default() {
        let found = find(Some("a.toml".into()), Some("b.toml".into()));
        assert_eq!((found.path, found.origin), ("a.toml".into(), Origin::Argument));
        let found = find(None, Some("b.toml".into()));
        assert_eq!((found.path, found.origin), ("b.toml".into(), Origin::Environment));
        let found = find(None, Some("".into()));
        assert_eq!((found.path, found.origin), (DEFAULT_PATH.into(), Origin::Default));
    }
}
