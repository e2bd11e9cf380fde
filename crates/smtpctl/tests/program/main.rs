//! The program as it is run: with a server, and without one.

#![allow(clippy::unwrap_used)]

#[path = "../ended/mod.rs"]
mod ended;

mod commands;
mod encrypt;
mod offline;
mod support;
