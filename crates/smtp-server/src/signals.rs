//! The signals that the program heeds.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT (Ctrl-C) or SIGTERM, heeded from the moment that this is made.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    is_asked: bool,
}

impl Stop {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            is_asked: false,
        })
    }

    /// Waits until a stop is asked for; once it was, every later call is done at once. Safe to cancel.
    pub(crate) async fn asked(&mut self) {
        if !self.is_asked {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            self.is_asked = true;
        }
    }
}

/// Heeds a signal from now on.
pub(crate) fn catch(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("signals cannot be caught")
}
