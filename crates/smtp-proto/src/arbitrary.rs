//! Well-formed values out of a fuzzer's octets, by the feature `arbitrary`.
//!
//! Each kind of value can come. Texts are short and drawn from a few characters that their rule treats in different ways,
//! and parsed like any other.

use arbitrary::{Arbitrary, Error, Result, Unstructured};

use crate::{
    AddressLiteral, Argument, AuthIdentity, BodyType, Command, ContentFacts, DeliverBy, DeliverByMode, DeliverByOffer,
    Domain, DomainName, EnhancedStatus, Envelope, EnvelopeId, Extensions, ForwardPath, FutureRelease, Hello, HelloKind,
    HelloName, Hold, HoldInterval, LocalPart, Mail, MailParameters, Mailbox, Mechanism, Notify, OriginalRecipient,
    Priority, Rcpt, RcptParameters, ReceiverLimits, Reply, ReplyCode, Ret, ReversePath, Secret, Timestamp, Told,
    XClient, XClientAttribute, XClientName, XClientProtocol,
};

/// Letters and digits, and some that are neither but are UTF-8.
const LETTERS: &[char] = &['a', 'B', 'z', '0', '9', '\u{e9}', '\u{7528}'];
/// What an atom, or quoted text, may hold besides.
const SPECIALS: &[char] = &['a', '!', '+', '=', '-', '_', '~', ' ', '@', '"', '\\', '.', ',', ';', '<', '\u{e9}'];

/// 1 to `most` characters of an alphabet.
fn text(u: &mut Unstructured<'_>, alphabet: &[char], most: usize) -> Result<String> {
    let length = u.int_in_range(1..=most)?;
    (0..length).map(|_| u.choose(alphabet).copied()).collect()
}

/// Printable ASCII, 1 to `most` characters.
fn printable(u: &mut Unstructured<'_>, most: usize) -> Result<String> {
    let length = u.int_in_range(1..=most)?;
    (0..length).map(|_| u.int_in_range(b' '..=b'~').map(char::from)).collect()
}

/// What was drawn and is no value after all is of the wrong format.
fn parsed<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::IncorrectFormat)
}

macro_rules! arbitrary {
    ($($type:ty: |$u:ident| $value:expr);* $(;)?) => {
        $(impl<'a> Arbitrary<'a> for $type {
            fn arbitrary($u: &mut Unstructured<'a>) -> Result<Self> {
                $value
            }
        })*
    };
}

arbitrary! {
    LocalPart: |u| LocalPart::from_unquoted(&text(u, SPECIALS, 16)?).map_err(|_| Error::IncorrectFormat);
    DomainName: |u| {
        let labels: Result<Vec<String>> = (0..u.int_in_range(1..=4)?).map(|_| text(u, LETTERS, 8)).collect();
        parsed(&labels?.join("."))
    };
    AddressLiteral: |u| Ok(Self(u.arbitrary()?));
    Domain: |u| Ok(if u.ratio(1, 4)? { Self::Literal(u.arbitrary()?) } else { Self::Name(u.arbitrary()?) });
    Mailbox: |u| Mailbox::new(u.arbitrary()?, u.arbitrary()?).map_err(|_| Error::IncorrectFormat);
    ReversePath: |u| Ok(u.arbitrary::<Option<Mailbox>>()?.map_or(Self::Null, Self::Mailbox));
    ForwardPath: |u| Ok(u.arbitrary::<Option<Mailbox>>()?.map_or(Self::Postmaster, Self::Mailbox));
    HelloKind: |u| u.choose(&[Self::Helo, Self::Ehlo, Self::Lhlo]).copied();
    HelloName: |u| parsed(&printable(u, 32)?.replace(' ', "-"));
    Hello: |u| Ok(Self { kind: u.arbitrary()?, name: u.arbitrary()? });
    Argument: |u| parsed(printable(u, 32)?.trim_end());
    Mechanism: |u| parsed(&text(u, &['A', 'Z', 'x', '0', '9', '-', '_'], 20)?);
    Secret: |u| Ok(Self::new(u.arbitrary()?));
    BodyType: |u| u.choose(&[Self::SevenBit, Self::EightBitMime, Self::BinaryMime]).copied();
    Ret: |u| u.choose(&[Self::Full, Self::Headers]).copied();
    EnvelopeId: |u| Self::from_decoded(&printable(u, 33)?).map_err(|_| Error::IncorrectFormat);
    Notify: |u| Ok(Self { success: u.arbitrary()?, failure: u.arbitrary()?, delay: u.arbitrary()? });
    OriginalRecipient: |u| if u.arbitrary()? {
        Self::rfc822(&printable(u, 64)?).map_err(|_| Error::IncorrectFormat)
    } else {
        parsed(&format!("utf-8;{}@{}", text(u, LETTERS, 16)?, text(u, LETTERS, 16)?))
    };
    AuthIdentity: |u| Ok(u.arbitrary::<Option<Mailbox>>()?.map_or(Self::Unknown, |mailbox| Self::Mailbox(mailbox.into())));
    HoldInterval: |u| Self::from_seconds(u.int_in_range(1..=Self::SECONDS_MAX)?).ok_or(Error::IncorrectFormat);
    Timestamp: |u| {
        let (year, month, day) = (u.int_in_range(0..=9999)?, u.int_in_range(1..=12)?, u.int_in_range(1..=28)?);
        let (hour, minute, second) = (u.int_in_range(0..=23)?, u.int_in_range(0..=59)?, u.int_in_range(0..=59)?);
        parsed(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
    };
    Hold: |u| Ok(if u.arbitrary()? { Self::For(u.arbitrary()?) } else { Self::Until(u.arbitrary()?) });
    DeliverBy: |u| {
        let mode = *u.choose(&[DeliverByMode::Notify, DeliverByMode::Return])?;
        let seconds = u.int_in_range(-Self::SECONDS_MAX..=Self::SECONDS_MAX)?;
        Self::new(seconds, mode, u.arbitrary()?).map_err(|_| Error::IncorrectFormat)
    };
    Priority: |u| Self::new(u.int_in_range(-9..=9)?).ok_or(Error::IncorrectFormat);
    MailParameters: |u| Ok(Self {
        size: u.arbitrary()?,
        body: u.arbitrary()?,
        smtputf8: u.arbitrary()?,
        require_tls: u.arbitrary()?,
        ret: u.arbitrary()?,
        envelope_id: u.arbitrary()?,
        auth: u.arbitrary()?,
        hold: u.arbitrary()?,
        deliver_by: u.arbitrary()?,
        priority: u.arbitrary()?,
    });
    RcptParameters: |u| Ok(Self { notify: u.arbitrary()?, original_recipient: u.arbitrary()? });
    Mail: |u| Ok(Self { reverse_path: u.arbitrary()?, parameters: u.arbitrary()? });
    Rcpt: |u| Ok(Self { forward_path: u.arbitrary()?, parameters: u.arbitrary()? });
    Envelope: |u| Ok(Self { mail: u.arbitrary()?, recipients: u.arbitrary()? });
    ContentFacts: |u| Ok(Self {
        octets: u.arbitrary()?,
        longest_line_octets: u.arbitrary()?,
        eight_bit: u.arbitrary()?,
        eight_bit_header: u.arbitrary()?,
        binary: u.arbitrary()?,
    });
    XClientName: |u| Ok(match u.int_in_range(0..=2)? {
        0 => Self::Known(u.arbitrary()?),
        1 => Self::Unavailable,
        _ => Self::TemporarilyUnavailable,
    });
    XClientProtocol: |u| u.choose(&Self::ALL).copied();
    XClient: |u| Ok(Self {
        name: u.arbitrary()?,
        address: told(u)?,
        port: told(u)?,
        protocol: u.arbitrary()?,
        hello: told(u)?,
        login: told(u)?,
        destination_address: told(u)?,
        destination_port: told(u)?,
    });
    Command: |u| Ok(match u.int_in_range(0..=14)? {
        0 => Self::Hello(u.arbitrary()?),
        1 => Self::Mail(u.arbitrary()?),
        2 => Self::Rcpt(u.arbitrary()?),
        3 => Self::Data,
        4 => Self::Bdat { octets: u.arbitrary()?, last: u.arbitrary()? },
        5 => Self::Rset,
        6 => Self::Quit,
        7 => Self::Noop,
        8 => Self::Help(u.arbitrary()?),
        9 => Self::Vrfy(u.arbitrary()?),
        10 => Self::Expn(u.arbitrary()?),
        11 => Self::StartTls,
        12 => Self::Auth { mechanism: u.arbitrary()?, initial: u.arbitrary()? },
        13 => Self::Etrn(u.arbitrary()?),
        _ => Self::XClient(u.arbitrary()?),
    });
    ReplyCode: |u| Self::from_number(u.int_in_range(200..=599)?).ok_or(Error::IncorrectFormat);
    EnhancedStatus: |u| {
        let class = *u.choose(&[2, 4, 5])?;
        Self::from_parts(class, u.int_in_range(0..=999)?, u.int_in_range(0..=999)?).ok_or(Error::IncorrectFormat)
    };
    Reply: |u| {
        let (code, status) = (u.arbitrary::<ReplyCode>()?, u.arbitrary::<EnhancedStatus>()?);
        let bare = if status.class().agrees_with(code.class()) {
            Self::new(code, status, "")
        } else {
            Self::without_status(code, "")
        };
        bare.with_text(printable(u, 200)?.replace('~', "\n")).map_err(|_| Error::IncorrectFormat)
    };
    ReceiverLimits: |u| Ok(Self { mail_max: limit(u)?, rcpt_max: limit(u)?, rcpt_domain_max: limit(u)? });
    FutureRelease: |u| Ok(Self { interval_max: u.arbitrary()?, until_max: u.arbitrary()? });
    DeliverByOffer: |u| Ok(Self {
        seconds_min: if u.arbitrary()? { Some(u.int_in_range(0..=HoldInterval::SECONDS_MAX)?) } else { None },
    });
    Extensions: |u| Ok(Self {
        size: u.arbitrary()?,
        pipelining: u.arbitrary()?,
        eight_bit_mime: u.arbitrary()?,
        smtputf8: u.arbitrary()?,
        enhanced_status_codes: u.arbitrary()?,
        starttls: u.arbitrary()?,
        chunking: u.arbitrary()?,
        binary_mime: u.arbitrary()?,
        dsn: u.arbitrary()?,
        require_tls: u.arbitrary()?,
        auth: mechanisms(u)?,
        limits: u.arbitrary()?,
        future_release: u.arbitrary()?,
        deliver_by: u.arbitrary()?,
        mt_priority: u.arbitrary()?,
        help: u.arbitrary()?,
        vrfy: u.arbitrary()?,
        expn: u.arbitrary()?,
        etrn: u.arbitrary()?,
        xclient: XClientAttribute::ALL.into_iter().filter(|_| u.arbitrary().unwrap_or(false)).collect(),
    });
}

fn limit(u: &mut Unstructured<'_>) -> Result<Option<u32>> {
    if u.arbitrary()? { u.int_in_range(1..=999_999).map(Some) } else { Ok(None) }
}

/// What a peer says, if it says something.
fn told<'a, T: Arbitrary<'a>>(u: &mut Unstructured<'a>) -> Result<Option<Told<T>>> {
    let told: Option<Option<T>> = u.arbitrary()?;
    Ok(told.map(|known| known.map_or(Told::Unavailable, Told::Known)))
}

/// A few, each once.
fn mechanisms(u: &mut Unstructured<'_>) -> Result<Vec<Mechanism>> {
    let mut mechanisms: Vec<Mechanism> = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let mechanism = u.arbitrary()?;
        if !mechanisms.contains(&mechanism) {
            mechanisms.push(mechanism);
        }
    }
    Ok(mechanisms)
}
