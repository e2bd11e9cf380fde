//! A file that a person wrote: its path and its text, kept so that problems can be shown at their place.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::file::File;
use crate::keys;
use crate::problem::{Problem, Problems};
use crate::secret;
use crate::users::Users;
use crate::value::PASSWORD_WRITTEN;

/// The longest file that is read: 16 MiB. Aliases and users of a whole town fit; a device or a log does not.
pub const SOURCE_OCTETS_MAX: u64 = 16 * 1024 * 1024;

/// A text file and where it came from. `Debug` shows only where: there may be secrets in the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    text: String,
    hides_values: bool,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("{path} does not exist")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The system refused it.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is longer than [`SOURCE_OCTETS_MAX`].
    #[error("{path} is longer than {SOURCE_OCTETS_MAX} octets, which no such file should be")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is not text.
    #[error("{path}:{line}: the line is not UTF-8; save the file in that encoding")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first line at fault, from 1.
        line: usize,
    },
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is wrong.
    #[error(transparent)]
    Problems(#[from] Problems),
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source {
    /// A text that is at hand already, as if it had been read from `path`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), hides_values: false }
    }

    /// Reads the file at `path`.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let path = path.into();
        let octets = match read_at_most(&path) {
            Ok(octets) => octets,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(ReadError::Missing { path }),
            Err(source) => return Err(ReadError::Io { path, source }),
        };
        if octets.len() as u64 > SOURCE_OCTETS_MAX {
            return Err(ReadError::TooLong { path });
        }
        match String::from_utf8(octets) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => {
                let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = valid.split(|&octet| octet == b'\n').count();
                Err(ReadError::NotUtf8 { path, line })
            }
        }
    }

    /// The configuration in this text.
    ///
    /// # Errors
    /// All unknown keys; if there are none, the first thing that is wrong.
    pub fn file(&self) -> Result<File, Problems> {
        self.toml(keys::unknown_keys)
    }

    /// The users in this text.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn users(&self) -> Result<Users, Problems> {
        self.toml(Users::unknown_keys).map_err(Problems::without_values)
    }

    /// The same, whose problems show no values: for a file that has secrets in it, such as the users file.
    #[must_use]
    pub fn hiding_values(self) -> Self {
        Self { hides_values: true, ..self }
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A path as it is meant in this file: relative to the folder that the file is in.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path.parent().map_or_else(|| path.as_ref().to_owned(), |folder| folder.join(path.as_ref()))
    }

    /// Something that is wrong with the octets `place` of the text, or with the file as a whole.
    pub fn problem(&self, place: Option<Range<usize>>, message: impl Into<String>) -> Problem {
        match place {
            Some(span) if self.hides_values => {
                Problem::at(&self.path, &self.text, span, message.into()).without_values()
            }
            Some(span) => Problem::at(&self.path, &self.text, span, message.into()),
            None => Problem::of_file(&self.path, message),
        }
    }

    fn toml<T: DeserializeOwned>(
        &self,
        unknown_keys: fn(&toml::de::DeTable<'_>) -> Vec<Misplaced>,
    ) -> Result<T, Problems> {
        let document = toml::de::DeTable::parse(&self.text).map_err(|error| self.toml_problem(&error))?;
        let unknown = unknown_keys(document.get_ref());
        Problems::check(unknown.into_iter().map(|found| self.misplaced(found)).collect())?;
        T::deserialize(toml::de::Deserializer::from(document)).map_err(|error| self.toml_problem(&error).into())
    }

    fn misplaced(&self, found: Misplaced) -> Problem {
        let problem = self.unproven(Some(found.span), found.message);
        if found.beside_secrets { problem.without_values() } else { problem }
    }

    fn toml_problem(&self, error: &toml::de::Error) -> Problem {
        let message = error.message().replace('\n', ", ");
        match message.strip_prefix("missing field ") {
            Some(key) => self.unproven(error.span(), format!("{key} is missing here")),
            None if message == PASSWORD_WRITTEN => self.problem(error.span(), message).without_values(),
            None => self.unproven(error.span(), message),
        }
    }

    /// A problem with text that is not yet what it should be: what may be a secret in it is not repeated.
    fn unproven(&self, place: Option<Range<usize>>, message: String) -> Problem {
        let is_secret = place.as_ref().is_some_and(|span| secret::may_be_in_line(&self.text, span));
        let problem = self.problem(place, message);
        if is_secret { problem.without_values() } else { problem }
    }
}

/// A key that does not belong where it stands.
pub(crate) struct Misplaced {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    /// It stands in a section that has to do with secrets: its value may be one, whatever its name is.
    pub(crate) beside_secrets: bool,
}

/// One octet more than is allowed, so that the caller can tell.
fn read_at_most(path: &Path) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    fs::File::open(path)?.take(SOURCE_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    Ok(octets)
}
