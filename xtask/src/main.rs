//! The build in Rust.

fn main() {}
