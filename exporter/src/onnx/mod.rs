//! ONNX models: messages, a builder and a checker.
//!
//! Written here rather than taken from the ONNX package, because five operators need little of it and a checker in
//! Rust runs wherever the exporter does.

mod builder;
pub mod checker;
pub mod proto;

pub use builder::{Axis, GraphBuilder};
pub use checker::{CheckError, check, check_bytes};

/// Operator set of the default domain that exported networks use.
///
/// 20 is old enough for every current runtime and converter, and no operator that the networks need has gained
/// anything since.
pub const OPSET: i64 = 20;
/// Version of the file format that belongs to [`OPSET`].
pub const IR_VERSION: i64 = 9;
/// Largest model in bytes: protobuf messages end at 2 GiB.
pub const MAX_MODEL_BYTES: usize = i32::MAX as usize;
