#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// What came out of mail data, whatever the cuts were.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    content: Vec<u8>,
    facts: Option<ContentFacts>,
    fault: Option<ContentFault>,
    /// What stands behind the end; `None`: there was no end.
    rest: Option<Vec<u8>>,
}

fn read_limited<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, octets_max: u64) -> Read {
    let mut unstuffer = Unstuffer::new(octets_max);
    let mut input = BytesMut::new();
    let mut content = Vec::new();
    let mut ended = false;
    for piece in pieces {
        input.extend_from_slice(piece);
        while !ended && let Some(piece) = unstuffer.next_piece(&mut input) {
            match piece {
                MailDataPiece::Content(octets) => content.extend_from_slice(&octets),
                MailDataPiece::End => ended = true,
            }
        }
        assert!(ended || input.len() <= 2, "nothing but the undecided waits");
    }
    let facts = (ended && unstuffer.fault().is_none()).then(|| unstuffer.facts());
    Read { content, facts, fault: unstuffer.fault(), rest: ended.then(|| input.to_vec()) }
}

fn read(wire: &[u8]) -> Read {
    read_limited([wire], u64::MAX)
}

fn assert_cuts_do_not_matter(wire: &[u8], octets_max: u64) {
    let whole = read_limited([wire], octets_max);
    assert_eq!(read_limited(wire.chunks(1), octets_max), whole, "octets");
    for first in 0..=wire.len() {
        let (a, b) = wire.split_at(first);
        assert_eq!(read_limited([a, b], octets_max), whole, "cut at {first}");
        for second in 0..=b.len() {
            let (b, c) = b.split_at(second);
            assert_eq!(read_limited([a, b, c], octets_max), whole);
        }
    }
}

#[test]
fn an_empty_message_ends_at_once() {
    let read = read(b".\r\nNOOP\r\n");
    assert_eq!(read.content, b"");
    assert_eq!(read.facts, Some(ContentFacts::default()));
    assert_eq!(read.rest.as_deref(), Some(&b"NOOP\r\n"[..]));
}

#[test]
fn the_first_line_is_unstuffed_and_the_last_line_keeps_its_end() {
    assert_eq!(read(b"..x\r\n.\r\n").content, b".x\r\n");
    assert_eq!(read(b"...\r\n..\r\n.\r\n").content, b"..\r\n.\r\n");
    assert_eq!(read(b".x\r\n.\r\n").content, b"x\r\n");
    assert_eq!(read(b"a..\r\n\r\n.\r\n").content, b"a..\r\n\r\n");
}

#[test]
fn facts_are_those_of_the_content() {
    let read = read(b"..a\r\nlonger line\r\n\xC3\xA9\r\n.\r\n");
    let facts = read.facts.unwrap();
    assert_eq!(
        facts,
        ContentFacts { octets: 21, longest_line_octets: 13, eight_bit: true, eight_bit_header: true, binary: false }
    );
    assert_eq!(ContentFacts::of(&read.content), facts);
}

#[test]
fn the_header_block_ends_with_the_first_empty_line() {
    for (wire, in_header) in [
        ("Subject: caf\u{e9}\r\n\r\nbody\r\n.\r\n", true),
        ("Subject: x\r\nX: caf\u{e9}\r\n.\r\n", true),
        ("\u{e9}\r\n\r\n.\r\n", true),
        ("Subject: x\r\n\r\ncaf\u{e9}\r\n.\r\n", false),
        ("\r\ncaf\u{e9}\r\n\r\n.\r\n", false),
        ("..\r\n\r\n..\u{e9}\r\n.\r\n", false),
        ("..\r\n..\u{e9}\r\n.\r\n", true),
    ] {
        let read = read(wire.as_bytes());
        let facts = read.facts.unwrap();
        assert_eq!((facts.eight_bit, facts.eight_bit_header), (true, in_header), "{wire:?}");
        assert_eq!(ContentFacts::of(&read.content), facts, "{wire:?}");
        assert_cuts_do_not_matter(wire.as_bytes(), u64::MAX);
    }
}

#[test]
fn what_other_servers_take_for_an_end_is_none() {
    for wire in [
        &b"a\r\n.\n"[..],
        b"a\n.\n",
        b"a\n.\r\n",
        b"a\r.\r",
        b"a\r\n.\r",
        b"a\r.\r\n",
        b"a\r\n.\r\r\nX",
        b"a\r\n.\0\r\n",
        b"a\r\n\0.\r\n",
        b"a\r\r.\r\r\n",
        b"\n.\r\n",
        b"\r.\r\n",
        b".\n",
        b".\r\r\n",
    ] {
        let read = read(wire);
        assert_eq!(read.facts, None, "{}", wire.escape_ascii());
        assert_eq!(read.rest, None, "{}", wire.escape_ascii());
    }
}

#[test]
fn a_faulty_message_is_read_to_its_true_end() {
    for (wire, content, fault) in [
        (&b"a\r\r\n.\r\nX"[..], &b"a"[..], ContentFault::BareLineEnd),
        (b"a\r\n.\r\r\nb\r\n.\r\nX", b"a\r\n", ContentFault::BareLineEnd),
        (b"a\r\n.\nMAIL\r\n.\r\nX", b"a\r\n", ContentFault::BareLineEnd),
        (b"a\nb\r\n.\r\nX", b"a", ContentFault::BareLineEnd),
        (b"a\rb\nc\r\n.\r\nX", b"a", ContentFault::BareLineEnd),
        (b"a\0b\r\n.\r\nX", b"a", ContentFault::Nul),
        (b"\0\r\n.\r\nX", b"", ContentFault::Nul),
    ] {
        let read = read(wire);
        assert_eq!(read.content, content, "{}", wire.escape_ascii());
        assert_eq!(read.fault, Some(fault), "{}", wire.escape_ascii());
        assert_eq!(read.rest.as_deref(), Some(&b"X"[..]), "{}", wire.escape_ascii());
        assert_cuts_do_not_matter(wire, u64::MAX);
    }
}

/// Every pair of line ends around the dot, each in every cut: only CRLF twice is an end, and all else is a fault.
#[test]
fn the_smuggling_corpus_holds_in_every_cut() {
    let line_ends: [&[u8]; 6] = [b"\r", b"\n", b"\r\n", b"\r\r\n", b"\0", b"\n\r"];
    for before in line_ends {
        for after in line_ends {
            let smuggled = [b"a", before, b".", after, b"MAIL FROM:<x@y>\r\n"].concat();
            let wire = [&smuggled[..], b"\r\n.\r\nNOOP"].concat();
            assert_cuts_do_not_matter(&wire, u64::MAX);
            let read = read(&wire);
            if before.ends_with(b"\r\n") && after == b"\r\n" {
                assert_eq!(read.rest.as_deref(), Some(&wire[1 + before.len() + 3..]));
                assert_eq!(read.fault.is_some(), before != b"\r\n");
            } else {
                assert_eq!(read.rest.as_deref(), Some(&b"NOOP"[..]), "{}", wire.escape_ascii());
                assert!(read.fault.is_some(), "{}", wire.escape_ascii());
            }
        }
    }
}

#[test]
fn a_message_over_the_limit_is_read_to_its_end() {
    let wire = b"12345\r\nMAIL FROM:<root@example.org>\r\n..\r\n.\r\nNOOP\r\n";
    let over = read_limited([&wire[..]], 10);
    assert_eq!(over.fault, Some(ContentFault::TooLong));
    assert_eq!(over.content, b"12345\r\nMAI");
    assert_eq!(over.rest.as_deref(), Some(&b"NOOP\r\n"[..]));
    assert_cuts_do_not_matter(wire, 10);
    let exact = read_limited([&b"12345\r\n.\r\n"[..]], 7);
    assert_eq!(exact.fault, None);
    assert_eq!(exact.facts.unwrap().octets, 7);
}

#[test]
fn content_is_a_view_into_the_input() {
    let mut input = BytesMut::from(&b"one\r\ntwo\r\n..three\r\n.\r\n"[..]);
    let range = input.as_ptr() as usize..input.as_ptr() as usize + input.len();
    let mut unstuffer = Unstuffer::new(u64::MAX);
    let mut views = 0;
    while let Some(MailDataPiece::Content(view)) = unstuffer.next_piece(&mut input) {
        assert!(range.contains(&(view.as_ptr() as usize)));
        views += 1;
    }
    assert_eq!(views, 2, "a cut only where a dot was taken out");
}

fn stuffed(pieces: &[&[u8]]) -> Result<Vec<u8>, ContentFault> {
    let mut stuffer = Stuffer::default();
    let mut wire = Vec::new();
    for piece in pieces {
        wire.extend_from_slice(&stuffer.stuff(Bytes::copy_from_slice(piece))?);
    }
    wire.extend_from_slice(stuffer.finish()?);
    Ok(wire)
}

#[test]
fn dots_are_put_in_wherever_the_pieces_are_cut() {
    let content = b".a\r\n..\r\n.\r\nb.\r\n";
    let wire = stuffed(&[content]).unwrap();
    assert_eq!(wire, b"..a\r\n...\r\n..\r\nb.\r\n.\r\n");
    for cut in 0..=content.len() {
        assert_eq!(stuffed(&[&content[..cut], &content[cut..]]).unwrap(), wire);
    }
    assert_eq!(stuffed(&[]).unwrap(), b".\r\n");
    assert_eq!(stuffed(&[b"no line end"]).unwrap(), b"no line end\r\n.\r\n");
}

#[test]
fn nothing_bare_leaves() {
    for content in [&b"a\nb\r\n"[..], b"a\rb\r\n", b"\n", b"a\r", b"a\r\r\n", b"\n.\r\n", b"a\0\r\n", b"a\n\r"] {
        assert!(stuffed(&[content]).is_err(), "{}", content.escape_ascii());
        for cut in 0..=content.len() {
            assert!(stuffed(&[&content[..cut], &content[cut..]]).is_err());
        }
    }
}

#[test]
fn content_without_dots_is_not_copied() {
    let content = Bytes::from_static(b"a\r\nb.\r\n");
    let sent = Stuffer::default().stuff(content.clone()).unwrap();
    assert_eq!(sent.as_ptr(), content.as_ptr());
}

/// Octets that matter here, more often than chance would have them.
fn octets_of_interest(length: usize) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(b"\r\n".to_vec()),
        3 => Just(b".".to_vec()),
        2 => Just(b"x".to_vec()),
        1 => Just(b"\r\n.\r\n".to_vec()),
        1 => any::<u8>().prop_map(|octet| vec![octet]),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
    ];
    proptest::collection::vec(piece, 0..length).prop_map(|pieces| pieces.concat())
}

/// Lines of content as it may be: no bare CR or LF, no NUL.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let octet = (1..=255u8).prop_filter("no line end", |octet| !b"\r\n".contains(octet));
    let line = (0..3usize, proptest::collection::vec(octet, 0..6))
        .prop_map(|(dots, line)| [&b"..."[..dots], &line, b"\r\n"].concat());
    proptest::collection::vec(line, 0..8).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn unstuff_after_stuff_is_identity(content in content(), cuts in proptest::collection::vec(1..9usize, 1..5)) {
        let mut pieces = Vec::new();
        let mut rest = &content[..];
        for cut in cuts.iter().cycle().take(content.len()) {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        let wire = stuffed(&pieces).unwrap();
        let read = read(&wire);
        prop_assert_eq!(&read.content, &content);
        prop_assert_eq!(read.facts, Some(ContentFacts::of(&content)));
        prop_assert_eq!(read.rest.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn any_octets_in_any_cut_give_one_outcome(
        wire in octets_of_interest(24),
        cuts in proptest::collection::vec(0..8usize, 1..6),
        octets_max in prop_oneof![Just(u64::MAX), 0..30u64],
    ) {
        let whole = read_limited([&wire[..]], octets_max);
        let mut pieces = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle().take(2 * wire.len()) {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(rest);
        prop_assert_eq!(read_limited(pieces, octets_max), whole);
        prop_assert_eq!(&read_limited(wire.chunks(1), octets_max), &read_limited([&wire[..]], octets_max));
    }

    /// A plain reading of the rule, octet by octet, finds the same end.
    #[test]
    fn the_end_is_where_the_rule_says(wire in octets_of_interest(24)) {
        let with_first_line_end = [b"\r\n", &wire[..]].concat();
        let end = with_first_line_end.windows(5).position(|window| window == b"\r\n.\r\n");
        let read = read(&wire);
        prop_assert_eq!(read.rest, end.map(|at| wire[at + 3..].to_vec()));
    }
}

/// What a scan finds in `content`, cut as it is given.
fn scanned<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (ContentFacts, Option<ContentFault>) {
    let mut scan = ContentScan::new();
    for piece in pieces {
        scan.put(piece);
    }
    scan.finish();
    (scan.facts(), scan.fault())
}

/// RFC 3030 §3: what only BINARYMIME carries.
#[test]
fn a_scan_finds_what_is_binary() {
    for (content, fault) in [
        (&b""[..], None),
        (b"a\r\n.\r\n..b\r\n", None),
        (b"no line end", None),
        (b"a\nb", Some(ContentFault::BareLineEnd)),
        (b"\na", Some(ContentFault::BareLineEnd)),
        (b"a\rb\r\n", Some(ContentFault::BareLineEnd)),
        (b"a\r\r\n", Some(ContentFault::BareLineEnd)),
        (b"a\r\n\r", Some(ContentFault::BareLineEnd)),
        (b"a\n\r\n\r", Some(ContentFault::BareLineEnd)),
        (b"a\0b\r\n", Some(ContentFault::Nul)),
    ] {
        assert_eq!(scanned([content]).1, fault, "{}", content.escape_ascii());
        assert_eq!(ContentFacts::of(content).binary, fault.is_some());
    }
}

#[test]
fn the_first_fault_of_a_scan_stays() {
    assert_eq!(scanned([&b"a\0"[..], b"b\n"]).1, Some(ContentFault::Nul));
    assert_eq!(scanned([&b"a\n"[..], b"b\0"]).1, Some(ContentFault::BareLineEnd));
}

proptest! {
    #[test]
    fn a_scan_finds_the_same_in_all_cuts(
        content in proptest::collection::vec(prop_oneof![
            4 => Just(b'\r'), 4 => Just(b'\n'), 3 => Just(b'a'), 1 => Just(0), 1 => Just(b'.'), 1 => Just(0xe9),
        ], 0..40),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = scanned([&content[..]]);
        prop_assert_eq!(whole.0, ContentFacts::of(&content));
        let octets = scanned(content.chunks(1));
        prop_assert_eq!((octets.0, octets.1.is_some()), (whole.0, whole.1.is_some()));
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(content.len() + 1)).collect();
        ends.sort_unstable();
        let mut start = 0;
        let mut pieces = Vec::new();
        for end in ends {
            pieces.push(&content[start..end]);
            start = end;
        }
        pieces.push(&content[start..]);
        prop_assert_eq!(scanned(pieces).0, whole.0);
    }

    /// What DATA can carry is not binary, and has the same facts as BDAT's.
    #[test]
    fn what_can_be_unstuffed_is_not_binary(content in "([.a\u{e9}]{0,4}\r\n){0,5}") {
        let mut wire = Vec::new();
        for line in content.split_inclusive("\r\n") {
            wire.extend_from_slice(if line.starts_with('.') { b"." } else { b"" });
            wire.extend_from_slice(line.as_bytes());
        }
        wire.extend_from_slice(b".\r\n");
        let facts = ContentFacts::of(content.as_bytes());
        prop_assert!(!facts.binary);
        prop_assert_eq!(read(&wire).facts, Some(facts));
    }
}

/// The traps of other parsers, each by itself. `None`: the end was not found in it, and must not be.
fn trap(wire: &[u8]) -> (Vec<u8>, Option<ContentFault>, Option<Vec<u8>>) {
    assert_cuts_do_not_matter(wire, u64::MAX);
    let Read { content, fault, rest, .. } = read(wire);
    (content, fault, rest)
}

#[test]
fn trap_dot_and_two_carriage_returns_are_no_end() {
    assert_eq!(trap(b"a\r\n.\r\r\nX"), (b"a\r\n".to_vec(), Some(ContentFault::BareLineEnd), None));
}

#[test]
fn trap_bare_carriage_return_before_the_end() {
    assert_eq!(trap(b"a\r\r\n.\r\n"), (b"a".to_vec(), Some(ContentFault::BareLineEnd), Some(Vec::new())));
}

#[test]
fn trap_empty_message() {
    assert_eq!(trap(b".\r\n"), (Vec::new(), None, Some(Vec::new())));
}

#[test]
fn trap_first_line_is_unstuffed() {
    assert_eq!(trap(b"..x\r\n.\r\n"), (b".x\r\n".to_vec(), None, Some(Vec::new())));
}

#[test]
fn trap_final_line_end_belongs_to_the_last_line() {
    assert_eq!(trap(b"x\r\n.\r\n"), (b"x\r\n".to_vec(), None, Some(Vec::new())));
}

#[test]
fn trap_dot_and_line_feed_are_no_end() {
    assert_eq!(trap(b"x\r\n.\nX"), (b"x\r\n".to_vec(), Some(ContentFault::BareLineEnd), None));
}
