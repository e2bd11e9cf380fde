//! The driver over real sockets.

#![allow(clippy::unwrap_used)]

mod clear;
mod support;
mod tls;
