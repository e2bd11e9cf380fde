//! The addresses in header fields (RFC 5322 §3.4): groups, comments, quoted strings, folds, and the obsolete forms of
//! §4.4 that programs still write.
//!
//! Strict where a mistake would send mail to somebody else: two words without an `@` are no address. Lenient in what
//! hurts nobody: empty elements, dots in names, UTF-8 in names.

use std::fmt;

use smtp_proto::{AddressLiteral, Domain, LocalPart, Mailbox, SyntaxError};

/// An address as people write it: where the domain is missing, that of the machine is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The part before the `@`.
    pub local_part: LocalPart,
    /// The part behind it.
    pub domain: Option<Domain>,
}

impl Address {
    /// The mailbox, at `domain` where the address names none.
    ///
    /// # Errors
    /// It is longer than a mailbox may be.
    pub fn at(self, domain: &Domain) -> Result<Mailbox, SyntaxError> {
        Mailbox::new(self.local_part, self.domain.unwrap_or_else(|| domain.clone()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{}@{domain}", self.local_part),
            None => self.local_part.fmt(f),
        }
    }
}

/// Why text is no list of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at octet {offset}")]
pub struct AddressListError {
    /// Where, counted from 0.
    pub offset: usize,
    /// What is wrong.
    pub reason: AddressListReason,
}

/// What is wrong with a list of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressListReason {
    /// An octet that is no UTF-8, or a control character.
    #[error("no text")]
    NotText,
    /// `(` or `"` or `[` without its end.
    #[error("a comment, a string or a literal without its end")]
    Unclosed,
    /// Something else belongs here.
    #[error("an address is expected")]
    Expected,
    /// Words that are no local part: most often a name without `<address>`.
    #[error("no local part")]
    LocalPart,
    /// Text that is no domain.
    #[error("no domain")]
    Domain,
}

/// The addresses of an `address-list`, those of its groups included, in order. Names and comments are dropped.
///
/// # Errors
/// Where it is none, and why.
pub fn parse(list: &[u8]) -> Result<Vec<Address>, AddressListError> {
    let text = std::str::from_utf8(list)
        .map_err(|error| AddressListError { offset: error.valid_up_to(), reason: AddressListReason::NotText })?;
    let mut reader = Reader { text, at: 0 };
    let mut addresses = Vec::new();
    let mut in_group = false;
    loop {
        reader.skip_space()?;
        match reader.peek() {
            None if in_group => return Err(reader.error(AddressListReason::Unclosed)),
            None => return Ok(addresses),
            // Empty elements are those of RFC 5322 §4.4.
            Some(',') => reader.at += 1,
            Some(';') if in_group => {
                reader.at += 1;
                in_group = false;
                reader.expect_end(in_group)?;
            }
            Some(_) => match reader.element(in_group)? {
                Element::Group => in_group = true,
                Element::Address(address) => {
                    addresses.push(address);
                    reader.expect_end(in_group)?;
                }
            },
        }
    }
}

enum Element {
    /// `display-name ":"`.
    Group,
    Address(Address),
}

/// What the words before `@`, `<` or `:` are made of.
#[derive(Default)]
struct Words {
    /// What they mean, quotes taken off.
    text: String,
    /// There are two without a dot between them, so they are a name and no local part.
    is_phrase: bool,
    /// The last one was a word, and no dot.
    ends_in_word: bool,
    /// They begin with a dot, or have two dots in a row.
    dots_astray: bool,
    start: usize,
}

impl Words {
    fn push_word(&mut self, word: &str) {
        self.is_phrase |= self.ends_in_word;
        self.text.push_str(word);
        self.ends_in_word = true;
    }

    fn push_dot(&mut self) {
        self.dots_astray |= !self.ends_in_word;
        self.text.push('.');
        self.ends_in_word = false;
    }

    fn local_part(&self) -> Result<LocalPart, AddressListError> {
        let wrong = AddressListError { offset: self.start, reason: AddressListReason::LocalPart };
        if self.is_phrase || self.dots_astray || !self.ends_in_word {
            return Err(wrong);
        }
        LocalPart::from_unquoted(&self.text).map_err(|_| wrong)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn error(&self, reason: AddressListReason) -> AddressListError {
        AddressListError { offset: self.at, reason }
    }

    /// `CFWS`: white space, folds, and comments, which nest.
    fn skip_space(&mut self) -> Result<(), AddressListError> {
        let (mut depth, mut opened_at) = (0_u32, self.at);
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' => {}
                '(' => {
                    if depth == 0 {
                        opened_at = self.at;
                    }
                    depth += 1;
                }
                ')' if depth > 0 => depth -= 1,
                '\\' if depth > 0 => self.at += 1,
                _ if depth == 0 => return Ok(()),
                _ => {}
            }
            if self.next().is_none() {
                break;
            }
        }
        if depth > 0 {
            return Err(AddressListError { offset: opened_at, reason: AddressListReason::Unclosed });
        }
        Ok(())
    }

    /// After an address comes a comma, the end of its group, or nothing.
    fn expect_end(&mut self, in_group: bool) -> Result<(), AddressListError> {
        self.skip_space()?;
        match self.peek() {
            None | Some(',') => Ok(()),
            Some(';') if in_group => Ok(()),
            Some(_) => Err(self.error(AddressListReason::Expected)),
        }
    }

    /// `mailbox`, or the head of a group.
    fn element(&mut self, in_group: bool) -> Result<Element, AddressListError> {
        let words = self.words()?;
        match self.peek() {
            Some('<') => Ok(Element::Address(self.angle_address()?)),
            Some(':') if !in_group && !words.text.is_empty() => {
                self.at += 1;
                Ok(Element::Group)
            }
            Some('@') => Ok(Element::Address(self.at_domain(&words)?)),
            _ if words.text.is_empty() => Err(self.error(AddressListReason::Expected)),
            _ => Ok(Element::Address(Address { local_part: words.local_part()?, domain: None })),
        }
    }

    /// Atoms, quoted strings and dots, with white space and comments between them.
    fn words(&mut self) -> Result<Words, AddressListError> {
        self.skip_space()?;
        let mut words = Words { start: self.at, ..Words::default() };
        loop {
            self.skip_space()?;
            match self.peek() {
                Some('"') => {
                    let word = self.quoted_string()?;
                    words.push_word(&word);
                }
                Some('.') => {
                    self.at += 1;
                    words.push_dot();
                }
                Some(next) if is_atom(next) => {
                    let word = self.atom().to_owned();
                    words.push_word(&word);
                }
                _ => return Ok(words),
            }
        }
    }

    fn atom(&mut self) -> &str {
        let start = self.at;
        while self.peek().is_some_and(is_atom) {
            self.next();
        }
        &self.text[start..self.at]
    }

    /// `quoted-string`; what it means.
    fn quoted_string(&mut self) -> Result<String, AddressListError> {
        let unclosed = self.error(AddressListReason::Unclosed);
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            match self.next().ok_or(unclosed)? {
                '"' => return Ok(text),
                '\\' => text.push(self.next().ok_or(unclosed)?),
                // A fold within the string: the white space behind it stays.
                '\r' | '\n' => {}
                control if control.is_control() && control != '\t' => {
                    return Err(AddressListError { offset: start, reason: AddressListReason::NotText });
                }
                other => text.push(other),
            }
        }
    }

    /// `"<" [ obs-route ] addr-spec ">"`. The route is dropped, as RFC 5322 §4.4 says.
    fn angle_address(&mut self) -> Result<Address, AddressListError> {
        self.at += 1;
        self.skip_space()?;
        if self.peek() == Some('@') {
            self.route()?;
        }
        let words = self.words()?;
        let address = match self.peek() {
            Some('@') => self.at_domain(&words)?,
            _ => Address { local_part: words.local_part()?, domain: None },
        };
        self.skip_space()?;
        if self.next() != Some('>') {
            return Err(self.error(AddressListReason::Expected));
        }
        Ok(address)
    }

    /// `"@" domain *( "," [ "@" domain ] ) ":"`.
    fn route(&mut self) -> Result<(), AddressListError> {
        loop {
            self.skip_space()?;
            match self.peek() {
                Some(':') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(',') => self.at += 1,
                Some('@') => {
                    self.at += 1;
                    self.domain()?;
                }
                _ => return Err(self.error(AddressListReason::Expected)),
            }
        }
    }

    fn at_domain(&mut self, words: &Words) -> Result<Address, AddressListError> {
        let local_part = words.local_part()?;
        self.at += 1;
        Ok(Address { local_part, domain: Some(self.domain()?) })
    }

    /// `dot-atom`, with white space around its parts, or `domain-literal`.
    fn domain(&mut self) -> Result<Domain, AddressListError> {
        self.skip_space()?;
        let wrong = self.error(AddressListReason::Domain);
        if self.peek() == Some('[') {
            return self.domain_literal();
        }
        let mut domain = String::new();
        loop {
            domain.push_str(self.atom());
            self.skip_space()?;
            if self.peek() != Some('.') {
                break;
            }
            self.at += 1;
            domain.push('.');
            self.skip_space()?;
        }
        domain.parse().map_err(|_| wrong)
    }

    fn domain_literal(&mut self) -> Result<Domain, AddressListError> {
        let wrong = self.error(AddressListReason::Domain);
        let end = self.text[self.at..].find(']').ok_or(self.error(AddressListReason::Unclosed))?;
        let literal = self.text[self.at..=self.at + end].parse::<AddressLiteral>().map_err(|_| wrong)?;
        self.at += end + 1;
        Ok(Domain::Literal(literal))
    }
}

/// `atext` (RFC 5322 §3.2.3, RFC 6532 §3.2).
fn is_atom(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || (!character.is_ascii() && !character.is_control())
}

#[cfg(test)]
mod tests;
