//! The configuration file as written, and where it is found.
