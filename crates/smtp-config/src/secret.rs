//! What may be a secret in a file that should have none: people write a password where the name of its file belongs.

use std::ops::Range;

/// A key with one of these in its name, whether it is known or not, may be set to a secret.
const WORDS: [&str; 5] = ["pass", "pw", "secret", "token", "credential"];

/// Whether the line in which the octets `span` of `text` begin may have a secret in it.
pub(crate) fn may_be_in_line(text: &str, span: &Range<usize>) -> bool {
    let start = span.start.min(text.len());
    let octets = text.as_bytes();
    let begin = octets[..start].iter().rposition(|&octet| octet == b'\n').map_or(0, |newline| newline + 1);
    let length = octets[begin..].iter().position(|&octet| octet == b'\n').unwrap_or(octets.len() - begin);
    // Both are at a line end or at an end of the text.
    let line = &text[begin..begin + length];
    let lower = line.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word)) || has_password(&line.replace("://", ""))
}

/// Whether there is a password in front of the host, as in `app1:wonderland@smtp.example.net`. `authority` is without the scheme.
pub(crate) fn has_password(authority: &str) -> bool {
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}
