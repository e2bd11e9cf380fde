//! Gathers what is wrong, and the checks that many keys share.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admin::Group;
use smtp_config::{Period, Placed, Problem, Problems, Source};
use smtp_proto::DomainName;

/// A file that is being proven, and what was found so far.
pub(super) struct Prover<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Prover<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self { source, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Whether something was found already.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// The warnings, or the problems if there are any.
    pub(super) fn finish(self) -> Result<Vec<Problem>, Problems> {
        Problems::check(self.problems)?;
        Ok(self.warnings)
    }

    /// The file cannot be used for what stands at `place`.
    pub(super) fn error(&mut self, place: Option<Range<usize>>, message: impl Into<String>) {
        self.problems.push(self.source.problem(place, message));
    }

    /// What stands at `place` will surprise somebody.
    pub(super) fn warn(&mut self, place: Option<Range<usize>>, message: impl Into<String>) {
        self.warnings.push(self.source.problem(place, message));
    }

    /// A problem with another file.
    pub(super) fn error_elsewhere(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A warning about another file.
    pub(super) fn warn_elsewhere(&mut self, warning: Problem) {
        self.warnings.push(warning);
    }

    /// Parses a value of the file; what is wrong with it is told.
    pub(super) fn parse<T>(&mut self, written: &Placed<String>) -> Option<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        written.parse().map_err(|error: T::Err| self.error(written.place(), error.to_string())).ok()
    }

    /// A domain name in ASCII, since it is sent to everybody; `what` it is, for who wrote another.
    pub(super) fn ascii_domain(&mut self, what: &str, written: &Placed<String>) -> Option<DomainName> {
        match written.parse::<DomainName>() {
            Ok(name) if name.is_ascii() => return Some(name),
            Ok(_) => self.error(written.place(), format!("{what} sent to everybody: write it in ASCII (xn--…)")),
            Err(error) => {
                self.error(written.place(), format!("{:?} is no domain name: {error}", written.as_str()));
            }
        }
        None
    }

    /// A path relative to the file; absolute, however the file was named.
    pub(super) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.source.resolve(path);
        // Fails where there is no current folder; then nothing relative can be used anyway.
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Reads a file that this one names.
    pub(super) fn read(&mut self, path: &Placed<PathBuf>) -> Option<Source> {
        Source::read(self.resolve(&**path)).map_err(|error| self.error(path.place(), error.to_string())).ok()
    }

    /// A number that must not be zero.
    pub(super) fn positive(&mut self, key: &str, number: &Placed<u32>) -> usize {
        if **number == 0 {
            self.error(number.place(), format!("`{key}` must be at least 1"));
        }
        usize::try_from(**number).unwrap_or(usize::MAX)
    }

    /// A duration that must not be zero.
    pub(super) fn some_time(&mut self, key: &str, period: &Placed<Period>) -> Duration {
        if period.0.is_zero() {
            self.error(period.place(), format!("`{key}` must be longer than nothing"));
        }
        period.0
    }

    /// A group, by its name in `/etc/group`.
    pub(super) fn group(&mut self, name: &Placed<String>) -> Option<Group> {
        let found = Group::find(name);
        if found.is_none() {
            let text =
                format!("there is no group {:?} on this machine; make it with `groupadd --system {}`", **name, **name);
            self.error(name.place(), text);
        }
        found
    }
}
