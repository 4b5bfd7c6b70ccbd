//! The `vesal-train` binary.
fn main() {}
