//! Any octets as a PROXY header: no panic, a header has its limit, what it says does not depend on how it was cut, and nothing
//! behind it is looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The file alone: the crate around it brings a runtime and TLS, and none of that is tried here.
#[path = "../../crates/smtp-io/src/proxy/header.rs"]
mod header;

use header::{Parsed, ProxyHeader, V1_OCTETS_MAX, V2_OCTETS_MAX};

fuzz_target!(|input: &[u8]| {
    let whole = ProxyHeader::parse(input);
    for cut in 0..input.len().min(V2_OCTETS_MAX) {
        match ProxyHeader::parse(&input[..cut]) {
            Ok(Parsed::Incomplete) => {}
            settled => assert_eq!(settled, whole, "cut at {cut}"),
        }
    }
    match whole {
        Ok(Parsed::Complete { octets, .. }) => {
            let max = if input.starts_with(b"PROXY") { V1_OCTETS_MAX } else { V2_OCTETS_MAX };
            assert!(octets <= max.min(input.len()));
            assert_eq!(ProxyHeader::parse(&input[..octets]), whole);
        }
        Ok(Parsed::Incomplete) => assert!(input.len() < V2_OCTETS_MAX),
        Err(_) => {}
    }
});
