//! Any content, cut anywhere: the header block and the body are what was put in, octet by octet, whatever the cuts are;
//! its fields are all of it; and what is put on top stays on top.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use smtp_mail::header::{HeaderBlock, HeaderSplitter};

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (content, cuts) = (Bytes::from(input.0), input.1);
    let (whole, body) = HeaderBlock::split(content.clone());
    let fields: Vec<u8> = whole.fields().flat_map(|field| field.as_bytes().to_vec()).collect();
    assert!(whole.as_bytes().starts_with(&fields), "the fields are the front of the block, in order");
    for field in whole.fields() {
        let _ = (field.text(), field.value());
        assert!(field.name().is_none_or(|name| whole.find(name).is_some()));
    }

    let mut splitter = HeaderSplitter::new(usize::MAX);
    let (mut rest, mut passed_on) = (content, Vec::new());
    for cut in cuts {
        let piece = rest.split_to(usize::from(cut).min(rest.len()));
        passed_on.extend_from_slice(&splitter.push(piece).expect("there is no limit"));
    }
    passed_on.extend_from_slice(&splitter.push(rest).expect("there is no limit"));
    let (block, end) = splitter.finish();
    passed_on.extend_from_slice(&end);
    assert_eq!((block.as_bytes(), &passed_on[..]), (whole.as_bytes(), &body[..]));

    let top = b"Received: from a by b\r\n";
    let with = whole.with_on_top(top);
    assert!(with.as_bytes().starts_with(top));
    assert!(with.as_bytes().ends_with(whole.as_bytes()));
    assert_eq!(with.fields().next().and_then(|field| field.name()), Some("Received"));
});
