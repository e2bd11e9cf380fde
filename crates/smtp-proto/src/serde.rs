//! The values as serde writes them, by the feature `serde`.
//!
//! What has a text in the protocol is that text, and is checked when it is read: a malformed value cannot be read either. A secret is
//! not written at all, and so no command is.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::{
    AddressLiteral, Argument, AuthIdentity, BodyType, DeliverBy, Domain, DomainName, EnhancedStatus, EnvelopeId,
    ForwardPath, HelloName, HoldInterval, LocalPart, Mailbox, Mechanism, Notify, OriginalRecipient, Priority,
    RemoteReply, Reply, ReplyCode, Ret, ReversePath, Timestamp,
};

/// As text: what `Display` writes and `FromStr` reads.
macro_rules! as_text {
    ($($type:ty),* $(,)?) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor(PhantomData))
            }
        })*
    };
}

as_text! {
    AddressLiteral, Argument, AuthIdentity, BodyType, DeliverBy, Domain, DomainName, EnhancedStatus, EnvelopeId,
    ForwardPath, HelloName, LocalPart, Mailbox, Mechanism, Notify, OriginalRecipient, Ret, ReversePath, Timestamp,
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text as it stands in the protocol")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// As a number: what the two functions give and take.
macro_rules! as_number {
    ($($type:ty as $number:ty: $write:path, $read:path);* $(;)?) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $write(*self).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = <$number>::deserialize(deserializer)?;
                $read(number).ok_or_else(|| de::Error::custom("number out of range"))
            }
        })*
    };
}

as_number! {
    ReplyCode as u16: ReplyCode::number, ReplyCode::from_number;
    Priority as i8: Priority::value, Priority::new;
    HoldInterval as u32: HoldInterval::seconds, HoldInterval::from_seconds;
}

/// A reply in its parts.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "Reply", deny_unknown_fields)]
struct ReplyParts<T> {
    code: ReplyCode,
    #[serde(default)]
    status: Option<EnhancedStatus>,
    text: T,
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ReplyParts { code: self.code(), status: self.status(), text: self.text() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReplyParts { code, status, text } = ReplyParts::<String>::deserialize(deserializer)?;
        let bare = match status {
            Some(status) if !status.class().agrees_with(code.class()) => {
                return Err(de::Error::custom("the status is not of the class of the code"));
            }
            Some(status) => Self::new(code, status, ""),
            None => Self::without_status(code, ""),
        };
        bare.with_text(text).map_err(de::Error::custom)
    }
}

/// The octets as they came: they need not be text.
impl Serialize for RemoteReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for RemoteReply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(RemoteReplyVisitor)
    }
}

struct RemoteReplyVisitor;

impl<'de> Visitor<'de> for RemoteReplyVisitor {
    type Value = RemoteReply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the octets of a reply")
    }

    fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<RemoteReply, E> {
        RemoteReply::parse(octets).map_err(E::custom)
    }

    /// Formats without octets, such as JSON, write a list of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RemoteReply, A::Error> {
        let mut octets = Vec::new();
        while let Some(octet) = list.next_element()? {
            octets.push(octet);
        }
        self.visit_bytes(&octets)
    }
}
