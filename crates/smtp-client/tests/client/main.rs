//! The client against scripted peers.

#![allow(clippy::unwrap_used)]

mod connecting;
mod content;
mod limits;
mod lmtp;
mod login;
mod replies;
mod support;
mod tls;
