//! The log of one test.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use smtp_server::log::{Format, LogLayer};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What this thread, on which a whole test runs, logs from now on.
pub(crate) struct Lines {
    octets: Octets,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Octets(Arc<Mutex<Vec<u8>>>);

impl Write for Octets {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn capture() -> Self {
        let octets = Octets::default();
        let layer = LogLayer::new(Format::Json, octets.clone());
        Self { octets, _guard: tracing_subscriber::registry().with(layer).set_default() }
    }

    /// The lines so far with this event.
    pub(crate) fn of(&self, event: &str) -> Vec<Value> {
        self.all().into_iter().filter(|line| line["event"] == event).collect()
    }

    fn all(&self) -> Vec<Value> {
        let octets = self.octets.0.lock().unwrap();
        octets.split(|&octet| octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}
