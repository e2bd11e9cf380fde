//! Places at which a test can have the process die, as if its power was cut.

/// Dies here if the environment names this place: `SMTP_QUEUE_FAIL_POINT=name` or `name:n`, to die at the n-th passage.
///
/// Only with the feature `fail-points`; without it this is nothing.
#[cfg(feature = "fail-points")]
pub(crate) fn pass(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let wanted = WANTED.get_or_init(|| {
        let value = std::env::var("SMTP_QUEUE_FAIL_POINT").ok()?;
        match value.split_once(':') {
            Some((name, count)) => Some((name.to_owned(), count.parse().ok()?)),
            None => Some((value, 1)),
        }
    });
    if let Some((wanted, count)) = wanted
        && wanted == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        // No destructor runs, nothing is flushed.
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        std::process::abort();
    }
}

/// Does nothing: the feature `fail-points` is off.
#[cfg(not(feature = "fail-points"))]
#[inline]
pub(crate) fn pass(_name: &str) {}
