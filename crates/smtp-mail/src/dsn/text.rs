//! The part for people: what has happened, in plain words.

use std::time::{Duration, SystemTime};

use smtp_proto::{EnhancedStatus, StatusClass};

use super::part;
use super::status::status;
use super::{DsnKind, DsnRecipient, DsnRequest};
use crate::Report;
use crate::attempt::one_line;
use crate::date::date_time;

/// For so many recipients it is told what was said; of the others the next part tells it.
const QUOTED_MAX: usize = 50;

/// So many lines of a reply are quoted.
const REPLY_LINES_MAX: usize = 12;

/// So much of the subject is quoted, in characters.
const SUBJECT_MAX: usize = 100;

pub(super) fn part(request: &DsnRequest<'_>) -> String {
    let about = |(index, recipient)| about(request, recipient, index < QUOTED_MAX);
    let recipients: String = request.recipients.iter().enumerate().map(about).collect();
    let text = format!(
        "This is the mail system at {host}.\n\n{opening}\n\n{message}{recipients}\n\
         The next part of this report is for programs; behind it is the header of\nyour message. \
         People who can help: postmaster at your own mail provider,\nwho may ask for the id of the message.\n",
        host = request.reporting_mta,
        opening = opening(request),
        message = message(request),
    );
    part::part("text/plain; charset=utf-8", "What has happened", text.replace('\n', "\r\n").as_bytes())
}

fn opening(request: &DsnRequest<'_>) -> String {
    let one = request.recipients.len() == 1;
    let whom = if one { "the recipient below" } else { "the recipients below" };
    match request.kind {
        DsnKind::Failed => {
            format!("Your message could not be delivered to {whom}.\nIt is not tried again.")
        }
        DsnKind::Delayed { retry_until } => format!(
            "Your message has not been delivered to {whom} yet.\nYou need not send it again: it is tried until {}.",
            date_time(retry_until)
        ),
        DsnKind::Delivered => format!("Your message has been delivered to {whom}.\nYou have asked to be told."),
        DsnKind::Relayed if request.parameters.deliver_by.is_some() => format!(
            "Your message has been handed on for {whom}.\nYou have asked for its delivery within a time, and are told how far it has come."
        ),
        DsnKind::Relayed => format!(
            "Your message has been handed on for {whom}.\nYou have asked to be told when it arrives, but the mail system that has it now\n\
             sends no such reports: you will hear no more unless it fails."
        ),
    }
}

fn message(request: &DsnRequest<'_>) -> String {
    let subject = request.header.find("Subject").map(|field| {
        let subject: String = one_line(&field.text()).chars().take(SUBJECT_MAX).collect();
        format!("    Subject:  {subject}\n")
    });
    let accepted = date_time(request.received_at);
    format!(
        "{subject}    Accepted: {accepted}\n    Id:       {id}\n",
        subject = subject.unwrap_or_default(),
        id = request.message
    )
}

fn about(request: &DsnRequest<'_>, recipient: &DsnRecipient<'_>, quoted: bool) -> String {
    let DsnRecipient { forward_path, report, .. } = recipient;
    let original = recipient.original.map(|original| format!(" (to which {original} is forwarded)"));
    let words = match request.kind {
        DsnKind::Delivered => "It is in the mailbox.",
        DsnKind::Relayed => "It was handed on.",
        DsnKind::Failed | DsnKind::Delayed { .. } => in_plain_words(status(request.kind, report)),
    };
    let expired = request.kind == DsnKind::Failed && report.status.class() == StatusClass::PersistentTransient;
    let tried = expired.then(|| {
        let span = span(request.received_at, request.now);
        format!("    It has been tried for {span}; the last attempt ended so:\n")
    });
    format!(
        "\n{forward_path}{original}\n    {words}\n{tried}{said}",
        original = original.unwrap_or_default(),
        tried = tried.unwrap_or_default(),
        said = if quoted { said(report) } else { String::new() },
    )
}

/// What was said, by the host that said it.
fn said(report: &Report) -> String {
    let Some(reply) = &report.reply else {
        return format!("    {}\n", one_line(&report.to_string()));
    };
    let host = report.host.as_ref().map_or_else(|| "The next mail server".to_owned(), ToString::to_string);
    let quote = |line: &[u8]| format!("        {}\n", one_line(&String::from_utf8_lossy(line)));
    let lines: String = reply.lines().take(REPLY_LINES_MAX).map(quote).collect();
    let rest = if reply.lines().nth(REPLY_LINES_MAX).is_some() { "        ...\n" } else { "" };
    format!("    {host} said: {code}\n{lines}{rest}", host = one_line(&host), code = reply.code())
}

/// What a status means for someone who has sent a message (RFC 3463, and the registry that followed it).
fn in_plain_words(status: EnhancedStatus) -> &'static str {
    match (status.subject(), status.detail()) {
        (1, 1) => "There is no mailbox of that address. Please check how it is written.",
        (1, 2) => "There is no mail domain of that name. Please check how it is written.",
        (1, 3) => "The address is not written as addresses are.",
        (1, 6) => "The recipient has moved, and left no address.",
        (1, 7 | 8) => "Your own address was not accepted.",
        (1, 10) => "The domain says that it takes no mail at all.",
        (1, _) => "The address was not accepted.",
        (2, 1) => "The mailbox is disabled.",
        (2, 2) => "The mailbox is full.",
        (2, 3) | (3, 4) => "The message is larger than is accepted there.",
        (2, _) => "The mailbox cannot take the message.",
        (3, 1) => "The mail system there has no room.",
        (3, _) => "The mail system there cannot take the message.",
        (4, 1) => "The mail server of the recipient does not answer.",
        (4, 2) => "The connection to the mail server of the recipient broke.",
        (4, 3 | 4) => "The mail server of the recipient cannot be found.",
        (4, 6) => "The message goes round in a loop.",
        (4, 7) => "The time in which it had to be delivered is over.",
        (4, _) => "The mail server of the recipient cannot be reached.",
        (5, 3) => "The message has more recipients than are accepted there.",
        (5, _) => "The mail servers did not understand each other.",
        (6, 7 | 9) => "The mail server of the recipient takes no addresses or header fields in UTF-8.",
        (6, _) => "The content of the message was not accepted.",
        (7, 1) => "The mail server of the recipient refuses the message by its policy.",
        (7, _) => "The mail server of the recipient refuses the message for reasons of security or policy.",
        _ if status.class() == StatusClass::PersistentTransient => "It is not possible at present.",
        _ => "The mail server of the recipient refuses the message.",
    }
}

/// A length of time, in the largest unit of which there are two, or else the smaller.
fn span(from: SystemTime, to: SystemTime) -> String {
    let seconds = to.duration_since(from).unwrap_or(Duration::ZERO).as_secs();
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (length, name) = unit.unwrap_or((1, "seconds"));
    format!("{} {name}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words() {
        let span = |seconds| span(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(span(5 * 86_400), "5 days");
        assert_eq!(span(86_400 + 3_600), "25 hours");
        assert_eq!(span(150), "2 minutes");
        assert_eq!(span(7), "7 seconds");
    }
}
