//! Mail on its way out, from a whole server to scripted next hops and into Maildirs.
#![allow(clippy::unwrap_used)]

#[path = "../house/mod.rs"]
mod house;

#[path = "../house/process.rs"]
mod process;

#[path = "../house/handshake.rs"]
mod handshake;

mod support;

mod addresses;
mod chaos;
mod content;
mod dead_hop;
mod deliver_by;
mod dsn;
mod full_disks;
mod future_release;
mod in_flight;
mod log_in;
mod maildir;
mod operators;
mod priority;
mod relay;
mod reports;
mod require_tls;
mod retry;
mod sessions;
mod tls;
