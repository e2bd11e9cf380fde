//! Every key of the file with what there is to say about it, in one place: for the reference, for the check of
//! unknown keys, and for the tests that hold it against the structs of [`file`](crate::file).

mod auth;
mod extensions;
mod guards;
mod hops;
mod sections;
mod table;
mod tls;

use toml::de::{DeTable, DeValue};

use crate::source::Misplaced;
use crate::suggest::nearest;

pub use sections::SECTIONS;

/// The keys; those of one section in the order of the reference.
pub const KEYS: &[Key] = &joined();

/// A table of the file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name, as a path of keys: `local`, `local.deliver`; empty: the top of the file.
    pub path: &'static str,
    /// How it is written: `[local]`, `[[listener]]`, or inline as `deliver = { … }`.
    pub written: &'static str,
    /// What it is for, in Markdown.
    pub text: &'static str,
}

/// A key of the file.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its section and its name: `queue.retry`.
    pub path: &'static str,
    /// What its value is, with the unit where it has one.
    pub value: &'static str,
    /// What holds when it is not written.
    pub fallback: Fallback,
    /// A value, as TOML.
    pub example: &'static str,
    /// What it does, in Markdown.
    pub text: &'static str,
}

/// What holds when a key is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Its section cannot be without it.
    Required,
    /// This value, as TOML.
    Value(&'static str),
    /// No one value: what happens then, in words.
    Otherwise(&'static str),
}

/// The files beside this one that have keys.
const PARTS: [&[Key]; 6] = [table::KEYS, tls::KEYS, auth::KEYS, extensions::KEYS, guards::KEYS, hops::KEYS];

const fn count() -> usize {
    let (mut keys, mut part) = (0, 0);
    while part < PARTS.len() {
        keys += PARTS[part].len();
        part += 1;
    }
    keys
}

/// The keys of all parts.
const fn joined() -> [Key; count()] {
    let mut all = [table::KEYS[0]; count()];
    let (mut index, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut of_part = 0;
        while of_part < PARTS[part].len() {
            all[index] = PARTS[part][of_part];
            index += 1;
            of_part += 1;
        }
        part += 1;
    }
    all
}

impl Key {
    /// The path of its section.
    pub fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// Its name in the section.
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }
}

impl Section {
    /// Its name in the section above it, and the path of that.
    fn in_parent(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }
}

/// All keys of `document` that the table does not know.
pub(crate) fn unknown_keys(document: &DeTable<'_>) -> Vec<Misplaced> {
    let mut found = Vec::new();
    look_into("", document, &mut found);
    found.sort_by_key(|misplaced| misplaced.span.start);
    found
}

/// The depth is bounded by the table: what it does not know is not gone into.
fn look_into(section: &str, table: &DeTable<'_>, found: &mut Vec<Misplaced>) {
    for (key, value) in table {
        let name = key.get_ref();
        let path = if section.is_empty() { name.to_string() } else { format!("{section}.{name}") };
        if let Some(section) = SECTIONS.iter().find(|section| section.path == path) {
            match wrong_brackets(section, value.get_ref()) {
                Some(message) => found.push(Misplaced { span: key.span(), message, beside_secrets: false }),
                None => look_into_tables(&path, value.get_ref(), found),
            }
        } else if !KEYS.iter().any(|key| key.path == path) {
            let (message, beside_secrets) = (unknown_key(section, name), has_secrets(section));
            found.push(Misplaced { span: key.span(), message, beside_secrets });
        }
    }
}

/// Whether a password is named in this section, or in the one that it is in.
fn has_secrets(section: &str) -> bool {
    let outermost = section.split('.').next().unwrap_or(section);
    SECTIONS.iter().any(|known| known.path.strip_prefix(outermost) == Some(".password"))
}

/// `[listener]` for `[[listener]]`, and the reverse.
fn wrong_brackets(section: &Section, value: &DeValue<'_>) -> Option<String> {
    let many = section.written.starts_with("[[");
    let once = section.written.starts_with('[') && !many;
    match value {
        DeValue::Table(_) if many => {
            Some(format!("write {}, with two brackets: there may be several", section.written))
        }
        DeValue::Array(_) if once => Some(format!("write {}, with one bracket: there is only one", section.written)),
        _ => None,
    }
}

fn look_into_tables(path: &str, value: &DeValue<'_>, found: &mut Vec<Misplaced>) {
    match value {
        DeValue::Table(table) => look_into(path, table, found),
        DeValue::Array(elements) => {
            for element in elements {
                if let DeValue::Table(table) = element.get_ref() {
                    look_into(path, table, found);
                }
            }
        }
        // A value that should be a table: the types say so later.
        _ => {}
    }
}

fn unknown_key(section: &str, name: &str) -> String {
    let place = written(section);
    let advice = match nearest(name, names_in(section)) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => elsewhere(name).map(|place| format!("; it belongs {place}")).unwrap_or_default(),
    };
    let name = name.escape_debug();
    format!("unknown key `{name}` {place}{advice}")
}

/// Where a section is, for a message: `in [queue]`.
fn written(section: &str) -> String {
    match SECTIONS.iter().find(|known| known.path == section) {
        Some(known) if !known.path.is_empty() => format!("in {}", known.written),
        _ => "at the top of the file".to_owned(),
    }
}

/// All names that may stand in `section`: keys and the sections below it.
fn names_in(section: &str) -> impl Iterator<Item = &'static str> {
    let keys = KEYS.iter().filter(move |key| key.section() == section).map(Key::name);
    let sections =
        SECTIONS.iter().map(Section::in_parent).filter(move |(parent, name)| *parent == section && !name.is_empty());
    keys.chain(sections.map(|(_, name)| name))
}

/// The one other section in which `name` is a key.
fn elsewhere(name: &str) -> Option<String> {
    let mut known = KEYS.iter().filter(|key| key.name() == name);
    let key = known.next()?;
    if known.next().is_some() {
        return None;
    }
    Some(match key.section() {
        "" => "at the top of the file, before the first [section]".to_owned(),
        section => written(section),
    })
}

#[cfg(test)]
mod tests;
