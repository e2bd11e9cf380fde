//! Any octets as replies of a server, in pieces: no panic, the same replies however the pieces are cut, and what
//! is shown of them is one printable line.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use smtp_proto::{Extensions, Limits, ReadReplyError, RemoteReply, ReplyReader};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, octets) = input;
    let whole = read(octets, octets.len().max(1));
    assert_eq!(whole, read(octets, usize::from(cut) % 16 + 1));
    for reply in whole.0 {
        let shown = reply.escaped(200);
        assert!(shown.len() <= 200);
        assert!(shown.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
        let _ = Extensions::from_reply(&reply);
        assert_eq!(RemoteReply::parse(reply.as_bytes()), Ok(reply));
    }
});

/// What is read when the octets arrive in pieces of this size.
fn read(octets: &[u8], piece: usize) -> (Vec<RemoteReply>, Option<ReadReplyError>) {
    let mut reader = ReplyReader::new(&Limits::default());
    let mut input = BytesMut::new();
    let mut replies = Vec::new();
    for piece in octets.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match reader.read(&mut input) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}
