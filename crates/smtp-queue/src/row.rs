//! What the store keeps of a message: one row for the message, one for each of its deliveries.

use std::time::SystemTime;

use bytes::{BufMut, BytesMut};
use smtp_mail::{Destination, DomainPattern, LocalUser, MessageId, Report};
use smtp_proto::{ContentFacts, ForwardPath, Mail, Priority, Rcpt, ReversePath};

use crate::codec::{DecodeError, Decoder, Encode};
use crate::schedule::DeliveryId;

mod report;
use report::{decode_report, encode_report};

/// The version of rows of messages, and of those of deliveries that need no later one.
pub(crate) const ROW_VERSION: u8 = 1;
/// The version of rows of deliveries that have a priority or that policy holds, and the newest that is read. Others are written in
/// the former, so that a server that knows no more than that reads them.
const DELIVERY_ROW_VERSION: u8 = 2;
/// No row is longer: sixteen of them must stay well below the length at which sled moves a leaf into a file of its own.
pub(crate) const ROW_OCTETS_MAX: usize = 4096;
/// What the recipients of one delivery may take of its row.
pub(crate) const RECIPIENTS_OCTETS_MAX: usize = 1792;
/// What the kept reports of one delivery may take of its row.
const REPORTS_OCTETS_MAX: usize = 1024;
/// What a delivery may take at first: reports, a hold and longer numbers come later.
pub(crate) const NEW_ROW_OCTETS_MAX: usize = ROW_OCTETS_MAX - REPORTS_OCTETS_MAX - TEXT_OCTETS_MAX - 64;
/// Texts of operators and of clients are cut to this length.
pub(crate) const TEXT_OCTETS_MAX: usize = 256;

/// Where the body of a message is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPlace {
    /// In the log, behind the header block; or in memory where the store has no log.
    Log,
    /// In a file that has the message's id as its name.
    File,
    /// Nowhere: it was found damaged and is in quarantine.
    Quarantine,
}

/// Where in the log a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// The number of the segment, from 1.
    pub(crate) segment: u32,
    /// Where in it the record begins.
    pub(crate) offset: u32,
    /// The octets between the record's head and its header block.
    pub(crate) meta_octets: u32,
}

/// The row of a message. Written once, but for its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageRow {
    pub(crate) id: MessageId,
    pub(crate) mail: Mail,
    pub(crate) origin: String,
    pub(crate) facts: ContentFacts,
    pub(crate) received_at: SystemTime,
    /// How many deliveries there were at first; they are numbered from 1.
    pub(crate) deliveries: u32,
    pub(crate) header_octets: u32,
    pub(crate) body_octets: u64,
    pub(crate) body: BodyPlace,
    pub(crate) place: Place,
}

impl MessageRow {
    /// What a record holds of the row: all but the place, which is where the record is.
    pub(crate) fn encode_placeless(&self, output: &mut BytesMut) {
        output.put_u8(ROW_VERSION);
        output.framed(|output| self.mail.encode(output));
        output.octets(self.origin.as_bytes());
        output.integer(self.facts.octets);
        output.integer(self.facts.longest_line_octets);
        output.flag(self.facts.eight_bit);
        // Both in one octet: the second is younger than the rows of this version.
        output.put_u8(u8::from(self.facts.eight_bit_header) | u8::from(self.facts.binary) << 1);
        output.time(self.received_at);
        output.integer(u64::from(self.deliveries));
        output.integer(u64::from(self.header_octets));
        output.integer(self.body_octets);
        output.put_u8(match self.body {
            BodyPlace::Log => 0,
            BodyPlace::File => 1,
            BodyPlace::Quarantine => 2,
        });
    }

    pub(crate) fn decode_placeless(id: MessageId, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.version(ROW_VERSION)?;
        Ok(Self {
            id,
            mail: Mail::parse(input.framed()?).map_err(|_| DecodeError::Malformed)?,
            origin: input.text()?.to_owned(),
            facts: decode_facts(input)?,
            received_at: input.time()?,
            deliveries: input.number()?,
            header_octets: input.number()?,
            body_octets: input.integer()?,
            body: match input.octet()? {
                0 => BodyPlace::Log,
                1 => BodyPlace::File,
                2 => BodyPlace::Quarantine,
                _ => return Err(DecodeError::Malformed),
            },
            place: Place::default(),
        })
    }

    pub(crate) fn encode(&self, output: &mut BytesMut) {
        let start = output.len();
        self.encode_unchecked(output);
        assert!(output.len() - start <= ROW_OCTETS_MAX, "a row of a message is far below the limit of rows");
    }

    pub(crate) fn encode_unchecked(&self, output: &mut BytesMut) {
        self.encode_placeless(output);
        output.integer(u64::from(self.place.segment));
        output.integer(u64::from(self.place.offset));
        output.integer(u64::from(self.place.meta_octets));
    }

    pub(crate) fn decode(id: MessageId, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(octets);
        let row = Self::decode_placeless(id, &mut input)?;
        let place = Place { segment: input.number()?, offset: input.number()?, meta_octets: input.number()? };
        input.finish()?;
        Ok(Self { place, ..row })
    }
}

fn decode_facts(input: &mut Decoder<'_>) -> Result<ContentFacts, DecodeError> {
    let facts = ContentFacts {
        octets: input.integer()?,
        longest_line_octets: input.integer()?,
        eight_bit: input.flag()?,
        ..ContentFacts::default()
    };
    match input.octet()? {
        flags @ 0..=3 => Ok(ContentFacts { eight_bit_header: flags & 1 != 0, binary: flags & 2 != 0, ..facts }),
        _ => Err(DecodeError::Malformed),
    }
}

/// What became of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecipientState {
    Queued,
    Delivered,
    Failed,
}

/// A recipient in the row of its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecipientRow {
    pub(crate) number: u32,
    pub(crate) rcpt: Rcpt,
    pub(crate) original: Option<ForwardPath>,
    pub(crate) state: RecipientState,
    /// Which of the delivery's reports speaks of it.
    pub(crate) report: Option<u8>,
}

impl RecipientRow {
    pub(crate) fn encode(&self, output: &mut BytesMut) {
        output.integer(u64::from(self.number));
        output.framed(|output| self.rcpt.encode(output));
        // A forward-path is stored as the command that names it, so that it is read by the same parser.
        output.optional(self.original.clone(), |output, path| output.framed(|output| Rcpt::new(path).encode(output)));
        output.put_u8(match self.state {
            RecipientState::Queued => 0,
            RecipientState::Delivered => 1,
            RecipientState::Failed => 2,
        });
        output.put_u8(self.report.map_or(0, |report| report + 1));
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rcpt = |octets| Rcpt::parse(octets).map_err(|_| DecodeError::Malformed);
        Ok(Self {
            number: input.number()?,
            rcpt: rcpt(input.framed()?)?,
            original: input.optional(|input| Ok(rcpt(input.framed()?)?.forward_path))?,
            state: match input.octet()? {
                0 => RecipientState::Queued,
                1 => RecipientState::Delivered,
                2 => RecipientState::Failed,
                _ => return Err(DecodeError::Malformed),
            },
            report: input.octet()?.checked_sub(1),
        })
    }
}

/// Why a delivery is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldCause {
    /// An operator's act.
    Operator,
    /// The stored content does not agree with its check sum; it is never sent.
    Damage,
    /// A rule, when it was accepted: somebody is to look at it.
    Policy,
}

/// A delivery put to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Who or what holds it.
    pub cause: HoldCause,
    /// Why, for people to read.
    pub reason: String,
    /// When it ends by itself; `None`: when it is released.
    pub until: Option<SystemTime>,
}

/// The row of a delivery: everything about it that changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeliveryRow {
    pub(crate) id: DeliveryId,
    pub(crate) destination: Destination,
    pub(crate) due: SystemTime,
    pub(crate) attempts: u32,
    pub(crate) last_attempt_at: Option<SystemTime>,
    pub(crate) expires_at: SystemTime,
    /// When a delay notice is owed; `None`: never, or it has been sent.
    pub(crate) delay_notice_at: Option<SystemTime>,
    pub(crate) hold: Option<Hold>,
    /// How urgent it is (RFC 6710).
    pub(crate) priority: Priority,
    pub(crate) reverse_path: Option<ReversePath>,
    /// The last reports, the same ones once.
    pub(crate) reports: Vec<Report>,
    pub(crate) recipients: Vec<RecipientRow>,
}

impl DeliveryRow {
    /// Whether nothing is left to do.
    pub(crate) fn is_finished(&self) -> bool {
        self.recipients.iter().all(|recipient| recipient.state != RecipientState::Queued)
    }

    /// The recipients that are still to be reached.
    pub(crate) fn queued(&self) -> impl Iterator<Item = &RecipientRow> {
        self.recipients.iter().filter(|recipient| recipient.state == RecipientState::Queued)
    }

    /// The last report of a recipient.
    pub(crate) fn report_of(&self, recipient: &RecipientRow) -> Option<&Report> {
        self.reports.get(usize::from(recipient.report?))
    }

    /// Replaces the kept reports: `of` gives the newest for a recipient's number; a recipient without keeps its last.
    pub(crate) fn set_reports(&mut self, of: impl Fn(u32) -> Option<Report>) {
        let newest: Vec<_> = self
            .recipients
            .iter()
            .map(|recipient| of(recipient.number).or_else(|| self.report_of(recipient).cloned()))
            .collect();
        let mut reports: Vec<Report> = Vec::new();
        let mut octets = 0;
        for (recipient, report) in self.recipients.iter_mut().zip(newest) {
            recipient.report = report.and_then(|report| keep(report::stored(&report), &mut reports, &mut octets));
        }
        self.reports = reports;
    }

    /// The length of the row.
    pub(crate) fn encoded_octets(&self) -> usize {
        let mut output = BytesMut::new();
        self.encode_unchecked(&mut output);
        output.len()
    }

    pub(crate) fn encode(&self, output: &mut BytesMut) {
        let start = output.len();
        self.encode_unchecked(output);
        let octets = output.len() - start;
        assert!(
            octets <= ROW_OCTETS_MAX,
            "the parts of a delivery's row have limits that add up to less than {octets}"
        );
    }

    /// The oldest version that has words for all of it.
    fn version(&self) -> u8 {
        let is_held_by_policy = self.hold.as_ref().is_some_and(|hold| hold.cause == HoldCause::Policy);
        if is_held_by_policy || self.priority != Priority::default() { DELIVERY_ROW_VERSION } else { ROW_VERSION }
    }

    pub(crate) fn encode_unchecked(&self, output: &mut BytesMut) {
        let version = self.version();
        output.put_u8(version);
        encode_destination(&self.destination, output);
        output.time(self.due);
        output.integer(u64::from(self.attempts));
        output.optional(self.last_attempt_at, BytesMut::time);
        output.time(self.expires_at);
        output.optional(self.delay_notice_at, BytesMut::time);
        output.optional(self.hold.as_ref(), |output, hold| encode_hold(hold, output));
        output.optional(self.reverse_path.clone(), |output, path| {
            output.framed(|output| Mail::new(path).encode(output));
        });
        output.integer(self.reports.len() as u64);
        for report in &self.reports {
            encode_report(report, output);
        }
        output.integer(self.recipients.len() as u64);
        for recipient in &self.recipients {
            recipient.encode(output);
        }
        if version == DELIVERY_ROW_VERSION {
            output.put_i8(self.priority.value());
        }
    }

    /// Whether the row with these octets may have a recipient whose domain the pattern names. Only where it goes is read: a queue
    /// that is long is looked through for one domain without reading all of it.
    pub(crate) fn may_go_to(pattern: &DomainPattern, octets: &[u8]) -> bool {
        let mut input = Decoder::new(octets);
        match input.version(DELIVERY_ROW_VERSION).and_then(|_| decode_destination(&mut input)) {
            Ok(Destination::Domain(domain)) => pattern.matches(&domain),
            // Many domains may lead into one mailbox; and what cannot be read is found when all of the row is.
            Ok(Destination::Mailbox(_)) | Err(_) => true,
        }
    }

    pub(crate) fn decode(id: DeliveryId, octets: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(octets);
        let version = input.version(DELIVERY_ROW_VERSION)?;
        let mut row = Self {
            id,
            destination: decode_destination(&mut input)?,
            due: input.time()?,
            attempts: input.number()?,
            last_attempt_at: input.optional(Decoder::time)?,
            expires_at: input.time()?,
            delay_notice_at: input.optional(Decoder::time)?,
            hold: input.optional(decode_hold)?,
            priority: Priority::default(),
            reverse_path: input.optional(|input| {
                let mail = Mail::parse(input.framed()?).map_err(|_| DecodeError::Malformed)?;
                Ok(mail.reverse_path)
            })?,
            reports: decode_list(&mut input, decode_report)?,
            recipients: decode_list(&mut input, RecipientRow::decode)?,
        };
        if version >= DELIVERY_ROW_VERSION {
            let value = i8::from_ne_bytes([input.octet()?]);
            row.priority = Priority::new(value).ok_or(DecodeError::Malformed)?;
        }
        input.finish()?;
        Ok(row)
    }
}

/// Puts `report` among `reports` where it is new and has room; the first one speaks for those that have none.
fn keep(report: Report, reports: &mut Vec<Report>, octets: &mut usize) -> Option<u8> {
    let known = reports.iter().position(|known| *known == report);
    let index = known.unwrap_or_else(|| {
        let mut encoded = BytesMut::new();
        encode_report(&report, &mut encoded);
        if *octets + encoded.len() > REPORTS_OCTETS_MAX && !reports.is_empty() {
            return 0;
        }
        *octets += encoded.len();
        reports.push(report);
        reports.len() - 1
    });
    u8::try_from(index).ok()
}

fn decode_list<T>(
    input: &mut Decoder<'_>,
    mut read: impl FnMut(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let length = input.number()?;
    (0..length).map(|_| read(input)).collect()
}

fn encode_destination(destination: &Destination, output: &mut BytesMut) {
    let (kind, text) = match destination {
        Destination::Domain(domain) => (0, domain.to_string()),
        Destination::Mailbox(user) => (1, user.to_string()),
    };
    output.put_u8(kind);
    output.octets(text.as_bytes());
}

fn decode_destination(input: &mut Decoder<'_>) -> Result<Destination, DecodeError> {
    match input.octet()? {
        0 => Ok(Destination::Domain(input.text()?.parse().map_err(|_| DecodeError::Malformed)?)),
        1 => Ok(Destination::Mailbox(LocalUser::new(input.text()?))),
        _ => Err(DecodeError::Malformed),
    }
}

fn encode_hold(hold: &Hold, output: &mut BytesMut) {
    output.put_u8(match hold.cause {
        HoldCause::Operator => 0,
        HoldCause::Damage => 1,
        HoldCause::Policy => 2,
    });
    output.octets(hold.reason.as_bytes());
    output.optional(hold.until, BytesMut::time);
}

fn decode_hold(input: &mut Decoder<'_>) -> Result<Hold, DecodeError> {
    Ok(Hold {
        cause: match input.octet()? {
            0 => HoldCause::Operator,
            1 => HoldCause::Damage,
            2 => HoldCause::Policy,
            _ => return Err(DecodeError::Malformed),
        },
        reason: input.text()?.to_owned(),
        until: input.optional(Decoder::time)?,
    })
}

/// The first octets of a text, at most [`TEXT_OCTETS_MAX`], cut between characters.
pub(crate) fn cut_text(text: &str, octets_max: usize) -> &str {
    &text[..text.floor_char_boundary(octets_max)]
}

#[cfg(test)]
mod tests;
