//! The admin tool.

fn main() {}
