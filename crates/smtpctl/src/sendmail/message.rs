//! The message on standard input.

use std::io::{self, BufRead};

use bytes::Bytes;
use smtp_mail::address_list::{self, Address};
use smtp_mail::header::HeaderBlock;

use super::exit::{Exit, code};

/// What is read at most: 256 MiB. The server has a limit of its own, which is lower unless somebody has raised it.
const OCTETS_MAX: usize = 256 << 20;

/// Reads a message and gives each line the line end of SMTP: the one change that is made to it. It ends with the input,
/// or, unless `dot_is_data`, at a line that is a dot alone.
///
/// # Errors
/// The input cannot be read, or is too long.
pub(crate) fn read(input: impl BufRead, dot_is_data: bool) -> Result<Bytes, Exit> {
    read_at_most(OCTETS_MAX, input, dot_is_data)
}

fn read_at_most(octets_max: usize, input: impl BufRead, dot_is_data: bool) -> Result<Bytes, Exit> {
    let mut content = Vec::new();
    // A line longer than all that may come is too long, whatever follows.
    let mut input = input.take(octets_max as u64 + 1);
    loop {
        let start = content.len();
        match input.read_until(b'\n', &mut content) {
            Ok(0) => return Ok(content.into()),
            Ok(_) => {}
            Err(error) => return Err(unreadable(&error)),
        }
        end_line(&mut content);
        if content.len() > octets_max {
            return Err(Exit::new(code::DATAERR, format!("the message has more than {octets_max} octets")));
        }
        if !dot_is_data && &content[start..] == b".\r\n" {
            content.truncate(start);
            return Ok(content.into());
        }
    }
}

/// Makes CRLF of the LF at the end, or of nothing there.
fn end_line(content: &mut Vec<u8>) {
    if content.last() == Some(&b'\n') {
        content.pop();
    }
    if content.last() != Some(&b'\r') {
        content.push(b'\r');
    }
    content.push(b'\n');
}

fn unreadable(error: &io::Error) -> Exit {
    Exit::new(code::IOERR, format!("the message cannot be read: {error}"))
}

/// The recipients that the header names: those of `To`, `Cc` and `Bcc`, or where the message is resent those of
/// `Resent-To`, `Resent-Cc` and `Resent-Bcc` (RFC 5322 §3.6.6).
///
/// # Errors
/// A field is no list of addresses.
pub(crate) fn recipients(header: &HeaderBlock) -> Result<Vec<Address>, Exit> {
    const FIELDS: [&str; 3] = ["To", "Cc", "Bcc"];
    const RESENT: [&str; 3] = ["Resent-To", "Resent-Cc", "Resent-Bcc"];
    let is_resent = RESENT.iter().any(|name| header.find(name).is_some());
    let mut recipients = Vec::new();
    for name in if is_resent { RESENT } else { FIELDS } {
        for field in header.named(name) {
            let addresses = address_list::parse(field.value());
            recipients.extend(addresses.map_err(|error| {
                let text = format!("{name}: {}: this is no list of addresses ({error})", field.text().escape_debug());
                Exit::new(code::DATAERR, text)
            })?);
        }
    }
    Ok(recipients)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(input: &str, dot_is_data: bool) -> String {
        String::from_utf8(read(input.as_bytes(), dot_is_data).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn lines_get_the_line_end_of_smtp() {
        assert_eq!(text("", true), "");
        assert_eq!(text("a\nb\r\nc", true), "a\r\nb\r\nc\r\n");
        assert_eq!(text("\n\r\n\n", true), "\r\n\r\n\r\n");
        // No octet else is touched: the server says what it thinks of these.
        assert_eq!(text("a\rb\r\r\n\0\n", true), "a\rb\r\r\n\0\r\n");
    }

    #[test]
    fn a_lone_dot_ends_the_message_unless_it_is_data() {
        assert_eq!(text("a\n.\nb\n", false), "a\r\n");
        assert_eq!(text("a\r\n.\r\nb\r\n", false), "a\r\n");
        assert_eq!(text("a\n.", false), "a\r\n");
        assert_eq!(text(".\n", false), "");
        assert_eq!(text("a\n.b\n..\n . \n", false), "a\r\n.b\r\n..\r\n . \r\n");
        assert_eq!(text("a\n.\nb\n", true), "a\r\n.\r\nb\r\n");
    }

    #[test]
    fn a_message_without_end_is_not_read_to_its_end() {
        let endless = io::BufReader::new(io::repeat(b'x'));
        assert_eq!(read_at_most(1000, endless, true).unwrap_err().code, code::DATAERR);
        assert_eq!(read_at_most(4, &b"ab\ncd\n"[..], true).unwrap_err().code, code::DATAERR);
        assert_eq!(&read_at_most(4, &b"ab\n"[..], true).unwrap()[..], b"ab\r\n");
    }

    #[test]
    fn recipients_are_those_of_the_header() {
        let of = |header: &'static str| {
            let header = HeaderBlock::from_bytes(header.into());
            recipients(&header).map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            of("To: a@x.example\r\nCc: B <b@x.example>,\r\n c\r\nbcc: g: d;\r\n\r\n").unwrap(),
            "a@x.example b@x.example c d"
        );
        assert_eq!(of("To: a\r\nResent-To: b\r\n\r\n").unwrap(), "b");
        assert_eq!(of("Subject: To: a\r\n\r\nTo: b\r\n").unwrap(), "");
        assert_eq!(of("To: John Doe\r\n\r\n").unwrap_err().code, code::DATAERR);
    }
}
