//! The client against scripted peers.

#![allow(clippy::unwrap_used)]

mod connecting;
mod content;
mod lmtp;
mod replies;
mod support;
mod tls;
