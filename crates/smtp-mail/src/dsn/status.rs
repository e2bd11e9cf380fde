//! The part for programs: message/delivery-status (RFC 3464 §2).

use smtp_proto::{AddressLiteral, EnhancedStatus, EnvelopeId, ForwardPath, Hold, OriginalRecipient, StatusClass};

use super::encode::{ascii, utf8_address};
use super::part;
use super::{DsnKind, DsnRecipient, DsnRequest};
use crate::date::date_time;
use crate::{Report, terms};

pub(super) fn part(request: &DsnRequest<'_>) -> String {
    let envelope_id = request.parameters.envelope_id.as_ref().and_then(EnvelopeId::decoded);
    let envelope_id = envelope_id.map(|text| fold(&format!("Original-Envelope-Id: {text}")) + "\r\n");
    let mut fields = format!(
        "{}Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n{}",
        envelope_id.unwrap_or_default(),
        ascii(request.reporting_mta),
        date_time(request.received_at),
        times(request),
    );
    for recipient in request.recipients {
        fields += "\r\n";
        fields += &recipient_fields(request, recipient);
    }
    part::part("message/delivery-status", "Delivery report", fields.as_bytes())
}

/// When the message was to be there (RFC 2852 §5), and when it was to go (RFC 4865 §5.1.2).
fn times(request: &DsnRequest<'_>) -> String {
    let deadline = terms::deadline(request.parameters, request.received_at);
    let deadline = deadline.map_or_else(String::new, |(at, _)| format!("Deliver-By-Date: {}\r\n", date_time(at)));
    let hold = request.parameters.hold.as_ref().map_or_else(String::new, |hold| match hold {
        Hold::For(interval) => format!("Future-Release-Request: for;{interval}\r\n"),
        Hold::Until(timestamp) => format!("Future-Release-Request: until;{timestamp}\r\n"),
    });
    deadline + &hold
}

fn recipient_fields(request: &DsnRequest<'_>, recipient: &DsnRecipient<'_>) -> String {
    let report = recipient.report;
    let action = match request.kind {
        DsnKind::Failed => "failed",
        DsnKind::Delayed { .. } => "delayed",
        DsnKind::Delivered => "delivered",
        DsnKind::Relayed => "relayed",
    };
    let mut fields = Vec::new();
    let original = recipient.original_recipient.and_then(original_recipient);
    if let Some(original) = original.or_else(|| recipient.original.map(typed_address)) {
        fields.push(format!("Original-Recipient: {original}"));
    }
    fields.push(format!("Final-Recipient: {}", typed_address(recipient.forward_path)));
    fields.push(format!("Action: {action}"));
    fields.push(format!("Status: {}", status(request.kind, report)));
    if let Some(host) = &report.host {
        fields.push(format!("Remote-MTA: dns; {}", mta_name(&host.name)));
    }
    fields.push(format!("Diagnostic-Code: {}", diagnostic(report)));
    if let Some(at) = recipient.last_attempt_at {
        fields.push(format!("Last-Attempt-Date: {}", date_time(at)));
    }
    fields.push(format!("Final-Log-ID: {}", recipient.id(request.message)));
    if let DsnKind::Delayed { retry_until } = request.kind {
        fields.push(format!("Will-Retry-Until: {}", date_time(retry_until)));
    }
    fields.iter().map(|field| fold(field) + "\r\n").collect()
}

/// The status that is reported: a failure is permanent, also where it is the time that has run out.
pub(super) fn status(kind: DsnKind, report: &Report) -> EnhancedStatus {
    match kind {
        DsnKind::Failed => report.status.with_class(StatusClass::Permanent),
        DsnKind::Delayed { .. } | DsnKind::Delivered | DsnKind::Relayed => report.status,
    }
}

/// What ORCPT said, decoded; nothing where it means what is no address (RFC 3464 §2.3.1).
fn original_recipient(original: &OriginalRecipient) -> Option<String> {
    let address = original.decoded()?;
    let address = if address.is_ascii() { address } else { utf8_address(&address) };
    Some(format!("{}; {address}", original.address_type()))
}

fn typed_address(path: &ForwardPath) -> String {
    match path {
        ForwardPath::Postmaster => "rfc822; postmaster".to_owned(),
        ForwardPath::Mailbox(mailbox) if mailbox.is_ascii() => format!("rfc822; {mailbox}"),
        ForwardPath::Mailbox(mailbox) => format!("utf-8; {}", utf8_address(&mailbox.to_string())),
    }
}

/// The name of a host; an address stands in brackets (RFC 3464 §2.3.5).
fn mta_name(name: &str) -> String {
    match name.parse() {
        Ok(address) => AddressLiteral(address).to_string(),
        Err(_) => bounded(ascii(name)),
    }
}

/// What was replied, or what we found ourselves (RFC 3464 §2.3.6).
fn diagnostic(report: &Report) -> String {
    match &report.reply {
        Some(reply) => format!("smtp; {}", reply.escaped(Report::TEXT_OCTETS_MAX)),
        None => format!("X-local; {}", bounded(ascii(report.text()))),
    }
}

/// Cuts ASCII text, so that no line gets longer than a 7-bit part may have them.
fn bounded(mut text: String) -> String {
    text.truncate(Report::TEXT_OCTETS_MAX);
    text
}

/// Folds a field at white space, where there is some; all else in it is printable ASCII.
fn fold(field: &str) -> String {
    const LINE_MAX: usize = 78;
    let mut folded = String::with_capacity(field.len() + 16);
    let mut column = 0;
    for word in field.split_inclusive(' ') {
        let width = word.trim_end().len();
        if column > 0 && column + width > LINE_MAX && !word.trim_end().is_empty() {
            folded.truncate(folded.trim_end().len());
            folded += "\r\n ";
            column = 1;
        }
        folded += word;
        column += word.len();
    }
    folded.truncate(folded.trim_end().len());
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_or_numbered() {
        assert_eq!(mta_name("mx.example.net"), "mx.example.net");
        assert_eq!(mta_name("192.0.2.1"), "[192.0.2.1]");
        assert_eq!(mta_name("2001:db8::1"), "[IPv6:2001:db8::1]");
        assert_eq!(mta_name("\r\nX: "), "\\r\\nX: ");
    }

    #[test]
    fn long_fields_are_folded_at_spaces() {
        let field = format!("Diagnostic-Code: smtp; {}", "word ".repeat(60));
        let folded = fold(&field);
        assert!(folded.split("\r\n").all(|line| line.len() <= 78 && !line.trim().is_empty()), "{folded}");
        assert_eq!(folded.replace("\r\n ", " "), field.trim_end());
        assert_eq!(fold("A: b"), "A: b");
        let one_word = format!("A: {}", "x".repeat(500));
        assert_eq!(fold(&one_word), format!("A:\r\n {}", "x".repeat(500)));
    }
}
