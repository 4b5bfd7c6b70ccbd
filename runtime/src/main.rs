//! The `vesal` binary.
fn main() {}
