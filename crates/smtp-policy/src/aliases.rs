//! The aliases file, in the syntax of sendmail: `name: target, target`.
//!
//! A line that begins with white space continues the one before it; `#` at the start of a line begins a comment. Names match without
//! regard to case and quoting. A target is a name (a user or an alias), `\name` (the user, whatever aliases say), or an address. Programs, files and
//! included lists are refused: mail is never given to a program but over SMTP or LMTP, and never written to a file named by a text.

mod parse;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use smtp_proto::Mailbox;

use crate::recipients::Key;

/// All aliases of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases {
    aliases: HashMap<Key, Alias>,
}

/// A name, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    place: Range<usize>,
    name: Box<str>,
    targets: Box<[(AliasTarget, Range<usize>)]>,
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasTarget {
    /// An alias or, where there is none, a user.
    Name(Box<str>),
    /// A user, whatever aliases say: `\name`.
    User(Box<str>),
    /// An address, local or anywhere.
    Mailbox(Mailbox),
}

/// Something in an aliases file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasProblem {
    /// Its octets in the file.
    pub place: Range<usize>,
    /// What is wrong.
    pub error: AliasError,
}

/// Why a part of an aliases file cannot be used. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// No `name:` begins the line.
    #[error("an alias is written `name: target, target`; there is no colon behind a name here")]
    NoColon,
    /// Nothing stands before the colon.
    #[error("there is no name before the colon")]
    NoName,
    /// The name is an address or has white space in it.
    #[error("{name:?} is no name: it holds at each local domain, and is written without domain and without spaces")]
    Name {
        /// What stands before the colon.
        name: String,
    },
    /// The name has been said already.
    #[error("{name:?} is an alias already, in line {first_line}; name all targets in one place")]
    Duplicate {
        /// The name.
        name: String,
        /// Where it was said first, from 1.
        first_line: usize,
    },
    /// Nothing stands behind the colon, or between two commas.
    #[error("a target is missing here")]
    NoTarget,
    /// A quote is opened and not closed.
    #[error("the quote that is opened here is not closed")]
    Quote,
    /// White space inside of a target.
    #[error("{text:?} has a space in it; targets are divided by commas")]
    Space {
        /// The target.
        text: String,
    },
    /// An address that is none.
    #[error("{text:?} is no address: {source}")]
    Address {
        /// The target.
        text: String,
        /// What the parser said.
        source: smtp_proto::SyntaxError,
    },
    /// `|command`
    #[error(
        "{text:?} would run a program, which local delivery never does; let the program take its mail over SMTP or LMTP, and name \
         an address here whose domain has a [[route]] to it"
    )]
    Program {
        /// The target.
        text: String,
    },
    /// `/file`
    #[error(
        "{text:?} would write to a file, which local delivery never does; name a user here, whose Maildir takes the mail"
    )]
    File {
        /// The target.
        text: String,
    },
    /// `:include:/file`
    #[error(
        "{text:?} would read targets from another file; write them here, or let a list manager take the mail over SMTP or LMTP by \
         an address whose domain has a [[route]] to it"
    )]
    Include {
        /// The target.
        text: String,
    },
}

impl Aliases {
    /// Reads an aliases file.
    ///
    /// # Errors
    /// All that is wrong, in the order of the file.
    pub fn parse(text: &str) -> Result<Self, Vec<AliasProblem>> {
        parse::aliases(text)
    }

    /// All aliases, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Alias> {
        self.aliases.values()
    }

    /// The alias of that name.
    pub fn named(&self, name: &str) -> Option<&Alias> {
        self.aliases.get(&Key::of_name(name))
    }

    pub(crate) fn find(&self, key: &Key) -> Option<(&Key, &Alias)> {
        self.aliases.get_key_value(key)
    }
}

impl Alias {
    /// The name as written, without quotes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The octets of the file in which the name stands.
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// What it stands for, each with its place in the file.
    pub fn targets(&self) -> impl Iterator<Item = (&AliasTarget, Range<usize>)> {
        self.targets.iter().map(|(target, place)| (target, place.clone()))
    }
}

impl FromStr for AliasTarget {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, AliasError> {
        parse::target(text.trim())
    }
}

impl fmt::Display for AliasTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::User(name) => write!(formatter, "\\{name}"),
            Self::Mailbox(mailbox) => mailbox.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests;
