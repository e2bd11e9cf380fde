//! Any octets as mail data, in pieces, and as content to send: one end however the pieces are cut, nothing bare in
//! what is taken or sent, and what is sent reads back as it was.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use smtp_proto::ContentFacts;
use smtp_proto::mail_data::{ContentFault, MailDataPiece, Stuffer, Unstuffer};

const CONTENT_OCTETS_MAX: u64 = 4096;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, octets) = input;
    let piece = usize::from(cut) % 16 + 1;
    let whole = receive(octets, octets.len().max(1));
    let cut = receive(octets, piece);
    assert_eq!((whole.fault, whole.end), (cut.fault, cut.end));
    if whole.fault.is_none() {
        assert_eq!(whole.content, cut.content);
        assert_nothing_bare(&whole.content, whole.end.is_some());
    }
    send_and_receive(octets, piece);
});

/// What came of mail data.
struct Received {
    content: Vec<u8>,
    facts: ContentFacts,
    fault: Option<ContentFault>,
    /// The position behind its end, if there was one.
    end: Option<usize>,
}

fn receive(octets: &[u8], piece: usize) -> Received {
    let mut unstuffer = Unstuffer::new(CONTENT_OCTETS_MAX);
    let mut input = BytesMut::new();
    let mut content = Vec::new();
    let mut end = None;
    let mut fed = 0;
    'pieces: for piece in octets.chunks(piece) {
        input.extend_from_slice(piece);
        fed += piece.len();
        while let Some(found) = unstuffer.next_piece(&mut input) {
            match found {
                MailDataPiece::Content(octets) => content.extend_from_slice(&octets),
                MailDataPiece::End => {
                    end = Some(fed - input.len());
                    break 'pieces;
                }
            }
        }
        assert!(input.len() <= 2, "what waits is bounded");
    }
    Received { content, facts: unstuffer.facts(), fault: unstuffer.fault(), end }
}

fn assert_nothing_bare(content: &[u8], ended: bool) {
    let mut previous = 0;
    for octet in content {
        assert_ne!(*octet, 0);
        assert_eq!(*octet == b'\n', previous == b'\r', "CR and LF come as CRLF only");
        previous = *octet;
    }
    assert!(!ended || content.is_empty() || content.ends_with(b"\r\n"));
}

fn send_and_receive(content: &[u8], piece: usize) {
    let mut stuffer = Stuffer::default();
    let mut wire = Vec::new();
    for piece in content.chunks(piece) {
        match stuffer.stuff(Bytes::copy_from_slice(piece)) {
            Ok(stuffed) => wire.extend_from_slice(&stuffed),
            Err(_) => return,
        }
    }
    let Ok(end) = stuffer.finish() else {
        return;
    };
    wire.extend_from_slice(end);
    let received = receive(&wire, wire.len());
    assert_eq!(received.end, Some(wire.len()), "the end that was written is the end that is read");
    if received.fault.is_none() {
        let mut sent = content.to_vec();
        if !sent.is_empty() && !sent.ends_with(b"\r\n") {
            sent.extend_from_slice(b"\r\n");
        }
        assert_eq!(received.content, sent);
        assert_eq!(received.facts, ContentFacts::of(&sent));
    } else {
        assert_eq!(received.fault, Some(ContentFault::TooLong));
    }
}
