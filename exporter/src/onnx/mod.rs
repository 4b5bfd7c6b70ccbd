//! ONNX models: a checker.
//!
//! Written here rather than taken from the ONNX package, because five operators need little of it and a checker in
//! Rust runs wherever the exporter does.

pub mod checker;

pub use checker::{CheckError, check, check_bytes};

/// Largest model in bytes: protobuf messages end at 2 GiB.
pub const MAX_MODEL_BYTES: usize = i32::MAX as usize;
