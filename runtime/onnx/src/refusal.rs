//! Why a network is not rewritten.

use thiserror::Error;

use crate::check::CheckError;
use crate::proto::DataType;

/// What keeps a network from being rewritten: it may run as it is.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Refusal {
    /// No graph.
    #[error("the network has no graph")]
    NoGraph,
    /// A part that may speak of what would change.
    #[error("the network has {part}, expected none")]
    Part {
        /// Which part.
        part: &'static str,
    },
    /// Several inputs or outputs, or none.
    #[error("the network has {found} {what}, expected 1")]
    Count {
        /// Inputs or outputs.
        what: &'static str,
        /// How many.
        found: usize,
    },
    /// An operator set whose operators are not known.
    #[error("the network has opset {}, expected {least} to {most}", found.map_or("none".into(), |found| found.to_string()))]
    Opset {
        /// The version, if stated once.
        found: Option<i64>,
        /// Oldest known version.
        least: i64,
        /// Newest known version.
        most: i64,
    },
    /// An operator of which is not known what the rewrite does to it.
    #[error("node {node:?} has the operator {found:?}, expected one of {}", expected.join(", "))]
    Operator {
        /// The node.
        node: String,
        /// The operator, with its domain if that is not the default one.
        found: String,
        /// The known ones.
        expected: Vec<&'static str>,
    },
    /// A node that has a graph of its own, which may take any value.
    #[error("node {node:?} has a graph of its own, expected none")]
    Subgraph {
        /// The node.
        node: String,
    },
    /// Not the element type that was expected.
    #[error("{value:?} has {}, expected element type {}", found.map_or("no tensor type".into(), |found| format!("element type {found}")), *expected as i32)]
    Element {
        /// The value.
        value: String,
        /// Number of its element type in the format, if it is a tensor.
        found: Option<i32>,
        /// The expected one.
        expected: DataType,
    },
    /// Not as many axes as volumes have.
    #[error("{value:?} has {found} axes, expected {expected}")]
    Axes {
        /// The value.
        value: String,
        /// Its axes; 0 if they are not declared.
        found: usize,
        /// The expected number.
        expected: usize,
    },
    /// Shapes do not follow from the graph.
    #[error("the shapes of the network's values are not known")]
    Shapes(#[from] CheckError),
    /// A weight that is an input too, so that a caller may replace it.
    #[error("the weight {tensor:?} is an input too, expected a constant")]
    Replaceable {
        /// The weight.
        tensor: String,
    },
    /// A batch axis that cannot get a size.
    #[error("the batch axis of {value:?} is {found}, expected a free size with a name")]
    Batch {
        /// The value.
        value: String,
        /// What it is.
        found: String,
    },
    /// The name of the batch axis stands for another axis as well.
    #[error("axis {axis} of {value:?} has the name {name:?} of the batch axis")]
    SharedName {
        /// The value.
        value: String,
        /// The axis, from 0.
        axis: usize,
        /// The name.
        name: String,
    },
    /// A weight whose elements are elsewhere, missing or too many.
    #[error("the weight {tensor:?} does not hold the elements of its shape {dims:?}")]
    Weight {
        /// The weight.
        tensor: String,
        /// Its shape.
        dims: Vec<i64>,
    },
    /// A weight that is no 16-bit float.
    #[error("the weight {tensor:?} holds {found:e}, 16-bit floats end at 65504")]
    Range {
        /// The weight.
        tensor: String,
        /// The first such value.
        found: f32,
    },
    /// A weight that is no number.
    #[error("the weight {tensor:?} holds a value that is infinite or not a number")]
    NotFinite {
        /// The weight.
        tensor: String,
    },
    /// A 32-bit value that must stay one, where another value would not.
    #[error(
        "node {node:?} takes {value:?}, which has to stay as it is, expected a constant of its own"
    )]
    Mixed {
        /// The node.
        node: String,
        /// The value.
        value: String,
    },
    /// An output that no node gives.
    #[error("no node gives {value:?} alone, expected one")]
    NoNode {
        /// The value.
        value: String,
    },
    /// No convolution at the end that would be worth taking off.
    #[error("the network has no head to take off: {why}")]
    NoHead {
        /// What keeps it.
        why: HeadProblem,
    },
}

/// What keeps a head on its network.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HeadProblem {
    /// Another operator gives the output.
    #[error("the output is given by the operator {found:?}, expected Conv")]
    Operator {
        /// The operator.
        found: String,
    },
    /// A convolution of more than one voxel, in groups, strided or padded.
    #[error(
        "the attribute {attribute:?} of the last convolution does not belong to a plain one of 1×1×1 voxels"
    )]
    Attribute {
        /// The attribute.
        attribute: String,
    },
    /// Weights of another shape, or computed ones.
    #[error("the {input} of the last convolution is no constant of the expected shape")]
    Weight {
        /// Weight or bias.
        input: &'static str,
    },
    /// Other nodes take the features too, or they are not a node's.
    #[error("the features {value:?} are not given by a node to the last convolution alone")]
    Features {
        /// The features.
        value: String,
    },
    /// The output's shape does not say how many channels it has.
    #[error("the output does not declare the {classes} channels of the last convolution")]
    Undeclared {
        /// How many there are.
        classes: usize,
    },
    /// Nothing would be saved.
    #[error("{classes} classes from {features} features, expected more classes than features")]
    Narrow {
        /// Channels out.
        classes: usize,
        /// Channels in.
        features: usize,
    },
}
