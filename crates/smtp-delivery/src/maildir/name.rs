//! File names that are never used twice.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Makes unique names. They do not depend on the clock for it: a counter tells names of one run apart, and a
/// random number tells runs apart.
#[derive(Debug)]
pub(super) struct UniqueNames {
    host: String,
    process: u32,
    run: u64,
    counter: AtomicU64,
}

impl UniqueNames {
    pub(super) fn new(hostname: &str) -> Self {
        Self { host: encode(hostname), process: std::process::id(), run: fastrand::u64(..), counter: AtomicU64::new(0) }
    }

    /// The name of a file of so many octets, with its size in the form that IMAP servers look for.
    pub(super) fn next(&self, now: SystemTime, octets: u64) -> String {
        let time = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        format!(
            "{}.M{:06}P{}R{:016x}Q{number}.{},S={octets}",
            time.as_secs(),
            time.subsec_micros(),
            self.process,
            self.run,
            self.host
        )
    }
}

/// The host part: what means something in a file name is written as a backslash and three octal digits.
fn encode(hostname: &str) -> String {
    let mut host = String::new();
    for octet in hostname.bytes().take(HOST_OCTETS_MAX) {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_') {
            host.push(char::from(octet));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(host, "\\{octet:03o}");
        }
    }
    host
}

/// So that the whole name stays under 255 octets, even if every octet of it is encoded.
const HOST_OCTETS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    // Case C27: the host part has no octet that means something in a path or in a Maildir name.
    #[test]
    fn the_host_part_is_encoded() {
        assert_eq!(encode("mx:1/a"), "mx\\0721\\057a");
        assert_eq!(encode("mx.example-1.org"), "mx.example-1.org");
        assert!(encode(&"é".repeat(300)).len() <= 128);
    }

    // Case C27: the clock does not matter.
    #[test]
    fn names_are_unique_under_a_clock_that_stands_or_goes_back() {
        let (one, two) = (UniqueNames::new("mx"), UniqueNames::new("mx"));
        let times = [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1)];
        let names: HashSet<_> = (0..3_000).map(|step| [&one, &two][step % 2].next(times[step % 3 % 2], 1)).collect();
        assert_eq!(names.len(), 3_000);
        let name = UniqueNames::new(&":".repeat(500)).next(SystemTime::now(), u64::MAX);
        assert!(name.len() <= 255 && !name.contains(['/', ':']), "{name}");
    }
}
