//! A whole server as its operators see it: pauses, gauges, the admin socket.
#![allow(clippy::unwrap_used)]

#[path = "../house/mod.rs"]
mod house;

mod gauges;
mod pauses;
