//! The tool by its other names, against a whole server.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[path = "../../../smtp-server/tests/house/mod.rs"]
mod house;

#[path = "../ended/mod.rs"]
mod ended;

mod callers;
mod down;
mod programs;
mod support;
mod survey;
mod verify;
