//! From the text to aliases, with the place of each part.

use std::collections::HashMap;
use std::ops::Range;

use crate::aliases::{Alias, AliasError, AliasProblem, AliasTarget, Aliases};
use crate::recipients::Key;

pub(super) fn aliases(text: &str) -> Result<Aliases, Vec<AliasProblem>> {
    let mut aliases: HashMap<Key, Alias> = HashMap::new();
    let mut problems = Vec::new();
    for pieces in logical_lines(text) {
        let Some(alias) = alias(text, &pieces, &mut problems) else { continue };
        let key = Key::of_name(&alias.name);
        match aliases.get(&key) {
            None => {
                aliases.insert(key, alias);
            }
            Some(first) => {
                let first_line = text[..first.place.start].matches('\n').count() + 1;
                let error = AliasError::Duplicate { name: alias.name.into(), first_line };
                problems.push(AliasProblem { place: alias.place, error });
            }
        }
    }
    if problems.is_empty() { Ok(Aliases { aliases }) } else { Err(problems) }
}

/// The physical lines of each logical line, without comments and empty lines.
fn logical_lines(text: &str) -> Vec<Vec<Range<usize>>> {
    let mut lines: Vec<Vec<Range<usize>>> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let span = start..start + line.len();
        start = span.end;
        let content = line.trim_ascii();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some(pieces) if line.starts_with([' ', '\t']) => pieces.push(span),
            _ => lines.push(vec![span]),
        }
    }
    lines
}

/// One alias; none if something is wrong with it, which is then in `problems`.
fn alias(text: &str, pieces: &[Range<usize>], problems: &mut Vec<AliasProblem>) -> Option<Alias> {
    let first = trim(text, pieces[0].clone());
    let Some(colon) = find_unquoted(&text[first.clone()], ':').map(|at| first.start + at) else {
        problems.push(AliasProblem { place: first, error: AliasError::NoColon });
        return None;
    };
    let place = trim(text, first.start..colon);
    let name = name(&text[place.clone()]).map_err(|error| problems.push(AliasProblem { place: place.clone(), error }));
    let rest = std::iter::once(colon + 1..pieces[0].end).chain(pieces[1..].iter().cloned());
    let found = problems.len();
    let targets = targets(text, rest, problems);
    if problems.len() > found {
        return None;
    }
    let name = name.ok()?;
    if targets.is_empty() {
        problems.push(AliasProblem { place: colon..colon + 1, error: AliasError::NoTarget });
        return None;
    }
    Some(Alias { place, name: name.into(), targets: targets.into() })
}

fn name(text: &str) -> Result<String, AliasError> {
    let unquoted = match quoted(text) {
        Some((name, "")) => name,
        Some(_) => return Err(AliasError::Name { name: text.to_owned() }),
        None if text.starts_with('"') => return Err(AliasError::Quote),
        None if text.contains(char::is_whitespace) => return Err(AliasError::Name { name: text.to_owned() }),
        None => text.to_owned(),
    };
    if unquoted.is_empty() {
        Err(AliasError::NoName)
    } else if unquoted.contains('@') {
        Err(AliasError::Name { name: unquoted })
    } else {
        Ok(unquoted)
    }
}

/// The targets in `pieces`. A comma at the end of a line that is continued, or at the very end, is forgiven: people leave it there.
fn targets(
    text: &str,
    pieces: impl Iterator<Item = Range<usize>>,
    problems: &mut Vec<AliasProblem>,
) -> Vec<(AliasTarget, Range<usize>)> {
    let mut targets = Vec::new();
    for piece in pieces {
        let mut rest = trim(text, piece);
        while !rest.is_empty() {
            let end = find_unquoted(&text[rest.clone()], ',').map_or(rest.end, |at| rest.start + at);
            let place = trim(text, rest.start..end);
            match target(&text[place.clone()]) {
                Ok(target) => targets.push((target, place)),
                Err(error) => problems.push(AliasProblem { place, error }),
            }
            rest = trim(text, (end + 1).min(rest.end)..rest.end);
        }
    }
    targets
}

/// One target, without white space around it.
pub(super) fn target(text: &str) -> Result<AliasTarget, AliasError> {
    let (content, behind) = match quoted(text) {
        Some((content, behind)) => (content, behind),
        None if text.starts_with('"') => return Err(AliasError::Quote),
        None => (text.to_owned(), ""),
    };
    if content.is_empty() && behind.is_empty() {
        return Err(AliasError::NoTarget);
    }
    let owned = || text.to_owned();
    if content.starts_with('|') {
        return Err(AliasError::Program { text: owned() });
    }
    if content.starts_with('/') && !content.contains('@') {
        return Err(AliasError::File { text: owned() });
    }
    if content.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(":include:")) {
        return Err(AliasError::Include { text: owned() });
    }
    if text.contains('@') && !behind_is_nothing(text, behind) {
        return text.parse().map(AliasTarget::Mailbox).map_err(|source| AliasError::Address { text: owned(), source });
    }
    if !text.starts_with('"') && content.contains(char::is_whitespace) {
        return Err(AliasError::Space { text: owned() });
    }
    if !behind.is_empty() {
        return Err(AliasError::Space { text: owned() });
    }
    Ok(match content.strip_prefix('\\') {
        Some(user) => AliasTarget::User(user.into()),
        None => AliasTarget::Name(content.into()),
    })
}

/// Whether the whole of `text` is one quoted string, whose `@` is not that of an address.
fn behind_is_nothing(text: &str, behind: &str) -> bool {
    text.starts_with('"') && behind.is_empty()
}

/// The content of the quoted string that `text` begins with, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let rest = text.strip_prefix('"')?;
    let mut content = String::new();
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((content, &rest[at + 1..])),
            '\\' => content.push(characters.next()?.1),
            _ => content.push(character),
        }
    }
    None
}

/// Where `wanted` stands first outside of quotes.
fn find_unquoted(text: &str, wanted: char) -> Option<usize> {
    let mut in_quotes = false;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => in_quotes = !in_quotes,
            '\\' if in_quotes => {
                characters.next();
            }
            _ if character == wanted && !in_quotes => return Some(at),
            _ => {}
        }
    }
    None
}

fn trim(text: &str, span: Range<usize>) -> Range<usize> {
    let content = &text[span.clone()];
    let start = span.start + content.len() - content.trim_start().len();
    let end = start + content.trim().len();
    start..end
}
