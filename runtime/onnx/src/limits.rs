//! Limits of models.

use std::ops::RangeInclusive;

/// Largest model in bytes: protobuf messages end at 2 GiB.
pub const MAX_MODEL_BYTES: usize = i32::MAX as usize;

/// Most nodes of a network, and most weights: networks of convolutions have some hundreds.
pub const MAX_PARTS: usize = 1 << 14;

/// Largest size of an axis: the product of three sizes fits 64 bits.
pub(crate) const MAX_SIZE: i64 = 1 << 20;

/// Most axes of a value: each of up to [`MAX_PARTS`] values stores its sizes. Volumes have five.
pub(crate) const MAX_AXES: usize = 8;

/// Longest name of a free size, in bytes: every value with the axis stores it.
pub(crate) const MAX_AXIS_NAME: usize = 256;

/// Operator set of the default domain that exported networks use.
///
/// 20 is old enough for every current runtime and converter, and none of the needed operators was extended since.
pub const OPSET: i64 = 20;

/// Newest operator set whose operators are known.
///
/// **Source**: the operator schemas of ONNX 1.23.
pub const NEWEST_OPSET: i64 = 28;

/// Version of the file format that belongs to [`OPSET`].
pub const IR_VERSION: i64 = 9;

/// Known versions of the file format.
pub(crate) const IR_VERSIONS: RangeInclusive<i64> = 1..=14;
