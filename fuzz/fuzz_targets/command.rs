//! Any octets as a command line: no panic, and what is parsed is written so that it parses to the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use smtp_proto::Command;

fuzz_target!(|line: &[u8]| {
    let Ok(command) = Command::parse(line) else {
        return;
    };
    let mut output = BytesMut::new();
    command.encode(&mut output);
    assert!(!output.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)), "a command is one line");
    assert_eq!(Command::parse(&output), Ok(command));
});
