//! Mail from programs of this machine, by the submit socket.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[path = "../house/mod.rs"]
mod house;
mod maildrop;
mod socket;
