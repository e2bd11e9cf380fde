//! What a submission server adds to a message (RFC 6409 §8): never on mail that comes from elsewhere.

use std::time::SystemTime;

use crate::MessageId;
use crate::date::date_time;
use crate::header::HeaderBlock;

/// The Date and Message-ID fields that the header block lacks, each with its CRLF, to be put on top: so that
/// there is one of each (RFC 6409 §8.2, §8.3).
pub fn missing_fields(header: &HeaderBlock, id: MessageId, hostname: &str, now: SystemTime) -> String {
    let date = header.find("Date").is_none().then(|| format!("Date: {}\r\n", date_time(now)));
    let message_id = header.find("Message-ID").is_none().then(|| format!("Message-ID: <{id}@{hostname}>\r\n"));
    date.into_iter().chain(message_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_added() {
        let id = "0123456789ABC".parse().unwrap();
        let missing = |header: &'static str| {
            let header = HeaderBlock::from_bytes(header.into());
            missing_fields(&header, id, "mx.example.org", SystemTime::UNIX_EPOCH)
        };
        let date = "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n";
        let message_id = "Message-ID: <0123456789ABC@mx.example.org>\r\n";
        assert_eq!(missing("\r\n"), [date, message_id].concat());
        assert_eq!(missing("DATE: x\r\n\r\n"), message_id);
        assert_eq!(missing("message-id : x\r\n\r\n"), date);
        assert_eq!(missing("Date: x\r\nMessage-Id: y\r\n\r\n"), "");
    }
}
