//! The admin API: request and response types and a typed client over a Unix socket.
