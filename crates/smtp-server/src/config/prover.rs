//! Gathers what is wrong, and the checks that many keys share.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use smtp_config::{Period, Placed, Problem, Problems, Source};

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

    /// A path relative to the file.
    pub(super) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.source.resolve(path)
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

    /// The number of a group, by its name in `/etc/group` or as a number.
    pub(super) fn group(&mut self, group: &Placed<String>) -> Option<u32> {
        let found = group.parse().ok().or_else(|| group_number(&fs::read_to_string("/etc/group").ok()?, group));
        if found.is_none() {
            let name = group.as_str();
            self.error(
                group.place(),
                format!("there is no group {name:?} on this machine; make it with `groupadd --system {name}`"),
            );
        }
        found
    }
}

/// The number of the group called `name` in the text of `/etc/group` (group(5)).
fn group_number(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let text = "root:x:0:\nmail-admin:x:7:\nmail:x:8:alice,bob\nbroken\n";
        assert_eq!(group_number(text, "mail"), Some(8));
        assert_eq!(group_number(text, "root"), Some(0));
        assert_eq!(group_number(text, "broken"), None);
        assert_eq!(group_number(text, "x"), None);
    }
}
