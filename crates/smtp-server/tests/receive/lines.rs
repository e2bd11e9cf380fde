//! The log of one test.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once};

use serde_json::Value;
use smtp_server::log::{Format, LogLayer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What this thread, on which a whole test runs, logs from now on.
pub(crate) struct Lines {
    octets: Arc<Mutex<Vec<u8>>>,
}

thread_local! {
    static OCTETS: RefCell<Option<Arc<Mutex<Vec<u8>>>>> = const { RefCell::new(None) };
}

/// Hands each line to the test of the thread that it is written on.
struct ByThread;

impl Write for ByThread {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(octets) = OCTETS.with_borrow(Clone::clone) {
            octets.lock().unwrap().extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn capture() -> Self {
        // One subscriber for all tests of the process: with one for each, what a call site is worth is remembered from
        // whichever test came to it first.
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            tracing_subscriber::registry().with(LogLayer::new(Format::Json, ByThread)).init();
            tracing::callsite::rebuild_interest_cache();
        });
        let octets = Arc::default();
        OCTETS.set(Some(Arc::clone(&octets)));
        Self { octets }
    }

    /// The lines so far with this event.
    pub(crate) fn of(&self, event: &str) -> Vec<Value> {
        self.all().into_iter().filter(|line| line["event"] == event).collect()
    }

    /// The lines so far that an operator should look at.
    pub(crate) fn grave(&self) -> Vec<Value> {
        self.all().into_iter().filter(|line| line["level"] == "warn" || line["level"] == "error").collect()
    }

    /// Everything that was written so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.octets.lock().unwrap().clone()).unwrap()
    }

    fn all(&self) -> Vec<Value> {
        let octets = self.octets.lock().unwrap();
        octets.split(|&octet| octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}
