use super::*;
use proptest::prelude::*;

fn split_in(content: &[u8], pieces: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let mut splitter = HeaderSplitter::new(HEADER_OCTETS_MAX);
    let mut rest = Bytes::copy_from_slice(content);
    let mut body = Vec::new();
    for piece in pieces {
        let piece = rest.split_to(rest.len().min(*piece));
        body.extend_from_slice(&splitter.push(piece).unwrap());
    }
    body.extend_from_slice(&splitter.push(rest).unwrap());
    let (header, last) = splitter.finish();
    body.extend_from_slice(&last);
    (header.into_bytes().to_vec(), body)
}

fn split(content: &str) -> (String, String) {
    let (header, body) = split_in(content.as_bytes(), &[]);
    for piece in 1..=content.len() {
        let pieces = vec![piece; content.len()];
        let (other_header, other_body) = split_in(content.as_bytes(), &pieces);
        assert_eq!((&other_header, &other_body), (&header, &body), "pieces of {piece}");
    }
    let (block, rest) = HeaderBlock::split(Bytes::copy_from_slice(content.as_bytes()));
    assert_eq!((&block.as_bytes()[..], &rest[..]), (&header[..], &body[..]));
    (String::from_utf8(header).unwrap(), String::from_utf8(body).unwrap())
}

fn pair(header: &str, body: &str) -> (String, String) {
    (header.to_owned(), body.to_owned())
}

#[test]
fn a_message_is_cut_at_its_first_empty_line() {
    assert_eq!(
        split("Subject: x\r\nTo: b\r\n\r\nbody\r\n\r\nmore\r\n"),
        pair("Subject: x\r\nTo: b\r\n\r\n", "body\r\n\r\nmore\r\n")
    );
    assert_eq!(split("\r\nbody\r\n"), pair("\r\n", "body\r\n"));
    assert_eq!(split("\r\n"), pair("\r\n", ""));
    assert_eq!(split(""), pair("", ""));
    assert_eq!(split("A : b\r\n\r\n"), pair("A : b\r\n\r\n", ""));
}

// Case C18: whatever the content is, no octet is lost and nothing on top swallows its first line.
#[test]
fn content_without_a_header_gets_an_empty_line_before_it() {
    for body in [
        " hello\r\nworld\r\n",
        "\thello\r\n",
        "no colon here\r\n",
        ":\r\n",
        ": x\r\n\r\ny\r\n",
        "é: x\r\n",
        "two words: x\r\n",
        "x",
    ] {
        assert_eq!(split(body), pair("\r\n", body));
    }
}

#[test]
fn a_header_without_an_empty_line_is_all_header() {
    assert_eq!(split("Subject: x\r\nX-Last: y\r\n"), pair("Subject: x\r\nX-Last: y\r\n", ""));
}

#[test]
fn an_mbox_line_before_a_header_is_kept() {
    let content = "From MAILER-DAEMON Fri Apr 06 16:46:09 2001\r\nSubject: x\r\n\r\nbody\r\n";
    let (header, body) = split(content);
    assert_eq!(body, "body\r\n");
    let block = HeaderBlock::from_bytes(header.into());
    let names: Vec<_> = block.fields().map(Field::name).collect();
    assert_eq!(names, [None, Some("Subject")]);
    assert_eq!(split(">From x\r\nA: b\r\n"), pair(">From x\r\nA: b\r\n", ""));
    assert_eq!(split("From here\r\nto there\r\n"), pair("\r\n", "From here\r\nto there\r\n"));
    assert_eq!(split("From here\r\n"), pair("\r\n", "From here\r\n"));
    assert_eq!(split("From: a@b\r\n\r\n"), pair("From: a@b\r\n\r\n", ""));
}

#[test]
fn the_limit_counts_the_header_block_alone() {
    let block = "A: 0123456789\r\n\r\n";
    let whole = Bytes::from(format!("{block}{}", "body".repeat(100)));
    let mut splitter = HeaderSplitter::new(block.len());
    assert_eq!(splitter.push(whole.clone()).unwrap().len(), 400);
    let mut splitter = HeaderSplitter::new(block.len() - 1);
    let error = Err(HeaderTooLong { octets_max: block.len() - 1 });
    assert_eq!(splitter.push(whole), error);
}

#[test]
fn a_header_without_end_is_refused_in_bounded_memory() {
    let mut splitter = HeaderSplitter::new(1_000);
    let line = Bytes::from_static(b"A: 0123456789\r\n");
    let pushes = (0..10_000).take_while(|_| splitter.push(line.clone()).is_ok()).count();
    assert_eq!(pushes, 1_000 / line.len());
    for _ in 0..100 {
        assert!(splitter.push(line.clone()).is_err());
    }
    assert!(splitter.collected.len() <= 1_000 + line.len());
}

#[test]
fn a_header_too_long_that_has_an_end_stays_refused() {
    let mut splitter = HeaderSplitter::new(10);
    assert!(splitter.push(Bytes::from_static(b"A: 0123456789\r\n\r\nbody")).is_err());
    assert!(splitter.push(Bytes::from_static(b"more body")).is_err());
}

/// What has no end must not be looked through again with every octet that comes.
#[test]
fn a_first_line_without_a_colon_is_body_when_it_is_longer_than_lines_are() {
    for begin in ["", "From "] {
        let line = format!("{begin}{}", "x".repeat(LINE_OCTETS_MAX));
        let mut splitter = HeaderSplitter::new(HEADER_OCTETS_MAX);
        let mut body = Vec::new();
        for octet in line.bytes() {
            body.extend_from_slice(&splitter.push(Bytes::copy_from_slice(&[octet])).unwrap());
        }
        assert_eq!(body, line.as_bytes(), "it is known to be no header");
        assert_eq!(splitter.finish(), (HeaderBlock::none(), Bytes::new()));
    }
    let longest = format!("{}:\r\n\r\n", "x".repeat(LINE_OCTETS_MAX - 1));
    assert_eq!(split(&longest), pair(&longest, ""));
    let longer = format!("x{longest}");
    assert_eq!(split(&longer), pair("\r\n", &longer));
}

#[test]
fn the_body_is_not_copied() {
    let content = Bytes::from_static(b"A: b\r\n\r\nbody");
    let body = HeaderSplitter::new(100).push(content.clone()).unwrap();
    assert_eq!(body.as_ptr(), content[8..].as_ptr());
}

#[test]
fn fields_keep_their_octets_and_tell_name_and_value() {
    let octets = "Received: one\r\n\tand more\r\nsubject : x\r\n  y\r\nno field\r\n still none\r\nX-\u{e9}: no\r\nEmpty:\r\nreceived: two\r\n\r\nBody: no\r\n";
    let block = HeaderBlock::from_bytes(octets.into());
    let fields: Vec<_> = block.fields().collect();
    let names: Vec<_> = fields.iter().map(|field| field.name()).collect();
    assert_eq!(names, [Some("Received"), Some("subject"), None, None, Some("Empty"), Some("received")]);
    let joined: Vec<u8> = fields.iter().flat_map(|field| field.as_bytes()).copied().collect();
    assert_eq!(joined, octets.strip_suffix("\r\nBody: no\r\n").unwrap().as_bytes());
    assert_eq!(block.find("SUBJECT").unwrap().value(), b" x\r\n  y\r\n");
    assert_eq!(block.find("SUBJECT").unwrap().text(), "x  y");
    assert_eq!(block.find("empty").unwrap().text(), "");
    assert_eq!(block.named("Received").count(), 2);
    assert!(block.find("Body").is_none());
    assert_eq!(fields[2].value(), b"no field\r\n still none\r\n");
}

#[test]
fn text_survives_octets_that_are_no_utf8() {
    let block = HeaderBlock::from_bytes(Bytes::from_static(b"Subject: a\xff\r\n b\r\n"));
    assert_eq!(block.find("Subject").unwrap().text(), "a\u{fffd} b");
}

#[test]
fn fields_go_on_top() {
    let (block, _) = HeaderBlock::split(Bytes::from_static(b" no header\r\n"));
    assert_eq!(block.with_on_top(b"Received: x\r\n").as_bytes(), "Received: x\r\n\r\n");
}

proptest! {
    #[test]
    fn every_cut_gives_the_same_and_loses_nothing(
        content in "([A-C]{0,2}[: ]?[a-b ]{0,3}(\r\n){0,2}){0,8}",
        pieces in proptest::collection::vec(0_usize..6, 0..20),
    ) {
        let whole = split_in(content.as_bytes(), &[]);
        let cut = split_in(content.as_bytes(), &pieces);
        prop_assert_eq!(&cut, &whole);
        let (header, body) = whole;
        let joined = [header.clone(), body.clone()].concat();
        if header == b"\r\n" && joined != content.as_bytes() {
            prop_assert_eq!(body, content.as_bytes());
        } else {
            prop_assert_eq!(joined, content.as_bytes());
        }
    }

    #[test]
    fn fields_of_any_octets_cover_the_block(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let block = HeaderBlock::from_bytes(octets.clone().into());
        let joined: Vec<u8> = block.fields().flat_map(Field::as_bytes).copied().collect();
        prop_assert!(octets.starts_with(&joined));
        for field in block.fields() {
            let _ = (field.name(), field.value(), field.text());
        }
    }
}

#[test]
fn fields_of_a_name_are_taken_out_and_no_octet_else() {
    let without = |block: &'static str| {
        let block = HeaderBlock::from_bytes(block.into()).without("bcc");
        String::from_utf8(block.into_bytes().to_vec()).unwrap()
    };
    assert_eq!(without("To: a\r\nBcc: b,\r\n c\r\nCc: d\r\nBCC : e\r\n\r\n"), "To: a\r\nCc: d\r\n\r\n");
    assert_eq!(without("Bcc: b\r\n\r\n"), "\r\n");
    assert_eq!(without("no field\r\nBcc: b"), "no field\r\n");
    assert_eq!(without("X-Bcc: b\r\nBccc: c\r\n\r\n"), "X-Bcc: b\r\nBccc: c\r\n\r\n");
}
