//! The driver over real sockets.

#![allow(clippy::unwrap_used)]

mod clear;
mod engines;
mod support;
mod tls;
