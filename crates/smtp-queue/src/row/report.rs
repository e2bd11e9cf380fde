//! The last report of a recipient, as a row keeps it: cut to 512 octets.

use std::net::SocketAddr;

use bytes::{BufMut, BytesMut};
use smtp_mail::{RemoteHost, Report, Stage};
use smtp_proto::{EnhancedStatus, RemoteReply};

use super::cut_text;
use crate::codec::{DecodeError, Decoder, Encode};

/// What one report may take: its text, and the reply where that has room beside it.
const REPORT_OCTETS_MAX: usize = 512;
const TEXT_OCTETS_MAX: usize = 240;
const HOST_OCTETS_MAX: usize = 128;
const TLS_OCTETS_MAX: usize = 64;

const STAGES: [Stage; 11] = [
    Stage::Route,
    Stage::Connect,
    Stage::Greeting,
    Stage::Hello,
    Stage::Tls,
    Stage::Auth,
    Stage::Mail,
    Stage::Rcpt,
    Stage::Data,
    Stage::MailData,
    Stage::Mailbox,
];

/// The report as it comes back from the store.
pub(super) fn stored(report: &Report) -> Report {
    let mut stored = Report::new(report.status, cut_text(report.text(), TEXT_OCTETS_MAX));
    stored.host = report
        .host
        .as_ref()
        .map(|host| RemoteHost { name: cut_text(&host.name, HOST_OCTETS_MAX).to_owned(), address: host.address });
    stored.tls = report.tls.as_deref().map(|tls| cut_text(tls, TLS_OCTETS_MAX).to_owned());
    stored.stage = report.stage;
    let mut octets = BytesMut::new();
    encode_report(&stored, &mut octets);
    stored.reply = report.reply.clone().filter(|reply| octets.len() + reply.as_bytes().len() + 2 <= REPORT_OCTETS_MAX);
    stored
}

pub(super) fn encode_report(report: &Report, output: &mut BytesMut) {
    output.octets(report.status.to_string().as_bytes());
    output.octets(report.text().as_bytes());
    output.optional(report.host.as_ref(), |output, host| {
        output.octets(host.name.as_bytes());
        output.optional(host.address, |output, address| output.octets(address.to_string().as_bytes()));
    });
    output.optional(report.reply.as_ref(), |output, reply| output.octets(reply.as_bytes()));
    output.optional(report.tls.as_deref(), |output, tls| output.octets(tls.as_bytes()));
    let stage = report.stage.and_then(|stage| STAGES.iter().position(|known| *known == stage));
    output.put_u8(stage.and_then(|index| u8::try_from(index + 1).ok()).unwrap_or(0));
}

pub(super) fn decode_report(input: &mut Decoder<'_>) -> Result<Report, DecodeError> {
    let status: EnhancedStatus = input.text()?.parse().map_err(|_| DecodeError::Malformed)?;
    let mut report = Report::new(status, input.text()?);
    report.host = input.optional(|input| {
        let name = input.text()?.to_owned();
        let address = input.optional(|input| {
            let address = input.text()?.parse::<SocketAddr>();
            address.map_err(|_| DecodeError::Malformed)
        })?;
        Ok(RemoteHost { name, address })
    })?;
    report.reply = input.optional(|input| {
        let reply = RemoteReply::parse(input.octets()?);
        reply.map_err(|_| DecodeError::Malformed)
    })?;
    report.tls = input.optional(|input| Ok(input.text()?.to_owned()))?;
    report.stage = match input.octet()? {
        0 => None,
        stage => Some(*STAGES.get(usize::from(stage - 1)).ok_or(DecodeError::Malformed)?),
    };
    Ok(report)
}
