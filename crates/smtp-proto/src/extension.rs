//! The extensions that a server offers: EHLO lines written and read, and what may be sent where.

use std::fmt::{self, Write as _};

use crate::auth::Mechanism;
use crate::parameter::{
    BodyType, DeliverBy, DeliverByMode, Hold, HoldInterval, MailParameters, RcptParameters, Timestamp,
};
use crate::remote_reply::RemoteReply;
use crate::reply::{Reply, ReplyCode, ReplyError};
use crate::syntax::extension as syntax;
use crate::xclient::XClientAttributes;

mod fit;

pub use fit::Unfit;

/// What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1). The default is nothing at all, as after HELO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
// Each is offered or not, and all combinations are possible: they are no states of one machine.
#[allow(clippy::struct_excessive_bools)]
pub struct Extensions {
    /// SIZE: the octets of the greatest content taken; 0 where no fixed limit is told (RFC 1870 §4).
    pub size: Option<u64>,
    /// PIPELINING: commands may be sent before the replies to earlier ones have come (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME: content may hold octets over 127 (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8: addresses and header fields may be in UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// ENHANCEDSTATUSCODES: replies carry the codes of RFC 3463 (RFC 2034).
    pub enhanced_status_codes: bool,
    /// STARTTLS: TLS can be begun (RFC 3207).
    pub starttls: bool,
    /// CHUNKING: content may come by BDAT (RFC 3030 §2).
    pub chunking: bool,
    /// BINARYMIME: content may hold any octets. Of use with CHUNKING only (RFC 3030 §3).
    pub binary_mime: bool,
    /// DSN: the sender may say of what it wants reports (RFC 3461).
    pub dsn: bool,
    /// REQUIRETLS: a message may be bound to TLS at each hop. Offered inside TLS only (RFC 8689 §2).
    pub require_tls: bool,
    /// AUTH: by these mechanisms a client may say who it is; none where AUTH is not offered (RFC 4954 §3).
    pub auth: Vec<Mechanism>,
    /// LIMITS: how much of it the server takes; all `None` where it is not offered (RFC 9422).
    pub limits: ReceiverLimits,
    /// FUTURERELEASE: a message may be held; offered for submission only (RFC 4865).
    pub future_release: Option<FutureRelease>,
    /// DELIVERBY: delivery may be given a time (RFC 2852).
    pub deliver_by: Option<DeliverByOffer>,
    /// MT-PRIORITY: messages may be more or less urgent. The name of a policy behind it is not read (RFC 6710).
    pub mt_priority: bool,
    /// HELP (RFC 5321 §4.1.1.8).
    pub help: bool,
    /// VRFY, as the keyword (RFC 5321 §3.5.2): the command itself must be there anyhow.
    pub vrfy: bool,
    /// EXPN: lists are shown (RFC 5321 §4.1.1.7).
    pub expn: bool,
    /// ETRN: a client may ask for what waits for it (RFC 1985).
    pub etrn: bool,
    /// XCLIENT: the client may say for whom it speaks, by these attributes; none where it is not offered
    /// (<https://www.postfix.org/XCLIENT_README.html>).
    pub xclient: XClientAttributes,
}

/// How many commands a server takes (RFC 9422 §4). Each is 1 to 999,999; written are none below and none above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ReceiverLimits {
    /// MAILMAX: MAIL commands of a session, whatever becomes of them.
    pub mail_max: Option<u32>,
    /// RCPTMAX: RCPT commands of a transaction, whatever becomes of them.
    pub rcpt_max: Option<u32>,
    /// RCPTDOMAINMAX: different domains of recipients in a session.
    pub rcpt_domain_max: Option<u32>,
}

/// How long a server holds messages (RFC 4865 §3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FutureRelease {
    /// The longest interval.
    pub interval_max: HoldInterval,
    /// The latest date and time.
    pub until_max: Timestamp,
}

impl FutureRelease {
    /// Whether a hold is within both limits (RFC 4865 §4.1, §4.2). The answer to one that is not is 501 5.5.4.
    pub fn permits(&self, hold: &Hold) -> bool {
        match hold {
            Hold::For(interval) => *interval <= self.interval_max,
            Hold::Until(timestamp) => timestamp.unix_seconds() <= self.until_max.unix_seconds(),
        }
    }
}

/// What a server says of DELIVERBY (RFC 2852 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DeliverByOffer {
    /// The fewest seconds that it takes where the message is to be returned afterwards, if it says so; at most 999,999,999.
    pub seconds_min: Option<u32>,
}

impl DeliverByOffer {
    /// Whether so little time is taken. The answer to what is not is 555 5.5.4 (RFC 2852 §3).
    pub fn permits(self, deliver_by: DeliverBy) -> bool {
        deliver_by.mode() == DeliverByMode::Notify
            || self.seconds_min.is_none_or(|least| i64::from(least) <= deliver_by.seconds())
    }
}

impl Extensions {
    /// The reply to EHLO: `greeting` (the server's name, and what may follow it) on the first line, then a line for each extension.
    ///
    /// # Errors
    ///
    /// Where `greeting` is not printable ASCII on one line.
    pub fn reply(&self, greeting: &str) -> Result<Reply, ReplyError> {
        if let Some(offset) = greeting.find('\n') {
            return Err(ReplyError { offset });
        }
        Reply::without_status(ReplyCode::OK, "").with_text(self.text(greeting))
    }

    fn text(&self, greeting: &str) -> String {
        let mut text = String::from(greeting);
        self.write_lines(&mut text).expect("a String grows as it is written to");
        text
    }

    fn write_lines(&self, text: &mut String) -> fmt::Result {
        let (pipelining, others) = FLAGS.split_at(1);
        self.write_flags(pipelining, text)?;
        match self.size {
            None => {}
            Some(0) => text.push_str("\nSIZE"),
            Some(octets) => write!(text, "\nSIZE {octets}")?,
        }
        self.write_flags(others, text)?;
        if !self.auth.is_empty() {
            text.push_str("\nAUTH");
        }
        for mechanism in &self.auth {
            write!(text, " {mechanism}")?;
        }
        self.limits.write_line(text)?;
        if let Some(offer) = &self.future_release {
            write!(text, "\nFUTURERELEASE {} {}", offer.interval_max, offer.until_max)?;
        }
        match self.deliver_by {
            None => {}
            Some(DeliverByOffer { seconds_min: None }) => text.push_str("\nDELIVERBY"),
            Some(DeliverByOffer { seconds_min: Some(seconds) }) => {
                write!(text, "\nDELIVERBY {}", seconds.min(HoldInterval::SECONDS_MAX))?;
            }
        }
        if !self.xclient.is_empty() {
            text.push_str("\nXCLIENT");
        }
        self.xclient.iter().try_for_each(|attribute| write!(text, " {attribute}"))
    }

    fn write_flags(&self, flags: &[Flag], text: &mut String) -> fmt::Result {
        flags.iter().filter(|flag| (flag.is_offered)(self)).try_for_each(|flag| write!(text, "\n{}", flag.keyword))
    }

    /// Reads the reply to EHLO. Keywords that this crate does not know, and lines that are no keyword, say nothing to us. Nor does one that
    /// lacks what its extension demands.
    pub fn from_reply(reply: &RemoteReply) -> Self {
        let mut extensions = Self::default();
        for (keyword, parameters) in reply.lines().skip(1).filter_map(syntax::ehlo_line) {
            extensions.add(keyword, parameters);
        }
        extensions
    }

    fn add(&mut self, keyword: &[u8], parameters: &[u8]) {
        let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
        if is("SIZE") {
            self.size = Some(syntax::size_limit(parameters));
        } else if is("AUTH") {
            syntax::add_mechanisms(parameters, &mut self.auth);
        } else if is("LIMITS") {
            self.limits = syntax::receiver_limits(parameters);
        } else if is("FUTURERELEASE") {
            self.future_release = syntax::future_release(parameters);
        } else if is("DELIVERBY") {
            self.deliver_by = Some(syntax::deliver_by_offer(parameters));
        } else if is("XCLIENT") {
            self.xclient = syntax::xclient_attributes(parameters);
        } else if let Some(flag) = FLAGS.iter().find(|flag| is(flag.keyword)) {
            (flag.offer)(self);
        }
    }

    /// Whether all these parameters are of extensions that are offered: the answer to one that is not is 555 (RFC 5321 §4.1.1.11).
    pub fn permits_mail(&self, parameters: &MailParameters) -> bool {
        let body = match parameters.body {
            None => true,
            Some(BodyType::SevenBit | BodyType::EightBitMime) => self.eight_bit_mime,
            Some(BodyType::BinaryMime) => self.binary_mime && self.chunking,
        };
        body && (parameters.size.is_none() || self.size.is_some())
            && (!parameters.smtputf8 || self.smtputf8)
            && (!parameters.require_tls || self.require_tls)
            && ((parameters.ret.is_none() && parameters.envelope_id.is_none()) || self.dsn)
            && (parameters.auth.is_none() || !self.auth.is_empty())
            && (parameters.hold.is_none() || self.future_release.is_some())
            && (parameters.deliver_by.is_none() || self.deliver_by.is_some())
            && (parameters.priority.is_none() || self.mt_priority)
    }

    /// The same for the parameters of RCPT.
    pub fn permits_rcpt(&self, parameters: &RcptParameters) -> bool {
        self.dsn || *parameters == RcptParameters::default()
    }
}

impl ReceiverLimits {
    fn write_line(self, text: &mut String) -> fmt::Result {
        let limits = [("MAILMAX", self.mail_max), ("RCPTMAX", self.rcpt_max), ("RCPTDOMAINMAX", self.rcpt_domain_max)];
        let mut before = "\nLIMITS ";
        for (name, limit) in limits {
            let Some(limit @ 1..) = limit else { continue };
            write!(text, "{before}{name}={}", limit.min(syntax::RECEIVER_LIMIT_MAX))?;
            before = " ";
        }
        Ok(())
    }
}

/// A keyword that says all by being there.
struct Flag {
    keyword: &'static str,
    is_offered: fn(&Extensions) -> bool,
    offer: fn(&mut Extensions),
}

macro_rules! flag {
    ($keyword:literal, $field:ident) => {
        Flag {
            keyword: $keyword,
            is_offered: |extensions| extensions.$field,
            offer: |extensions| extensions.$field = true,
        }
    };
}

/// In the order in which they are written.
static FLAGS: [Flag; 14] = [
    flag!("PIPELINING", pipelining),
    flag!("STARTTLS", starttls),
    flag!("ENHANCEDSTATUSCODES", enhanced_status_codes),
    flag!("8BITMIME", eight_bit_mime),
    flag!("SMTPUTF8", smtputf8),
    flag!("CHUNKING", chunking),
    flag!("BINARYMIME", binary_mime),
    flag!("DSN", dsn),
    flag!("REQUIRETLS", require_tls),
    flag!("MT-PRIORITY", mt_priority),
    flag!("HELP", help),
    flag!("VRFY", vrfy),
    flag!("EXPN", expn),
    flag!("ETRN", etrn),
];

#[cfg(test)]
mod tests;
