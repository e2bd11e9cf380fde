//! The events of the daemon itself: its start and end, its configuration, what goes wrong inside.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::thread;
use std::time::Duration;

use smtp_client::LoginFailure;
use smtp_mail::Report;
use smtp_policy::recipients::Dropped;
use smtp_proto::{ForwardPath, ReversePath};
use smtp_queue::{Lane, SettleError, StartReport};
use tracing::{error, info, warn};

/// An error with its causes, on one line.
pub struct Chain<'a>(pub &'a dyn Error);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// The server listens.
pub fn started(hostname: &str, addresses: impl IntoIterator<Item = SocketAddr>) {
    let addresses: Vec<_> = addresses.into_iter().map(|address| address.to_string()).collect();
    info!(event = "started", version = env!("CARGO_PKG_VERSION"), hostname, addresses = addresses.join(" "));
}

/// The queue is open.
pub fn queue_opened(report: &StartReport) {
    info!(event = "queue_opened", messages = report.messages, deliveries = report.deliveries);
    if let Some(old) = &report.index_set_aside {
        error!(event = "index_rebuilt", set_aside = %old.display(), "the index did not open and was made anew from the log");
    }
    for damage in &report.damage {
        error!(
            event = "queue_damage",
            segment = %damage.segment.display(),
            offset = damage.offset,
            octets = damage.octets,
            message = damage.message.map(tracing::field::display),
        );
    }
}

/// The server has stopped. `in_time`: all that was under way came to its end within the drain time.
pub fn stopped(in_time: bool) {
    info!(event = "stopped", in_time);
}

/// A new configuration is in force.
pub fn reloaded() {
    info!(event = "reloaded");
}

/// A new configuration was not taken.
pub fn reload_failed(problem: &str) {
    error!(event = "reload_failed", text = problem);
}

/// Certificates were loaded again.
pub fn certificates_reloaded() {
    info!(event = "certificates_reloaded");
}

/// Certificates could not be loaded again; the old ones are served.
pub fn certificates_not_reloaded(problem: &str) {
    error!(event = "certificates_not_reloaded", text = problem);
}

/// The system gave no connection.
pub fn not_accepted(error: &io::Error) {
    error!(event = "not_accepted", text = %error, advice = "if descriptors are short, raise LimitNOFILE");
}

/// An address is not listened on, and the others are.
pub fn left_out(error: &dyn Error) {
    warn!(event = "left_out", text = %Chain(error));
}

/// A file of the maildrop cannot be taken, and is put aside; `uid` is its owner, where that could be found out.
pub fn dropped_refused(name: &OsStr, uid: Option<u32>, reason: &str) {
    warn!(event = "dropped_refused", uid = uid.map(u64::from), file = %name.display(), text = reason);
}

/// The maildrop, or a file of it, cannot be used: programs must try again while the server is down.
pub fn maildrop_unusable(path: &Path, error: &io::Error) {
    warn!(event = "maildrop_unusable", path = %path.display(), text = %error);
}

/// A message was refused for the time being because the queue could not take it.
pub fn queue_unavailable(error: &dyn Error) {
    error!(event = "queue_unavailable", text = %Chain(error));
}

/// What attempts came to could not be made durable: they are repeated after the next start.
pub fn not_settled(error: &SettleError) {
    error!(event = "not_settled", text = %Chain(error));
}

/// A next hop is out of reach; its lane rests.
pub fn lane_rests(lane: &Lane, rest: Duration, trouble: &Report) {
    warn!(event = "lane_rests", lane = %lane, seconds = rest.as_secs_f64(), status = %trouble.status, text = %trouble);
}

/// A next hop does not know who we are. `lane` has the user and the host.
pub fn login_failed(lane: &Lane, failure: &LoginFailure) {
    let (reason, advice) = (failure.reason(), failure.advice());
    warn!(event = "login_failed", lane = %lane, reason, advice, text = %failure);
}

/// A next hop takes no more sessions than it has.
pub fn session_refused(lane: &Lane, trouble: &Report) {
    info!(event = "session_refused", lane = %lane, status = %trouble.status, text = %trouble);
}

/// A target of an alias leads nowhere.
pub fn alias_dropped(path: &ForwardPath, dropped: &Dropped) {
    warn!(event = "alias_dropped", forward_path = %path, text = %dropped);
}

/// A failure of which nobody can be told: the message was a report itself, or its sender is an address here that nobody has.
pub fn not_reported(message: smtp_mail::MessageId, reverse_path: &ReversePath, failed: usize) {
    warn!(event = "not_reported", message = %message, failed, reverse_path = %reverse_path);
}

/// A panic, on whichever thread: a defect of ours, or a library that meets a disk which fails. Who catches it says what follows.
pub fn panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let thread = thread::current();
    let text = panic.payload_as_str().unwrap_or_default();
    error!(event = "panic", thread = thread.name(), place, text);
}

/// A task panicked: a defect of ours. What it held was given back, and all else goes on.
pub fn panicked(what: &dyn Display) {
    error!(event = "panicked", text = %what, advice = "this is a defect of the server: please report it");
}

/// The server cannot start.
pub fn not_started(error: &dyn Error) {
    error!(event = "not_started", text = %Chain(error));
}

/// The disk has failed so that nothing that is written can be trusted: the process ends.
pub fn fatal(error: &dyn Error) {
    error!(event = "fatal", text = %Chain(error), advice = "the server ends, to be started anew; look at the disk");
}

/// Something in the configuration that can be used, but will surprise somebody.
pub fn configuration_warning(warning: &dyn Display) {
    warn!(event = "configuration_warning", text = %warning);
}
