//! Any octets as what the queue has on disk: no panic, and what can be read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| smtp_queue::fuzzing::rows(octets));
