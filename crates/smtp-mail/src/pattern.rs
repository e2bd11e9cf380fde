//! Patterns of domains, as the configuration writes them.

use std::fmt;
use std::str::FromStr;

use smtp_proto::{Domain, DomainName};

/// `example.com` is that domain, `*.example.com` every domain below it but not itself, `*` every domain and
/// address literal, `[192.0.2.1]` that address literal. ASCII letters are compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainPattern(Pattern);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Below(DomainName),
    Exactly(Domain),
}

impl DomainPattern {
    /// The pattern that matches everything.
    pub const ANY: Self = Self(Pattern::Any);

    /// Is the domain one of those that are meant?
    pub fn matches(&self, domain: &Domain) -> bool {
        match &self.0 {
            Pattern::Any => true,
            Pattern::Exactly(own) => own == domain,
            Pattern::Below(parent) => domain.name().is_some_and(|name| is_below(name.as_str(), parent.as_str())),
        }
    }

    /// The one domain that it matches, unless it matches many: such patterns can be found by table.
    pub fn exact(&self) -> Option<&Domain> {
        match &self.0 {
            Pattern::Exactly(domain) => Some(domain),
            Pattern::Any | Pattern::Below(_) => None,
        }
    }
}

fn is_below(name: &str, parent: &str) -> bool {
    let Some(start) = name.len().checked_sub(parent.len() + 1) else {
        return false;
    };
    // By octets: the names may be UTF-8, and `start` may be inside a character.
    let end = &name.as_bytes()[start..];
    start > 0 && end[0] == b'.' && end[1..].eq_ignore_ascii_case(parent.as_bytes())
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Any => f.write_str("*"),
            Pattern::Below(parent) => write!(f, "*.{parent}"),
            Pattern::Exactly(domain) => fmt::Display::fmt(domain, f),
        }
    }
}

/// The text is no pattern of domains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no domain, nor a pattern such as *.example.com or *")]
pub struct PatternError {
    /// What was to be read.
    pub text: String,
}

impl FromStr for DomainPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = |_| PatternError { text: text.to_owned() };
        let pattern = match text.strip_prefix("*.") {
            _ if text == "*" => Pattern::Any,
            Some(parent) => Pattern::Below(parent.parse().map_err(error)?),
            None => Pattern::Exactly(text.parse().map_err(error)?),
        };
        Ok(Self(pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, domain: &str) -> bool {
        let pattern: DomainPattern = pattern.parse().unwrap();
        assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
        pattern.matches(&domain.parse().unwrap())
    }

    #[test]
    fn patterns_and_what_they_match() {
        for (pattern, domain) in [
            ("example.com", "EXAMPLE.com"),
            ("*.example.com", "a.example.com"),
            ("*.Example.com", "b.a.examplE.COM"),
            ("*", "example.com"),
            ("*", "[192.0.2.1]"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("*.bücher.example", "x.bücher.example"),
        ] {
            assert!(matches(pattern, domain), "{pattern} {domain}");
        }
    }

    #[test]
    fn look_alikes_do_not_match() {
        for (pattern, domain) in [
            ("example.com", "a.example.com"),
            ("example.com", "example.com.evil.example"),
            ("*.example.com", "example.com"),
            ("*.example.com", "badexample.com"),
            ("*.example.com", "example.org"),
            ("*.com", "[192.0.2.1]"),
            ("*.r.example", "bür.example"),
            ("[192.0.2.1]", "[192.0.2.10]"),
        ] {
            assert!(!matches(pattern, domain), "{pattern} {domain}");
        }
    }

    #[test]
    fn texts_that_are_no_pattern() {
        for text in ["", "*.", "**", "*example.com", "a.*.example", "a b", "@example.com", "*.[192.0.2.1]"] {
            assert!(text.parse::<DomainPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_exact_ones_are_known() {
        assert_eq!("a.example".parse::<DomainPattern>().unwrap().exact(), Some(&"A.example".parse().unwrap()));
        assert_eq!(DomainPattern::ANY.exact(), None);
    }
}
