//! What holds for every value and for every input: what is written is read back, and nothing panics.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use bytes::BytesMut;
use proptest::option;
use proptest::prelude::*;
use smtp_proto::{
    AddressLiteral, Argument, AuthIdentity, AuthResponse, BodyType, Command, ContentFacts, DeliverBy, DeliverByMode,
    DeliverByOffer, Domain, EnhancedStatus, Envelope, EnvelopeId, Extensions, ForwardPath, FutureRelease, Hello,
    HelloKind, HelloName, Hold, HoldInterval, Limits, LocalPart, Mail, MailParameters, Mailbox, Mechanism, Notify,
    OriginalRecipient, Priority, Rcpt, RcptParameters, ReceiverLimits, RemoteReply, Reply, ReplyCode, ReplyReader, Ret,
    ReversePath, Secret, Told, XClient, XClientAttribute, XClientName, XClientProtocol,
};

fn local_part() -> impl Strategy<Value = LocalPart> {
    prop_oneof![
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,10}(\\.[a-z0-9\u{e9}\u{7528}-]{1,8}){0,2}"
            .prop_map(|text| text.parse().unwrap()),
        "[ -~\u{a1}-\u{ff}]{0,20}".prop_map(|text| LocalPart::from_unquoted(&text).unwrap()),
    ]
}

fn domain() -> impl Strategy<Value = Domain> {
    prop_oneof![
        3 => "[a-zA-Z0-9\u{e9}]([a-z0-9-]{0,20}[a-zA-Z0-9])?(\\.[a-z0-9]{1,12}){0,4}".prop_map(|text| text.parse().unwrap()),
        1 => any::<IpAddr>().prop_map(|address| AddressLiteral(address).into()),
    ]
}

fn mailbox() -> impl Strategy<Value = Mailbox> {
    (local_part(), domain()).prop_map(|(local_part, domain)| Mailbox::new(local_part, domain).unwrap())
}

fn mail_parameters() -> impl Strategy<Value = MailParameters> {
    let body = prop_oneof![Just(BodyType::SevenBit), Just(BodyType::EightBitMime), Just(BodyType::BinaryMime)];
    let known = (any::<Option<u64>>(), option::of(body), any::<bool>(), any::<bool>());
    let ret = prop_oneof![Just(Ret::Full), Just(Ret::Headers)];
    let reports = (option::of(ret), option::of(envelope_id()), option::of(auth_identity()));
    let times = (
        option::of(hold()),
        option::of(deliver_by()),
        option::of((-9..=9_i8).prop_map(|value| Priority::new(value).unwrap())),
    );
    (known, reports, times).prop_map(
        |((size, body, smtputf8, require_tls), (ret, envelope_id, auth), (hold, deliver_by, priority))| {
            MailParameters { size, body, smtputf8, require_tls, ret, envelope_id, auth, hold, deliver_by, priority }
        },
    )
}

fn envelope_id() -> impl Strategy<Value = EnvelopeId> {
    prop_oneof![
        "([!-*,-<>-~]|\\+[0-9A-F]{2}){1,33}".prop_map(|text| text.parse().unwrap()),
        "[ -~]{1,33}".prop_map(|text| EnvelopeId::from_decoded(&text).unwrap()),
    ]
}

fn auth_identity() -> impl Strategy<Value = AuthIdentity> {
    option::of(mailbox())
        .prop_map(|mailbox| mailbox.map_or(AuthIdentity::Unknown, |mailbox| AuthIdentity::Mailbox(Box::new(mailbox))))
}

fn hold() -> impl Strategy<Value = Hold> {
    let until = (0..10_000, 1..=12, 1..=28, 0..24, (0..60, 0..60), "(\\.[0-9]{1,9})?").prop_map(
        |(year, month, day, hour, (minute, second), fraction)| {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z");
            Hold::Until(text.parse().unwrap())
        },
    );
    prop_oneof![
        (1..=HoldInterval::SECONDS_MAX).prop_map(|seconds| Hold::For(HoldInterval::from_seconds(seconds).unwrap())),
        until
    ]
}

fn deliver_by() -> impl Strategy<Value = DeliverBy> {
    let most = DeliverBy::SECONDS_MAX;
    prop_oneof![
        (-most..=most, any::<bool>()).prop_map(|(seconds, trace)| (seconds, DeliverByMode::Notify, trace)),
        (1..=most, any::<bool>()).prop_map(|(seconds, trace)| (seconds, DeliverByMode::Return, trace)),
    ]
    .prop_map(|(seconds, mode, trace)| DeliverBy::new(seconds, mode, trace).unwrap())
}

fn mail() -> impl Strategy<Value = Mail> {
    (option::of(mailbox()), mail_parameters()).prop_map(|(mailbox, parameters)| Mail {
        reverse_path: mailbox.map_or(ReversePath::Null, ReversePath::Mailbox),
        parameters,
    })
}

fn rcpt() -> impl Strategy<Value = Rcpt> {
    let notify = any::<(bool, bool, bool)>().prop_map(|(success, failure, delay)| Notify { success, failure, delay });
    let original_recipient = prop_oneof![
        "[a-zA-Z0-9-]{1,10};([!-*,-<>-~]|\\+[0-9A-F]{2}){0,100}".prop_map(|text| text.parse().unwrap()),
        "(utf|UTF)-8;([!-*,-<>-~]|\u{e9}|\u{7528}|\\\\x\\{[1-9A-F][0-9A-F]{1,3}\\}){0,40}"
            .prop_map(|text| text.parse().unwrap()),
        "[ -~]{0,100}".prop_map(|text| OriginalRecipient::rfc822(&text).unwrap()),
    ];
    (option::of(mailbox()), option::of(notify), option::of(original_recipient)).prop_map(
        |(mailbox, notify, original_recipient)| Rcpt {
            forward_path: mailbox.map_or(ForwardPath::Postmaster, ForwardPath::Mailbox),
            parameters: RcptParameters { notify, original_recipient },
        },
    )
}

fn mechanism() -> impl Strategy<Value = Mechanism> {
    "[a-zA-Z0-9_-]{1,20}".prop_map(|name| name.parse().unwrap())
}

fn secret() -> impl Strategy<Value = Secret> {
    proptest::collection::vec(any::<u8>(), 0..60).prop_map(Secret::new)
}

fn extensions() -> impl Strategy<Value = Extensions> {
    let limit = || option::of(1..=999_999_u32);
    let limits = (limit(), limit(), limit()).prop_map(|(mail_max, rcpt_max, rcpt_domain_max)| ReceiverLimits {
        mail_max,
        rcpt_max,
        rcpt_domain_max,
    });
    let future_release = (1..=HoldInterval::SECONDS_MAX).prop_map(|seconds| FutureRelease {
        interval_max: HoldInterval::from_seconds(seconds).unwrap(),
        until_max: "2026-12-24T18:00:00Z".parse().unwrap(),
    });
    let deliver_by = option::of(1..=999_999_999_u32).prop_map(|seconds_min| DeliverByOffer { seconds_min });
    let auth = proptest::collection::hash_set(mechanism(), 0..8).prop_map(|names| names.into_iter().collect());
    let values = (any::<Option<u64>>(), auth, limits, option::of(future_release), option::of(deliver_by));
    (values, any::<[bool; 22]>()).prop_map(|((size, auth, limits, future_release, deliver_by), flags)| Extensions {
        size,
        pipelining: flags[0],
        eight_bit_mime: flags[1],
        smtputf8: flags[2],
        enhanced_status_codes: flags[3],
        starttls: flags[4],
        chunking: flags[5],
        binary_mime: flags[6],
        dsn: flags[7],
        require_tls: flags[8],
        auth,
        limits,
        future_release,
        deliver_by,
        mt_priority: flags[9],
        help: flags[10],
        vrfy: flags[11],
        expn: flags[12],
        etrn: flags[13],
        xclient: XClientAttribute::ALL
            .into_iter()
            .filter(|attribute| flags[14 + usize::from(*attribute as u8)])
            .collect(),
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    (mail(), proptest::collection::vec(rcpt(), 1..4)).prop_map(|(mail, recipients)| Envelope { mail, recipients })
}

fn facts() -> impl Strategy<Value = ContentFacts> {
    (any::<u64>(), any::<[bool; 3]>()).prop_map(|(octets, [eight_bit, header, binary])| ContentFacts {
        octets,
        longest_line_octets: octets.min(998),
        eight_bit,
        eight_bit_header: eight_bit && header,
        binary,
    })
}

fn hello() -> impl Strategy<Value = Hello> {
    let kind = prop_oneof![Just(HelloKind::Helo), Just(HelloKind::Ehlo), Just(HelloKind::Lhlo)];
    let name = prop_oneof!["[!-~]{1,255}".boxed(), "[a-z]{1,9}(\\.[a-z]{1,9}){1,3}\\.?".boxed()];
    (kind, name).prop_map(|(kind, name)| Hello { kind, name: name.parse::<HelloName>().unwrap() })
}

fn argument() -> impl Strategy<Value = Argument> {
    "[ -~\u{a1}-\u{ff}]{0,40}[!-~]".prop_map(|text| text.parse().unwrap())
}

fn told<T: std::fmt::Debug + Clone>(known: impl Strategy<Value = T>) -> impl Strategy<Value = Option<Told<T>>> {
    option::of(option::of(known).prop_map(|known| known.map_or(Told::Unavailable, Told::Known)))
}

fn xclient() -> impl Strategy<Value = XClient> {
    let host_name = || "[!-~]{1,255}".prop_map(|name| name.parse::<HelloName>().unwrap());
    let name = prop_oneof![
        host_name().prop_map(XClientName::Known),
        Just(XClientName::Unavailable),
        Just(XClientName::TemporarilyUnavailable),
    ];
    let protocol = prop_oneof![Just(XClientProtocol::Smtp), Just(XClientProtocol::Esmtp), Just(XClientProtocol::Lmtp)];
    let client = (option::of(name), told(any::<IpAddr>()), told(any::<u16>()), option::of(protocol));
    let destination = (told(any::<IpAddr>()), told(any::<u16>()));
    (client, told(host_name()), told(argument()), destination).prop_map(
        |((name, address, port, protocol), hello, login, (destination_address, destination_port))| XClient {
            name,
            address,
            port,
            protocol,
            hello,
            login,
            destination_address,
            destination_port,
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        hello().prop_map(Command::Hello),
        mail().prop_map(Command::Mail),
        rcpt().prop_map(Command::Rcpt),
        argument().prop_map(Command::Vrfy),
        argument().prop_map(Command::Expn),
        option::of(argument()).prop_map(Command::Help),
        argument().prop_map(Command::Etrn),
        (mechanism(), option::of(secret())).prop_map(|(mechanism, initial)| Command::Auth { mechanism, initial }),
        (any::<u64>(), any::<bool>()).prop_map(|(octets, last)| Command::Bdat { octets, last }),
        xclient().prop_map(|xclient| Command::XClient(Box::new(xclient))),
        prop_oneof![
            Just(Command::Data),
            Just(Command::Rset),
            Just(Command::Quit),
            Just(Command::Noop),
            Just(Command::StartTls)
        ],
    ]
}

fn encoded(command: &Command) -> BytesMut {
    let mut line = BytesMut::new();
    command.encode(&mut line);
    line
}

fn reply() -> impl Strategy<Value = Reply> {
    let class = prop_oneof![Just((2_u8, 200_u16)), Just((4, 400)), Just((5, 500))];
    (class, 0..100_u16, option::of((0..1000_u16, 0..1000_u16)), "[ -~\n]{0,1200}").prop_map(
        |((digit, base), rest, status, text)| {
            let code = ReplyCode::from_number(base + rest).unwrap();
            let reply = match status {
                Some((subject, detail)) => Reply::new(code, EnhancedStatus::new(digit, subject, detail), ""),
                None => Reply::without_status(code, ""),
            };
            reply.with_text(text).unwrap()
        },
    )
}

/// Octets that are near to commands, so that the rules behind the verb are reached.
fn line_like() -> impl Strategy<Value = Vec<u8>> {
    let cut = (command(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(command, at, octet)| {
        let mut line = encoded(&command).to_vec();
        let at = at.index(line.len());
        line[at] = octet;
        line
    });
    prop_oneof![cut, proptest::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn a_command_is_read_back_as_it_was(command in command()) {
        prop_assert_eq!(Command::parse(&encoded(&command)), Ok(command));
    }

    #[test]
    fn mail_and_rcpt_are_read_back_as_they_were(mail in mail(), rcpt in rcpt()) {
        let mut line = BytesMut::new();
        mail.encode(&mut line);
        prop_assert_eq!(Mail::parse(&line), Ok(mail));
        line.clear();
        rcpt.encode(&mut line);
        prop_assert_eq!(Rcpt::parse(&line), Ok(rcpt));
    }

    #[test]
    fn a_command_line_is_one_line(command in command()) {
        let line = encoded(&command);
        prop_assert!(line.iter().all(|&octet| !octet.is_ascii_control()));
        prop_assert!(line.len() + 2 <= Limits::default().command_line_octets, "{} octets", line.len());
    }

    #[test]
    fn what_is_offered_arrives_as_it_was_offered(offered in extensions()) {
        let mut output = BytesMut::new();
        offered.reply("mx.example.com").unwrap().encode(&mut output);
        prop_assert_eq!(Extensions::from_reply(&RemoteReply::parse(&output).unwrap()), offered);
    }

    /// What fits is permitted by the server's own rule, and fits again as it is.
    #[test]
    fn what_fits_is_permitted(offered in extensions(), envelope in envelope(), facts in facts()) {
        if let Ok(fitting) = offered.fit(&envelope, &facts) {
            prop_assert!(offered.permits_mail(&fitting.mail.parameters));
            prop_assert!(fitting.recipients.iter().all(|rcpt| offered.permits_rcpt(&rcpt.parameters)));
            let utf8 = fitting.mail.parameters.smtputf8;
            prop_assert!(fitting.recipients.iter().all(|rcpt| utf8 || rcpt.forward_path.is_ascii() && rcpt.parameters.is_ascii()));
            prop_assert_eq!(offered.fit(&fitting, &facts), Ok(fitting));
        }
    }

    #[test]
    fn a_response_is_read_back_as_it_was(secret in secret()) {
        let mut line = BytesMut::new();
        let response = AuthResponse::Data(secret);
        response.encode(&mut line);
        prop_assert_eq!(AuthResponse::parse(&line), Ok(response));
    }

    /// One value has one text: what is read is written as the same octets.
    #[test]
    fn base64_is_written_as_it_was_read(line in "[A-Za-z0-9+/=* ]{0,24}") {
        if let Ok(response) = AuthResponse::parse(line.as_bytes()) {
            let mut output = BytesMut::new();
            response.encode(&mut output);
            prop_assert_eq!(output, line);
        }
    }

    /// What a parameter means holds no control character, whatever its text is.
    #[test]
    fn what_a_parameter_means_breaks_no_line(rcpt in rcpt(), id in envelope_id()) {
        let original = rcpt.parameters.original_recipient.and_then(|original| original.decoded());
        for meant in original.into_iter().chain(id.decoded()) {
            prop_assert!(!meant.chars().any(char::is_control), "{meant:?}");
        }
    }

    #[test]
    fn a_mailbox_is_shown_as_it_was_read(mailbox in mailbox()) {
        let shown = mailbox.to_string();
        let read: Mailbox = shown.parse().unwrap();
        prop_assert_eq!(read.to_string(), shown);
        prop_assert_eq!(read, mailbox);
    }

    #[test]
    fn a_local_part_means_what_was_meant(text in "[ -~\u{a1}-\u{ff}]{0,20}") {
        let local_part = LocalPart::from_unquoted(&text).unwrap();
        prop_assert_eq!(local_part.unquoted(), text);
    }

    #[test]
    fn no_line_panics_and_what_is_read_can_be_written(line in line_like()) {
        match Command::parse(&line) {
            Ok(command) => prop_assert_eq!(Command::parse(&encoded(&command)), Ok(command)),
            Err(error) => {
                prop_assert!(error.offset <= line.len());
                prop_assert_eq!(error.reply().code(), error.code());
            }
        }
    }

    #[test]
    fn a_reply_arrives_as_it_was_sent(reply in reply()) {
        let mut output = BytesMut::new();
        reply.encode(&mut output);
        let remote = RemoteReply::parse(&output).unwrap();
        prop_assert_eq!(remote.code(), reply.code());
        prop_assert!(output.as_ref().split(|&octet: &u8| octet == b'\n').all(|line| line.len() < 512));
        if let Some(status) = reply.status() {
            prop_assert_eq!(remote.status(), Some(status));
            let prefix = status.to_string();
            prop_assert!(remote.lines().all(|line| line.starts_with(prefix.as_bytes())));
        }
    }

    #[test]
    fn no_reply_panics_and_buffers_stay_within_limits(
        parts in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "[2-5][0-9]{2}[ -][ -~]{0,20}\r?\n".prop_map(String::into_bytes),
            "250[ -][0-9. ]{0,9}\r\n".prop_map(String::into_bytes),
        ], 0..12),
    ) {
        let limits = Limits { reply_octets: 256, reply_lines: 5, ..Limits::default() };
        let mut reader = ReplyReader::new(&limits);
        let mut input = BytesMut::new();
        for part in parts {
            input.extend_from_slice(&part);
            loop {
                match reader.read(&mut input) {
                    Err(_) => return Ok(()),
                    Ok(None) => break,
                    Ok(Some(reply)) => {
                        prop_assert!(reply.as_bytes().len() <= 256 + 2 * 5);
                        prop_assert!(reply.lines().count() <= 5);
                        prop_assert!(reply.escaped(40).len() <= 40);
                        prop_assert_eq!(RemoteReply::parse(reply.as_bytes()), Ok(reply.clone()));
                        let _ = Extensions::from_reply(&reply);
                    }
                }
            }
            prop_assert!(input.len() <= 256);
        }
    }
}
