//! The daemon: configuration, listeners, the receive loop, the runner, admin socket, demo.

pub mod admin;
pub mod allowance;
pub mod certificates;
pub mod check;
pub mod config;
pub mod control;
pub mod credentials;
pub mod daemon;
mod deliveries;
pub mod demo;
pub mod dovecot;
pub mod listener;
pub mod local_socket;
pub mod log;
mod maildrop;
pub mod metrics;
pub mod program;
mod receive;
mod runner;
mod shared;
mod signals;
mod submit;
