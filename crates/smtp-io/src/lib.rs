//! The one place where a session meets tokio and rustls.
