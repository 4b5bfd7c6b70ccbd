//! The `vesal-export` binary.
fn main() {}
