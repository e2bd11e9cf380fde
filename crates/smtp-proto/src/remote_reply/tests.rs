use super::*;

fn read(input: &[u8]) -> Result<Option<RemoteReply>, ReadReplyError> {
    ReplyReader::new(&Limits::default()).read(&mut BytesMut::from(input))
}

fn reply(input: &[u8]) -> RemoteReply {
    read(input).unwrap().expect("a whole reply")
}

fn lines(reply: &RemoteReply) -> Vec<String> {
    reply.lines().map(|line| line.escape_ascii().to_string()).collect()
}

/// Case C13: bare codes are replies, and unknown codes go by their first digit.
#[test]
fn bare_and_unknown_codes_are_taken() {
    let mut input = BytesMut::from(&b"220\r\n250-x\r\n250\r\n250\r\n251\r\n298 fine\r\n354\r\n250\r\n"[..]);
    let mut reader = ReplyReader::new(&Limits::default());
    let mut seen = Vec::new();
    while let Some(reply) = reader.read(&mut input).unwrap() {
        seen.push((reply.code().number(), reply.class(), lines(&reply)));
    }
    let bare = || vec![String::new()];
    assert_eq!(
        seen,
        [
            (220, ReplyClass::Completion, bare()),
            (250, ReplyClass::Completion, vec!["x".into(), String::new()]),
            (250, ReplyClass::Completion, bare()),
            (251, ReplyClass::Completion, bare()),
            (298, ReplyClass::Completion, vec!["fine".into()]),
            (354, ReplyClass::Intermediate, bare()),
            (250, ReplyClass::Completion, bare()),
        ]
    );
    assert!(input.is_empty());
}

#[test]
fn every_cut_gives_the_same_reply() {
    let octets = b"550-5.1.1 No such\r\n550-\r\n550 5.1.1 user\r\n250 next\r\n";
    for cut in 0..octets.len() {
        let mut reader = ReplyReader::new(&Limits::default());
        let mut input = BytesMut::new();
        let mut replies = Vec::new();
        for part in [&octets[..cut], &octets[cut..]] {
            input.extend_from_slice(part);
            while let Some(reply) = reader.read(&mut input).unwrap() {
                replies.push(reply);
            }
        }
        assert_eq!(replies.len(), 2, "{cut}");
        assert_eq!(lines(&replies[0]), ["5.1.1 No such", "", "5.1.1 user"]);
        assert_eq!(replies[0].status(), Some(EnhancedStatus::new(5, 1, 1)));
    }
}

#[test]
fn an_incomplete_line_stays_in_the_input() {
    let mut reader = ReplyReader::new(&Limits::default());
    let mut input = BytesMut::from(&b"250-one\r\n250 tw"[..]);
    assert_eq!(reader.read(&mut input), Ok(None));
    assert_eq!(input, "250 tw");
    input.extend_from_slice(b"o\n");
    assert_eq!(lines(&reader.read(&mut input).unwrap().unwrap()), ["one", "two"]);
}

#[test]
fn lines_without_code_are_malformed() {
    for input in [
        "\r\n",
        "hello\r\n",
        "25\r\n",
        "2500\r\n",
        "250x\r\n",
        "25a ok\r\n",
        "150 ok\r\n",
        "600 no\r\n",
        "250-a\r\nb\r\n",
        " 250 ok\r\n",
    ] {
        assert_eq!(read(input.as_bytes()), Err(ReadReplyError::Malformed), "{input:?}");
    }
}

#[test]
fn the_lines_of_a_reply_have_one_code() {
    let code = |number| ReplyCode::from_number(number).unwrap();
    assert_eq!(read(b"250-a\r\n550 b\r\n"), Err(ReadReplyError::CodeChanged { first: code(250), then: code(550) }));
}

#[test]
fn lines_and_octets_are_limited() {
    let limits = Limits { reply_octets: 64, reply_lines: 3, ..Limits::default() };
    let read = |input: &[u8]| ReplyReader::new(&limits).read(&mut BytesMut::from(input));
    assert!(read(b"250-\r\n250-\r\n250 \r\n").unwrap().is_some());
    assert_eq!(read(b"250-\r\n250-\r\n250-\r\n250-\r\n"), Err(ReadReplyError::TooManyLines { limit: 3 }));
    let of_octets = |octets: usize| format!("250 {}\r\n", "x".repeat(octets - 6)).into_bytes();
    assert!(read(&of_octets(64)).unwrap().is_some());
    assert_eq!(read(&of_octets(65)), Err(ReadReplyError::TooLong { limit: 64 }));
    // Without an end of line as well.
    assert_eq!(read(&[b'2'; 65]), Err(ReadReplyError::TooLong { limit: 64 }));
    assert_eq!(read(&[b'2'; 64]), Ok(None));
    // Over all lines.
    let two_lines = [b"250-".as_slice(), &of_octets(60)[4..], &of_octets(10)].concat();
    assert_eq!(read(&two_lines), Err(ReadReplyError::TooLong { limit: 64 }));
}

#[test]
fn the_limits_are_those_of_one_reply() {
    let limits = Limits { reply_octets: 20, reply_lines: 2, ..Limits::default() };
    let mut reader = ReplyReader::new(&limits);
    let mut input = BytesMut::from(&b"250-one\r\n250 two\r\n".repeat(10)[..]);
    for _ in 0..10 {
        assert!(reader.read(&mut input).unwrap().is_some());
    }
    assert_eq!(reader.read(&mut input), Ok(None));
}

#[test]
fn the_status_is_that_of_the_first_line_and_of_the_code() {
    let status = |input: &[u8]| reply(input).status().map(|status| status.to_string());
    assert_eq!(status(b"550 5.7.1 no\r\n").as_deref(), Some("5.7.1"));
    assert_eq!(status(b"550 5.7.1\r\n").as_deref(), Some("5.7.1"));
    assert_eq!(status(b"550 4.7.1 no\r\n"), None);
    assert_eq!(status(b"550 5.7.1no\r\n"), None);
    assert_eq!(status(b"550-no\r\n550 5.7.1 no\r\n"), None);
    assert_eq!(status(b"354 2.0.0 go\r\n"), None);
}

#[test]
fn any_octets_are_text_and_are_shown_escaped() {
    let reply = reply(b"550-5.1.1 \xff\x00\x1b[2J \\ caf\xc3\xa9\r\n550 5.1.1 a\rb\n");
    assert_eq!(reply.escaped(1000), r"550 5.1.1 \xff\x00\x1b[2J \\ caf\xc3\xa9 a\x0db");
    assert_eq!(reply.escaped(12), "550 5.1.1...");
    assert_eq!(reply.escaped(2), "..");
    assert_eq!(reply.escaped(0), "");
    assert_eq!(format!("{reply:?}"), reply.escaped(1000));
}

#[test]
fn a_stored_reply_is_read_back() {
    for input in [&b"250\r\n"[..], b"250-\n250\n", b"550-5.1.1 a\r\r\n550 \xff\r\n"] {
        let reply = reply(input);
        assert_eq!(RemoteReply::parse(reply.as_bytes()), Ok(reply));
    }
    for octets in [&b""[..], b"250 ok", b"250-ok\r\n", b"250 ok\r\n250 ok\r\n", b"250 ok\r\nx"] {
        assert_eq!(RemoteReply::parse(octets), Err(ReadReplyError::Malformed));
    }
}
