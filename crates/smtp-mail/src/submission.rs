//! What a submission server does to a message (RFC 6409 §8): never to mail that comes from elsewhere.
//!
//! Missing fields are added and `Bcc` is taken out; nothing that is there is changed, so that signatures survive.

use std::time::SystemTime;

use smtp_proto::Mailbox;

use crate::MessageId;
use crate::date::date_time;
use crate::header::HeaderBlock;

/// The fields that say who gets a copy without the others knowing (RFC 5322 §3.6.3, §3.6.6).
const BLIND: [&str; 2] = ["Bcc", "Resent-Bcc"];

/// An encoded-word has at most 75 characters (RFC 2047 §2): so many are left for its text.
const ENCODED_TEXT_MAX: usize = 75 - "=?UTF-8?Q??=".len();

/// The header block of a submitted message as it goes on: `Date` and `Message-ID` on top where they are missing, so that
/// there is one of each (RFC 6409 §8.2, §8.3), `Sender` where there is one to be named and none is (§8.1), and without `Bcc`,
/// which is for the submitting side alone.
pub fn completed(
    header: &HeaderBlock,
    id: MessageId,
    hostname: &str,
    sender: Option<&Mailbox>,
    now: SystemTime,
) -> HeaderBlock {
    let missing = missing_fields(header, id, hostname, sender, now);
    let open = BLIND.iter().fold(header.clone(), |header, name| header.without(name));
    if missing.is_empty() { open } else { open.with_on_top(missing.as_bytes()) }
}

fn missing_fields(
    header: &HeaderBlock,
    id: MessageId,
    hostname: &str,
    sender: Option<&Mailbox>,
    now: SystemTime,
) -> String {
    let date = header.find("Date").is_none().then(|| format!("Date: {}\r\n", date_time(now)));
    let message_id = header.find("Message-ID").is_none().then(|| format!("Message-ID: <{id}@{hostname}>\r\n"));
    let sender = sender.filter(|_| header.find("Sender").is_none()).map(|address| format!("Sender: {address}\r\n"));
    date.into_iter().chain(sender).chain(message_id).collect()
}

/// The `From` field of a program that has written none, with its CRLF: the address, and the name of the person where there
/// is one. The name is shown as it must be (RFC 5322 §3.4, RFC 2047 §5); control characters in it are dropped.
pub fn from_field(full_name: Option<&str>, address: &Mailbox) -> String {
    let name: String = full_name.unwrap_or_default().chars().filter(|character| !character.is_control()).collect();
    let name = name.trim();
    if name.is_empty() { format!("From: {address}\r\n") } else { format!("From: {} <{address}>\r\n", phrase(name)) }
}

/// `phrase`: as it is where it is made of atoms, else quoted, else, beyond ASCII, in encoded-words.
fn phrase(name: &str) -> String {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~ ".contains(&octet);
    if !name.is_ascii() {
        encoded_words(name)
    } else if name.bytes().all(is_plain) && !name.contains("=?") {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Encoded-words in the Q encoding of RFC 2047 §4.2, none of which ends within a character.
fn encoded_words(name: &str) -> String {
    let mut words = vec![String::new()];
    for character in name.chars() {
        let mut octets = [0; 4];
        let shown: String = match character {
            ' ' => "_".to_owned(),
            plain if plain.is_ascii_alphanumeric() => plain.to_string(),
            other => other
                .encode_utf8(&mut octets)
                .bytes()
                .fold(String::new(), |shown, octet| shown + &format!("={octet:02X}")),
        };
        match words.last_mut() {
            Some(word) if word.len() + shown.len() <= ENCODED_TEXT_MAX => word.push_str(&shown),
            _ => words.push(shown),
        }
    }
    let words: Vec<String> = words.iter().map(|word| format!("=?UTF-8?Q?{word}?=")).collect();
    words.join("\r\n ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn complete(header: &'static str) -> String {
        let id = "0123456789ABC".parse().unwrap();
        let header = HeaderBlock::from_bytes(header.into());
        let completed = completed(&header, id, "mx.example.org", None, SystemTime::UNIX_EPOCH);
        String::from_utf8(completed.into_bytes().to_vec()).unwrap()
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let date = "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n";
        let message_id = "Message-ID: <0123456789ABC@mx.example.org>\r\n";
        for (header, added) in [
            ("\r\n", [date, message_id].concat()),
            ("DATE: x\r\n\r\n", message_id.to_owned()),
            ("message-id : x\r\n\r\n", date.to_owned()),
            ("Date: x\r\nMessage-Id: y\r\n\r\n", String::new()),
        ] {
            assert_eq!(complete(header), format!("{added}{header}"), "{header:?}");
        }
    }

    #[test]
    fn a_sender_is_named_where_none_is() {
        let sender: Mailbox = "alice@example.org".parse().unwrap();
        for (header, expected) in [
            ("Date: x\r\nMessage-ID: y\r\n\r\n", "Sender: alice@example.org\r\nDate: x\r\nMessage-ID: y\r\n\r\n"),
            ("SENDER: z\r\nDate: x\r\nMessage-ID: y\r\n\r\n", "SENDER: z\r\nDate: x\r\nMessage-ID: y\r\n\r\n"),
        ] {
            let block = HeaderBlock::from_bytes(header.into());
            let id = "0123456789ABC".parse().unwrap();
            let completed = completed(&block, id, "mx.example.org", Some(&sender), SystemTime::UNIX_EPOCH);
            assert_eq!(completed.as_bytes(), expected);
        }
    }

    #[test]
    fn blind_copies_are_hidden_and_nothing_else() {
        assert_eq!(
            complete(
                "Date: x\r\nBcc: a@example.org,\r\n b@example.org\r\nTo: c\r\nresent-bcc: d\r\nMessage-ID: y\r\n\r\n"
            ),
            "Date: x\r\nTo: c\r\nMessage-ID: y\r\n\r\n"
        );
    }

    #[test]
    fn a_name_is_shown_as_a_phrase() {
        let address = "alice@example.org".parse().unwrap();
        for (name, shown) in [
            (None, "alice@example.org"),
            (Some(" \r\n"), "alice@example.org"),
            (Some("CronDaemon"), "CronDaemon <alice@example.org>"),
            (Some("Alice Smith"), "Alice Smith <alice@example.org>"),
            (Some("Alice Q. Smith"), "\"Alice Q. Smith\" <alice@example.org>"),
            (Some("a \"b\" \\c"), "\"a \\\"b\\\" \\\\c\" <alice@example.org>"),
            (Some("x\r\nBcc: y"), "\"xBcc: y\" <alice@example.org>"),
            (Some("=?UTF-8?Q?a?="), "\"=?UTF-8?Q?a?=\" <alice@example.org>"),
            (Some("Jürgen B."), "=?UTF-8?Q?J=C3=BCrgen_B=2E?= <alice@example.org>"),
        ] {
            assert_eq!(from_field(name, &address), format!("From: {shown}\r\n"), "{name:?}");
        }
        let long = from_field(Some(&"ü".repeat(30)), &address);
        assert!(long.lines().all(|line| line.len() <= 100), "{long}");
        assert_eq!(long.matches("=C3=BC").count(), 30);
    }
}
