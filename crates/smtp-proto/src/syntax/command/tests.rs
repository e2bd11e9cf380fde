use bytes::BytesMut;

use crate::SyntaxReason as R;
use crate::{BodyType, Command, Domain, ForwardPath, Hello, HelloKind, HelloName, Mail, Rcpt, ReversePath};

fn ok(line: &str) -> Command {
    Command::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn mail(line: &str) -> Mail {
    match ok(line) {
        Command::Mail(mail) => mail,
        other => panic!("{other:?}"),
    }
}

/// The number of the reply, and why.
fn refused(line: impl AsRef<[u8]>) -> (u16, R) {
    let line = line.as_ref();
    match Command::parse(line) {
        Err(error) => (error.code().number(), error.reason),
        Ok(command) => panic!("{}: {command:?}", line.escape_ascii()),
    }
}

fn hello(line: &str) -> Hello {
    match ok(line) {
        Command::Hello(hello) => hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn verbs_are_read_in_any_case() {
    for (line, command) in [
        ("DATA", Command::Data),
        ("data", Command::Data),
        ("rSeT", Command::Rset),
        ("QUIT", Command::Quit),
        ("starttls", Command::StartTls),
    ] {
        assert_eq!(ok(line), command);
    }
    assert_eq!(mail("mail from:<>").reverse_path, ReversePath::Null);
}

#[test]
fn white_space_at_the_end_is_ignored() {
    assert_eq!(ok("DATA \t "), Command::Data);
    assert_eq!(ok("MAIL FROM:<a@b> "), ok("MAIL FROM:<a@b>"));
    assert_eq!(ok("MAIL FROM:<a@b> SIZE=5  "), ok("MAIL FROM:<a@b> SIZE=5"));
    assert_eq!(ok("EHLO a.example "), ok("EHLO a.example"));
    assert_eq!(ok("HELP "), Command::Help(None));
    assert_eq!(Mail::parse(b"MAIL FROM:<> "), Mail::parse(b"MAIL FROM:<>"));
}

#[test]
fn commands_without_argument_take_none() {
    for line in ["DATA foo", "RSET x", "QUIT now", "STARTTLS 1", "DATA  x"] {
        assert_eq!(refused(line), (501, R::ArgumentUnexpected), "{line}");
    }
}

#[test]
fn unknown_commands_are_told_from_those_not_implemented() {
    for line in [
        "",
        " ",
        "FOO",
        "MAILFROM:<a@b>",
        "DATA\0",
        "\u{e9}",
        "EHLO\ta",
        "XFORWARD ADDR=1.2.3.4",
        "AUTHENTICATE x",
        " DATA",
    ] {
        assert_eq!(refused(line), (500, R::UnknownCommand), "{line:?}");
    }
    for line in ["TURN", "ATRN x", "SEND FROM:<a@b>", "SOML FROM:<a@b>", "SAML FROM:<a@b>", "burl imap://x LAST"] {
        assert_eq!(refused(line), (502, R::CommandNotImplemented), "{line}");
    }
    for line in ["GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT mx.example.org:25 HTTP/1.1", "OPTIONS * HTTP/1.1"] {
        assert_eq!(refused(line), (500, R::HttpRequest), "{line}");
    }
}

#[test]
fn vrfy_expn_help_and_noop_take_text() {
    for line in
        ["VRFY alice", "VRFY <alice@example.org>", "EXPN some list", "HELP MAIL", "ETRN @example.org", "ETRN #queue"]
    {
        let mut encoded = BytesMut::new();
        ok(line).encode(&mut encoded);
        assert_eq!(encoded, line);
    }
    assert_eq!(ok("HELP"), Command::Help(None));
    assert_eq!(ok("NOOP"), Command::Noop);
    assert_eq!(ok("NOOP with words"), Command::Noop);
    assert_eq!(refused("VRFY"), (501, R::ArgumentMissing));
    assert_eq!(refused("EXPN"), (501, R::ArgumentMissing));
    assert_eq!(refused("ETRN"), (501, R::ArgumentMissing));
    for line in [&b"VRFY a\rb"[..], b"HELP \x00x", b"NOOP \xff", b"EXPN a\tb"] {
        assert_eq!(refused(line), (501, R::Argument));
    }
}

#[test]
fn arguments_made_by_hand_are_checked_as_well() {
    assert_eq!("alice".parse::<crate::Argument>().unwrap().as_str(), "alice");
    for text in ["", " ", "alice ", "a\r\nDATA"] {
        assert_eq!(text.parse::<crate::Argument>().unwrap_err().reason, R::Argument, "{text:?}");
    }
}

/// Case C02, conventions: what a client calls itself is no reason to refuse it.
#[test]
fn odd_hello_names_are_taken() {
    for name in [
        "k7Qz2Ab",
        "office-.example",
        "app_1.internal_net",
        "_",
        "[IPV6:2001:db8::7]",
        "host.example.",
        "[",
        "127.0.0.1",
        "a@b",
        "(x);\\",
    ] {
        let hello = hello(&format!("EHLO {name}"));
        assert_eq!(hello.kind, HelloKind::Ehlo);
        assert_eq!(hello.name.as_str(), name);
    }
}

#[test]
fn a_hello_name_says_which_domain_it_is() {
    let domain = |name: &str| HelloName::parse(name.as_bytes()).unwrap().domain().map(Domain::to_string);
    assert_eq!(domain("host.example").as_deref(), Some("host.example"));
    assert_eq!(domain("host.example.").as_deref(), Some("host.example"));
    assert_eq!(domain("[IPV6:2001:DB8::7]").as_deref(), Some("[IPv6:2001:db8::7]"));
    assert_eq!(domain("[192.0.2.1]").as_deref(), Some("[192.0.2.1]"));
    for name in ["office-.example", "app_1.internal_net", "_", "host..", ".", "[192.0.2.1].", "[192.0.2]"] {
        assert_eq!(domain(name), None, "{name}");
    }
}

#[test]
fn a_hello_name_is_one_word_of_printable_ascii() {
    for line in ["EHLO", "HELO", "LHLO", "EHLO "] {
        assert_eq!(refused(line), (501, R::ArgumentMissing), "{line}");
    }
    assert_eq!(refused("EHLO a b"), (501, R::ArgumentUnexpected));
    for line in ["EHLO  a", "EHLO \u{e9}.example", "EHLO a\u{e9}", "EHLO a\0", "EHLO a\tb"] {
        assert_eq!(refused(line), (501, R::HelloName), "{line:?}");
    }
    assert_eq!(hello(&format!("HELO {}", "a".repeat(255))).kind, HelloKind::Helo);
    assert_eq!(refused(format!("HELO {}", "a".repeat(256))), (501, R::HelloName));
}

#[test]
fn mail_and_rcpt_need_their_keyword_behind_one_space_and_the_path_behind_the_colon() {
    for line in ["MAIL", "MAIL <a@b>", "MAIL  FROM:<a@b>", "MAIL FROM <a@b>", "MAIL FROM :<a@b>", "MAIL TO:<a@b>"] {
        assert_eq!(refused(line), (501, R::FromExpected), "{line}");
    }
    for line in ["RCPT", "RCPT <a@b>", "RCPT FROM:<a@b>"] {
        assert_eq!(refused(line), (501, R::ToExpected), "{line}");
    }
    assert_eq!(refused("MAIL FROM: <a@b>"), (501, R::PathStart));
    assert_eq!(refused("RCPT TO:a@b"), (501, R::PathStart));
    assert_eq!(refused("MAIL FROM:"), (501, R::PathStart));
}

#[test]
fn mail_and_rcpt_alone_read_their_own_command_only() {
    assert_eq!(Mail::parse(b"MAIL FROM:<a@b> SIZE=1").unwrap().parameters.size, Some(1));
    assert_eq!(Rcpt::parse(b"rcpt to:<postmaster>").unwrap().forward_path, ForwardPath::Postmaster);
    assert_eq!(Mail::parse(b"RCPT TO:<a@b>").unwrap_err().reason, R::UnknownCommand);
    assert_eq!(Rcpt::parse(b"MAIL FROM:<a@b>").unwrap_err().reason, R::UnknownCommand);
}

#[test]
fn mail_parameters_are_read_in_any_order_and_case() {
    let parameters = mail("MAIL FROM:<a@b> smtputf8 body=8bitmime Size=1024").parameters;
    assert_eq!(parameters.size, Some(1024));
    assert_eq!(parameters.body, Some(BodyType::EightBitMime));
    assert!(parameters.smtputf8);
    assert_eq!(mail("MAIL FROM:<> BODY=7BIT").parameters.body, Some(BodyType::SevenBit));
}

#[test]
fn mail_parameters_are_strict() {
    for line in
        ["MAIL FROM:<a@b> SIZE=1 SIZE=2", "MAIL FROM:<a@b> BODY=7BIT BODY=7BIT", "MAIL FROM:<a@b> SMTPUTF8 SMTPUTF8"]
    {
        assert_eq!(refused(line), (501, R::ParameterRepeated), "{line}");
    }
    for line in [
        "MAIL FROM:<a@b> SIZE",
        "MAIL FROM:<a@b> SIZE=",
        "MAIL FROM:<a@b> SIZE=+1",
        "MAIL FROM:<a@b> SIZE=1k",
        "MAIL FROM:<a@b> SIZE=-1",
        "MAIL FROM:<a@b> BODY",
        "MAIL FROM:<a@b> SMTPUTF8=yes",
    ] {
        assert_eq!(refused(line), (501, R::ParameterValue), "{line}");
    }
    for line in ["MAIL FROM:<a@b>  SIZE=1", "MAIL FROM:<a@b> =1", "MAIL FROM:<a@b> -X=1", "MAIL FROM:<a@b> \u{e9}=1"] {
        assert_eq!(refused(line), (501, R::Parameter), "{line}");
    }
    for line in
        ["MAIL FROM:<a@b> SIZE=1=2", "MAIL FROM:<a@b> SIZE=1\tBODY=7BIT", "MAIL FROM:<a@b>\tSIZE=1", "MAIL FROM:<a@b>x"]
    {
        assert_eq!(refused(line), (501, R::EndExpected), "{line}");
    }
    assert_eq!(refused("MAIL FROM:<a@b> BODY=9BIT"), (504, R::ParameterValueNotImplemented));
    assert_eq!(refused("MAIL FROM:<a@b> X-FOO=1"), (555, R::ParameterUnknown));
    assert_eq!(refused("MAIL FROM:<a@b> XFOO"), (555, R::ParameterUnknown));
    assert_eq!(refused("RCPT TO:<a@b> SIZE=1"), (555, R::ParameterUnknown));
    assert_eq!(refused("RCPT TO:<a@b> ="), (501, R::Parameter));
}

/// Case C01: an `@` within quotes does not part the mailbox, and the quotes stay.
#[test]
fn an_at_sign_in_quotes_belongs_to_the_local_part() {
    for line in
        ["MAIL FROM:<\"a@b\"@example.org>", "RCPT TO:<\"info@\"@example.net>", "RCPT TO:<\"odd user\"@example.net>"]
    {
        let mut encoded = BytesMut::new();
        ok(line).encode(&mut encoded);
        assert_eq!(encoded, line);
    }
    let ReversePath::Mailbox(mailbox) = mail("MAIL FROM:<\"a@b\"@example.org>").reverse_path else {
        panic!("not null")
    };
    assert_eq!(mailbox.local_part().unquoted(), "a@b");
    assert_eq!(mailbox.domain().to_string(), "example.org");
}

/// Case C03: parameters begin behind the path; an `=` in the local part is none.
#[test]
fn an_equals_sign_in_the_local_part_starts_no_parameter() {
    let path = "SRS0=aB1c=xy=shop.example=news@fwd.example.net";
    for (parameters, size, body) in [
        ("BODY=8BITMIME", None, Some(BodyType::EightBitMime)),
        ("SIZE=0", Some(0), None),
        ("SIZE=10 BODY=7BIT", Some(10), Some(BodyType::SevenBit)),
        ("SIZE=10 BODY=7BIT AUTH=<>", Some(10), Some(BodyType::SevenBit)),
    ] {
        let mail = mail(&format!("MAIL FROM:<{path}> {parameters}"));
        assert_eq!(mail.reverse_path.to_string(), format!("<{path}>"));
        assert_eq!((mail.parameters.size, mail.parameters.body), (size, body));
    }
}

#[test]
fn trap_parameter_without_space_behind_the_path() {
    assert_eq!(refused("MAIL FROM:<a@b>SIZE=5"), (501, R::EndExpected));
}

#[test]
fn trap_repeated_parameter() {
    assert_eq!(refused("MAIL FROM:<a@b> SIZE=1 SIZE=2"), (501, R::ParameterRepeated));
}

#[test]
fn trap_size_that_overflows() {
    assert_eq!(mail("MAIL FROM:<a@b> SIZE=99999999999999999999").parameters.size, Some(u64::MAX));
    assert_eq!(mail("MAIL FROM:<a@b> SIZE=18446744073709551615").parameters.size, Some(u64::MAX));
    assert_eq!(mail("MAIL FROM:<a@b> SIZE=18446744073709551614").parameters.size, Some(u64::MAX - 1));
    assert_eq!(refused("MAIL FROM:<a@b> SIZE=99999999999999999999999"), (501, R::ParameterValue));
}

#[test]
fn trap_control_character_in_a_path() {
    assert_eq!(refused("RCPT TO:<a@b\r>"), (501, R::PathEnd));
    assert_eq!(refused("RCPT TO:<a\n@b>"), (501, R::AtExpected));
}

#[test]
fn trap_quoting_is_kept() {
    let mut encoded = BytesMut::new();
    ok("RCPT TO:<\"a b\"@c>").encode(&mut encoded);
    assert_eq!(encoded, "RCPT TO:<\"a b\"@c>");
}

#[test]
fn trap_address_literal() {
    let Command::Rcpt(Rcpt { forward_path: ForwardPath::Mailbox(mailbox), .. }) = ok("RCPT TO:<a@[127.0.0.1]>") else {
        panic!("a mailbox")
    };
    assert!(matches!(mailbox.domain(), Domain::Literal(_)));
}

#[test]
fn trap_superfluous_arguments() {
    assert_eq!(refused("EHLO a b"), (501, R::ArgumentUnexpected));
    assert_eq!(refused("DATA foo"), (501, R::ArgumentUnexpected));
}

#[test]
fn the_reply_tells_sender_from_recipient_and_repeats_no_input() {
    let reply = |line: &str| Command::parse(line.as_bytes()).unwrap_err().reply().to_string();
    assert_eq!(reply("MAIL FROM:<a@b_c>"), "501 5.1.7 '>' expected behind the address");
    assert_eq!(reply("RCPT TO:<a@b_c>"), "501 5.1.3 '>' expected behind the address");
    assert_eq!(reply("MAIL FROM:<a@b> SIZE=x"), "501 5.5.4 Malformed parameter value");
    assert_eq!(reply("MAIL FROM:<a@b> FOO=x"), "555 5.5.4 Parameter not recognized");
    assert_eq!(reply("FOO"), "500 5.5.1 Command not recognized");
}

#[test]
fn the_error_says_where() {
    let error = Command::parse(b"MAIL FROM:<a@b> SIZE=1 BODY=9BIT").unwrap_err();
    assert_eq!(error.to_string(), "parameter value not implemented (at octet 23)");
}

#[test]
fn bdat_has_an_exact_size() {
    for (line, octets, last) in [
        ("BDAT 0", 0, false),
        ("bdat 86 last", 86, true),
        ("BDAT 0 LAST", 0, true),
        ("BDAT 007", 7, false),
        ("BDAT 18446744073709551615", u64::MAX, false),
    ] {
        assert_eq!(ok(line), Command::Bdat { octets, last }, "{line}");
    }
    for line in [
        "BDAT",
        "BDAT ",
        "BDAT x",
        "BDAT -1",
        "BDAT +1",
        "BDAT 1k",
        "BDAT  1",
        "BDAT 18446744073709551616",
        "BDAT LAST",
        "BDAT 5,LAST",
    ] {
        assert_eq!(refused(line), (501, R::ChunkSize), "{line}");
    }
    for line in ["BDAT 5  LAST", "BDAT 5 LAST LAST", "BDAT 5 LASTX", "BDAT 5 FIRST", "BDAT 5 5"] {
        assert_eq!(refused(line), (501, R::EndMarker), "{line}");
    }
}
