//! The values that stand in the file: durations, sizes, addresses, next hops, words.

mod next_hop;
mod period;
mod size;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ops::{Deref, Range};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

pub(crate) use next_hop::PASSWORD_WRITTEN;
pub use next_hop::{Host, LmtpAddress, NextHopUrl, Scheme};
pub use period::Period;
pub use size::Size;

/// Why a value of the file is not what it should be. The text says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(Cow<'static, str>);

impl ValueError {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }
}

/// A value, and its place in the file where it was written there. Two are equal when the values are.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    value: T,
    place: Option<Range<usize>>,
}

impl<T> Placed<T> {
    /// A default, which stands nowhere in the file.
    pub const fn unwritten(value: T) -> Self {
        Self { value, place: None }
    }

    /// The octets of the file that the value was written in.
    pub fn place(&self) -> Option<Range<usize>> {
        self.place.clone()
    }

    /// The value alone.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Placed<T> {}

impl<T: PartialOrd> PartialOrd for Placed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Placed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<T>::deserialize(deserializer)?;
        let place = Some(spanned.span());
        Ok(Self { value: spanned.into_inner(), place })
    }
}

/// Text that nobody should see: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// An address and port to listen on: `0.0.0.0:25`, `[::]:25`. Port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenAddress(pub SocketAddr);

impl FromStr for ListenAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let port = text.strip_prefix("*:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
        Err(match port.parse::<u16>() {
            Ok(port) => ValueError::new(format!(
                "{text:?} names no address; write \"0.0.0.0:{port}\" and \"[::]:{port}\" for all of them"
            )),
            Err(_) => ValueError::new(format!(
                "{text:?} is no address and port; write it like \"192.0.2.1:25\" or \"[2001:db8::1]:25\" (no names here)"
            )),
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The permission bits of a file, written in octal as `chmod` takes them: `"0660"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl FromStr for FileMode {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits = text.len() == 3 || (text.len() == 4 && text.starts_with('0'));
        match u32::from_str_radix(text, 8) {
            Ok(mode) if digits && text.bytes().all(|octet| octet.is_ascii_digit()) => Ok(Self(mode)),
            _ => Err(ValueError::new(format!("{text:?} is no file mode; write it in octal, like \"0660\""))),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

/// Takes a string of the file through `FromStr`.
pub(crate) fn from_string<'de, T, D>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    T: FromStr<Err = ValueError>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(TextVisitor { expected, result: PhantomData })
}

struct TextVisitor<T> {
    expected: &'static str,
    result: PhantomData<T>,
}

impl<T: FromStr<Err = ValueError>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// `Deserialize` by way of `FromStr`; the text is what stands behind "expected" when the value is no string.
macro_rules! deserialize_from_string {
    ($type:ty, $expected:literal) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::value::from_string(deserializer, $expected)
            }
        }
    };
}
pub(crate) use deserialize_from_string;

deserialize_from_string!(ListenAddress, "an address and port such as \"0.0.0.0:25\"");
deserialize_from_string!(FileMode, "a file mode such as \"0660\"");

/// An enum whose variants are words of the file.
macro_rules! words {
    ($(#[$attribute:meta])* pub enum $type:ident { $($(#[$variant_attribute:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$variant_attribute])* $variant,)+
        }

        impl $type {
            /// All that may be written, in the order of the reference.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
        }

        impl std::str::FromStr for $type {
            type Err = crate::value::ValueError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(crate::value::unknown_word(text, Self::WORDS)),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(match self { $(Self::$variant => $word,)+ })
            }
        }

        crate::value::deserialize_from_string!($type, "a word in quotes");
    };
}
pub(crate) use words;

pub(crate) fn unknown_word(text: &str, words: &[&str]) -> ValueError {
    let choice = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let suggestion = crate::suggest::nearest(text, words.iter().copied());
    let suggestion = suggestion.map(|word| format!("; did you mean {word:?}?")).unwrap_or_default();
    ValueError::new(format!("{text:?} is none of {choice}{suggestion}"))
}

#[cfg(test)]
mod tests;
