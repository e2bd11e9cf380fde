//! What holds for every value and for every input: what is written is read back, and nothing panics.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use bytes::BytesMut;
use proptest::prelude::*;
use smtp_proto::{
    AddressLiteral, Argument, BodyType, Command, Domain, EnhancedStatus, Extensions, ForwardPath, Hello, HelloKind,
    HelloName, Limits, LocalPart, Mail, MailParameters, Mailbox, Rcpt, RemoteReply, Reply, ReplyCode, ReplyReader,
    ReversePath,
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

fn mail() -> impl Strategy<Value = Mail> {
    let body = proptest::option::of(prop_oneof![Just(BodyType::SevenBit), Just(BodyType::EightBitMime)]);
    let parameters = (any::<Option<u64>>(), body, any::<bool>());
    (proptest::option::of(mailbox()), parameters).prop_map(|(mailbox, (size, body, smtputf8))| Mail {
        reverse_path: mailbox.map_or(ReversePath::Null, ReversePath::Mailbox),
        parameters: MailParameters { size, body, smtputf8, ..MailParameters::default() },
    })
}

fn rcpt() -> impl Strategy<Value = Rcpt> {
    proptest::option::of(mailbox())
        .prop_map(|mailbox| Rcpt::new(mailbox.map_or(ForwardPath::Postmaster, ForwardPath::Mailbox)))
}

fn hello() -> impl Strategy<Value = Hello> {
    let kind = prop_oneof![Just(HelloKind::Helo), Just(HelloKind::Ehlo), Just(HelloKind::Lhlo)];
    let name = prop_oneof!["[!-~]{1,255}".boxed(), "[a-z]{1,9}(\\.[a-z]{1,9}){1,3}\\.?".boxed()];
    (kind, name).prop_map(|(kind, name)| Hello { kind, name: name.parse::<HelloName>().unwrap() })
}

fn argument() -> impl Strategy<Value = Argument> {
    "[ -~\u{a1}-\u{ff}]{0,40}[!-~]".prop_map(|text| text.parse().unwrap())
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        hello().prop_map(Command::Hello),
        mail().prop_map(Command::Mail),
        rcpt().prop_map(Command::Rcpt),
        argument().prop_map(Command::Vrfy),
        argument().prop_map(Command::Expn),
        proptest::option::of(argument()).prop_map(Command::Help),
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
    (class, 0..100_u16, proptest::option::of((0..1000_u16, 0..1000_u16)), "[ -~\n]{0,1200}").prop_map(
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
        prop_assert!(line.len() + 2 <= 512, "{} octets", line.len());
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
