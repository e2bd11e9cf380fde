//! MIME parts, and the header block that is returned.

use super::encode::{is_seven_bit, quoted_printable};
use crate::header::{Field, HeaderBlock};

/// So much of the original header block is returned, in octets.
const RETURNED_OCTETS_MAX: usize = 32 * 1024;

/// One part: its header and its body, which ends with the end of a line; encoded where it must be.
pub(super) fn part(media_type: &str, description: &str, body: &[u8]) -> String {
    match seven_bit(body) {
        Some(body) => encoded_part(media_type, description, "7bit", body),
        None => encoded_part(media_type, description, "quoted-printable", &quoted_printable(body)),
    }
}

fn encoded_part(media_type: &str, description: &str, encoding: &str, body: &str) -> String {
    format!(
        "Content-Description: {description}\r\n\
         Content-Type: {media_type}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\
         \r\n\
         {body}"
    )
}

/// The octets as text, where they can stand in a 7-bit part as they are.
fn seven_bit(octets: &[u8]) -> Option<&str> {
    is_seven_bit(octets).then(|| str::from_utf8(octets).ok()).flatten()
}

/// The whole message that is reported on (RFC 6522 §3), unless it has octets or lines that a 7-bit part cannot have.
pub(super) fn returned_message(content: &[u8]) -> Option<String> {
    // The boundary behind it begins a line of its own.
    seven_bit(content).map(|text| encoded_part("message/rfc822", "Your message", "7bit", text))
}

/// The header block of the message that is reported on (RFC 6522 §4, RFC 6533 §4.3), cut behind a field where it is long.
pub(super) fn returned_header(header: &HeaderBlock) -> String {
    let mut octets = 0;
    let fields = header.fields().map(Field::as_bytes).take_while(|field| {
        octets += field.len();
        octets <= RETURNED_OCTETS_MAX
    });
    let mut block = fields.collect::<Vec<_>>().concat();
    if !block.is_empty() && !block.ends_with(b"\r\n") {
        block.extend_from_slice(b"\r\n");
    }
    let media_type = if !block.is_ascii() && str::from_utf8(&block).is_ok() {
        "message/global-headers"
    } else {
        "text/rfc822-headers"
    };
    part(media_type, "Header of the message", &block)
}
