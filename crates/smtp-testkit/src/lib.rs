//! For tests only: transcripts, scripted peers, certificates.

#![allow(clippy::missing_panics_doc, reason = "what cannot be set up in a test ends the test")]

pub mod dovecot;
pub mod pair;
pub mod peer;
pub mod tls;
pub mod transcript;
