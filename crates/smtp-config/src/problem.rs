//! What is wrong, and where: shown as `file:line:column`, with the line itself and a caret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The longest part of a line that is shown, in characters.
const EXCERPT_CHARACTERS_MAX: usize = 120;

/// One thing that is wrong with a file.
///
/// `Display` gives the message with the line and the caret, [`Problem::summary`] the first line alone, for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    path: PathBuf,
    place: Option<Place>,
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    excerpt: String,
    /// The excerpt is not what the line says.
    is_hidden: bool,
    caret_offset: usize,
    caret_width: usize,
}

impl Problem {
    /// A problem with the file as a whole.
    pub fn of_file(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { path: path.into(), place: None, message: message.into() }
    }

    /// A problem with the octets `span` of `text`. A span outside of the text is cut to it.
    pub(crate) fn at(path: &Path, text: &str, span: Range<usize>, message: String) -> Self {
        Self { path: path.to_owned(), place: Some(Place::find(text, span)), message }
    }

    /// The same without what the line says: only headings and addresses are shown, of other lines the key.
    pub(crate) fn without_values(mut self) -> Self {
        let Some(place) = self.place.as_mut().filter(|place| !place.is_hidden) else { return self };
        let line = if place.is_from_the_start() { place.excerpt.trim_start() } else { "" };
        if is_heading(line) || is_addresses(line) {
            return self;
        }
        let key = key_of(line).map_or("", |(key, _)| key).to_owned();
        place.is_hidden = true;
        place.excerpt = if key.is_empty() { "…".to_owned() } else { format!("{key} = …") };
        (place.caret_offset, place.caret_width) = (0, key.chars().count().max(1));
        // The parser repeats a value of a wrong type.
        if let Some((_, expected)) =
            self.message.rsplit_once("expected ").filter(|(before, _)| before.contains('`') || before.contains('"'))
        {
            self.message = format!("expected {expected}");
        }
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line in the file, from 1; none if the problem has no one place.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    /// The column in the line in characters, from 1.
    pub fn column(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.column)
    }

    /// What is wrong and what to do, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// All in one line: `file:line:column: message`.
    pub fn summary(&self) -> String {
        let path = self.path.display();
        match &self.place {
            Some(place) => format!("{path}:{}:{}: {}", place.line, place.column, self.message),
            None => format!("{path}: {}", self.message),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.summary())?;
        let Some(place) = &self.place else { return Ok(()) };
        let margin = place.line.to_string().len();
        let Place { line, excerpt, caret_offset, caret_width, .. } = place;
        write!(formatter, "\n{:margin$} |\n{line} | {excerpt}", "")?;
        write!(formatter, "\n{:margin$} | {:caret_offset$}{:^<caret_width$}", "", "", "")
    }
}

impl std::error::Error for Problem {}

impl Place {
    /// Whether the excerpt shows the line from its beginning on.
    fn is_from_the_start(&self) -> bool {
        self.column == self.caret_offset + 1
    }

    fn find(text: &str, span: Range<usize>) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let before = text[line_start..start].chars().count();
        let width = text[start..end.min(line_end)].chars().count();
        let line: Vec<char> = text[line_start..line_end].trim_end_matches('\r').chars().map(printable).collect();
        // A long line is shown around the place.
        let first =
            if line.len() > EXCERPT_CHARACTERS_MAX { before.saturating_sub(EXCERPT_CHARACTERS_MAX / 2) } else { 0 };
        let excerpt: String = line.iter().skip(first).take(EXCERPT_CHARACTERS_MAX).collect();
        let room = excerpt.chars().count().saturating_sub(before - first);
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: before + 1,
            excerpt: excerpt.trim_end().to_owned(),
            is_hidden: false,
            caret_offset: before - first,
            caret_width: width.min(room).max(1),
        }
    }
}

/// The key and what follows it, where the line begins like one that sets a key: base64 can have a `=` too, but no space before it.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ")?;
    let key = key.trim_end();
    is_name(key).then_some((key, value))
}

/// `[alice]`, and nothing else on the line.
fn is_heading(line: &str) -> bool {
    line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(is_name)
}

/// `addresses = […]`, and nothing else on the line.
fn is_addresses(line: &str) -> bool {
    let Some(("addresses", value)) = key_of(line) else { return false };
    let list = value.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    list.is_some_and(|list| !list.contains(['[', ']', '=']))
}

fn is_name(text: &str) -> bool {
    text.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.'))
}

/// A tab would shift the caret, and a control character could command the terminal.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        character if character.is_control() => '\u{fffd}',
        character => character,
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// All that was found wrong, in the order in which it was found. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Ok` if `problems` is empty.
    pub fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// The same without what the lines say, where that may be a password.
    pub(crate) fn without_values(self) -> Self {
        Self(self.0.into_iter().map(Problem::without_values).collect())
    }

    /// Each one.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            write!(formatter, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
