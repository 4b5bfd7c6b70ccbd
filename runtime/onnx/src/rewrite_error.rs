//! Why a network is not rewritten.

use thiserror::Error;

use crate::error::CheckError;
use crate::proto::TensorDataType;

/// Why a network cannot be rewritten; it may run unchanged.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RewriteError {
    #[error("the network has no graph")]
    NoGraph,
    /// A part that may refer to values of the graph.
    #[error("the network has {part}, expected none")]
    Part { part: &'static str },
    /// Several inputs or outputs, or none.
    #[error("the network has {found} {what}, expected 1")]
    Count { what: &'static str, found: usize },
    /// An unsupported operator set.
    #[error("the network has opset {}, expected {least} to {most}", found.map_or("none".into(), |found| found.to_string()))]
    Opset {
        /// The version, if stated once.
        found: Option<i64>,
        least: i64,
        most: i64,
    },
    /// An operator that the rewrite does not support.
    #[error("node {node:?} has the operator {found:?}, expected one of {}", expected.join(", "))]
    Operator {
        node: String,
        /// The operator, with its domain if that is not the default one.
        found: String,
        expected: Vec<&'static str>,
    },
    /// A node that has a graph of its own, which may use any value.
    #[error("node {node:?} has a graph of its own, expected none")]
    Subgraph { node: String },
    /// Not the element type that was expected.
    #[error("{value:?} has {}, expected element type {}", found.map_or("no tensor type".into(), |found| format!("element type {found}")), *expected as i32)]
    Element {
        value: String,
        /// Number of its element type in the format, if it is a tensor.
        found: Option<i32>,
        expected: TensorDataType,
    },
    #[error("the shapes of the network's values are not known")]
    Shapes(#[from] CheckError),
    /// A weight that is also an input, so that a caller may replace it.
    #[error("the weight {tensor:?} is an input too, expected a constant")]
    Replaceable { tensor: String },
    /// A batch axis that is not free with a name.
    #[error("the batch axis of {value:?} is {found}, expected a free size with a name")]
    Batch { value: String, found: String },
    /// Another axis has the name of the batch axis as well.
    #[error("axis {axis} of {value:?} has the name {name:?} of the batch axis")]
    SharedName {
        value: String,
        /// The axis, from 0.
        axis: usize,
        name: String,
    },
    /// A weight whose elements are elsewhere, missing or too many.
    #[error("the weight {tensor:?} does not hold the elements of its shape {dims:?}")]
    Weight { tensor: String, dims: Vec<i64> },
    /// A weight beyond the range of 16-bit floats.
    #[error("the weight {tensor:?} holds {found:e}, 16-bit floats end at 65504")]
    Range {
        tensor: String,
        /// The first such value.
        found: f32,
    },
    /// A weight that is infinite or NaN.
    #[error("the weight {tensor:?} holds a value that is infinite or not a number")]
    NotFinite { tensor: String },
    /// A computed value where an operator takes a 32-bit constant.
    #[error("node {node:?} uses {value:?}, which must stay unchanged, expected a constant")]
    Computed { node: String, value: String },
    /// An output that no node defines.
    #[error("no node gives {value:?} alone, expected one")]
    NoNode { value: String },
    /// The network does not end with a convolution to split off.
    #[error("the network has no head to split off: {why}")]
    NoHead { why: HeadProblem },
}

/// Why a head cannot be split off.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HeadProblem {
    #[error("the output is given by the operator {found:?}, expected Conv")]
    Operator { found: String },
    /// A convolution of more than one voxel, in groups, strided or padded.
    #[error(
        "the attribute {attribute:?} of the last convolution does not belong to a plain one of 1×1×1 voxels"
    )]
    Attribute { attribute: String },
    /// Weights of another shape, or computed ones.
    #[error("the {input} of the last convolution is not a constant of the expected shape")]
    Weight { input: &'static str },
    /// Other nodes use the features as well, or no node defines them.
    #[error("the features {value:?} are not given by a node to the last convolution alone")]
    Features { value: String },
    /// The output's shape does not declare its channels.
    #[error("the output does not declare the {classes} channels of the last convolution")]
    Undeclared { classes: usize },
    #[error("{classes} classes from {features} features, expected more classes than features")]
    Narrow { classes: usize, features: usize },
}
