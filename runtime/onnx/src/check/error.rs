//! Why a model is refused.

use std::ops::RangeInclusive;

use super::facts::{Element, Range, Stated};
use super::shapes::{MAX_AXES, MAX_SIZE};
use super::values::MAX_AXIS_NAME;
use super::{MAX_MODEL_BYTES, MAX_PARTS};
use crate::network::NetworkError;
use crate::operators::NEWEST_OPSET;
use crate::proto::AttributeType;
use thiserror::Error;

/// First rule that a model breaks.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CheckError {
    /// Larger than a protobuf message can be.
    #[error("the model has {found} bytes, at most {MAX_MODEL_BYTES} are allowed")]
    TooLarge {
        /// Size in bytes.
        found: usize,
    },
    /// No ONNX model.
    #[error(transparent)]
    Decode(#[from] NetworkError),
    /// Another version of the file format.
    #[error("the model has IR version {}, expected {}", Stated(*found), Range(expected))]
    IrVersion {
        /// The version, if stated.
        found: Option<i64>,
        /// Those that are known.
        expected: RangeInclusive<i64>,
    },
    /// The operator set is not stated exactly once.
    #[error("the model imports the default operator set {found} times, expected once")]
    OpsetImports {
        /// How often.
        found: usize,
    },
    /// Another version of the operator set.
    #[error("the model has opset {}, expected {}", Stated(*found), Range(expected))]
    Opset {
        /// The version, if stated.
        found: Option<i64>,
        /// Those that are known.
        expected: RangeInclusive<i64>,
    },
    /// An operator set in which an operator meant something else, or that is not known.
    #[error(
        "node {node:?} has the operator {operator:?} of opset {found}, expected opset {least} to {NEWEST_OPSET}"
    )]
    OperatorOpset {
        /// The node.
        node: String,
        /// The operator.
        operator: &'static str,
        /// The network's operator set.
        found: i64,
        /// Oldest one that is known.
        least: i64,
    },
    /// Operators from elsewhere.
    #[error("the model uses the operator domain {domain:?}, expected the default domain only")]
    Domain {
        /// The domain.
        domain: String,
    },
    /// A part that networks have no use for.
    #[error("the model has {part}, expected none")]
    Part {
        /// Which part.
        part: &'static str,
    },
    /// No graph.
    #[error("the model has no graph")]
    NoGraph,
    /// Something has no name, or one that is no name.
    #[error("{what} {index} has the name {found:?}, expected printable characters without spaces")]
    Name {
        /// Of what: graph, input, node, ….
        what: &'static str,
        /// Its position, from 0.
        index: usize,
        /// The name.
        found: String,
    },
    /// Two nodes share a name.
    #[error("two nodes have the name {node:?}")]
    NodeTwice {
        /// The name.
        node: String,
    },
    /// A graph without inputs or outputs.
    #[error("the graph has no {what}, expected at least one")]
    Empty {
        /// Inputs, outputs or nodes.
        what: &'static str,
    },
    /// More than rewrites and ONNX Runtime go through in reasonable time.
    #[error("the graph has {found} {what}, at most {MAX_PARTS} are allowed")]
    TooMany {
        /// Inputs, weights or nodes.
        what: &'static str,
        /// How many.
        found: usize,
    },
    /// A value is given twice: the graph is not in single assignment form.
    #[error("the value {value:?} is given twice")]
    Twice {
        /// The value.
        value: String,
    },
    /// A value is taken before any node gives it: cyclic, unsorted or missing.
    #[error(
        "node {node:?} takes the value {value:?}, which no earlier node, input or initializer gives"
    )]
    Undefined {
        /// The node.
        node: String,
        /// The value.
        value: String,
    },
    /// An output that nothing gives.
    #[error("the output {output:?} is given by no node")]
    NoOutput {
        /// The output.
        output: String,
    },
    /// A value whose type is missing or unsuitable.
    #[error("the value {value:?} has no usable type: {problem}")]
    Type {
        /// The value.
        value: String,
        /// What is wrong.
        problem: TypeProblem,
    },
    /// A weight that contradicts itself.
    #[error("the initializer {initializer:?} is unusable: {problem}")]
    Initializer {
        /// The initializer.
        initializer: String,
        /// What is wrong.
        problem: InitializerProblem,
    },
    /// An operator that networks have no use for.
    #[error("node {node:?} has the operator {found:?}, expected one of {}", expected.join(", "))]
    Operator {
        /// The node.
        node: String,
        /// The operator.
        found: String,
        /// Those that are known.
        expected: Vec<&'static str>,
    },
    /// An input that has to be there and is not, or one that has to be a constant and is none.
    #[error("node {node:?} takes no {what}, expected {expected}")]
    Input {
        /// The node.
        node: String,
        /// Which input.
        what: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A wrong number of inputs or outputs.
    #[error("node {node:?} has {found} {what}, expected {least} to {most}")]
    Arity {
        /// The node.
        node: String,
        /// Inputs or outputs.
        what: &'static str,
        /// How many it has.
        found: usize,
        /// Smallest allowed number.
        least: usize,
        /// Largest allowed number.
        most: usize,
    },
    /// A parameter that the operator does not have, or not like this.
    #[error("node {node:?}: attribute {attribute:?} {problem}")]
    Attribute {
        /// The node.
        node: String,
        /// The attribute.
        attribute: String,
        /// What is wrong.
        problem: AttributeProblem,
    },
    /// Shapes that the operator cannot take.
    #[error("node {node:?}: {problem}")]
    Shape {
        /// The node.
        node: String,
        /// What is wrong.
        problem: ShapeProblem,
    },
    /// The shape that follows from the graph is not the declared one.
    #[error("the value {value:?} has shape {found}, its declaration says {expected}")]
    Declaration {
        /// The value.
        value: String,
        /// The shape that follows.
        found: String,
        /// The declared shape.
        expected: String,
    },
}

/// What is wrong with the type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TypeProblem {
    /// Not stated, or no tensor.
    #[error("it is no tensor type")]
    NoTensor,
    /// No shape.
    #[error("it has no shape")]
    NoShape,
    /// Another element type.
    #[error("it has element type {}, expected 1 (float)", Element(*found))]
    Element {
        /// The element type, if stated.
        found: Option<i32>,
    },
    /// Too many axes.
    #[error("it has {found} axes, at most {MAX_AXES} are allowed")]
    Axes {
        /// How many.
        found: usize,
    },
    /// A size that is neither a number that can be counted nor a name.
    #[error(
        "axis {axis} has neither a size from 1 to {MAX_SIZE} nor a name of 1 to {MAX_AXIS_NAME} bytes"
    )]
    Axis {
        /// The axis, from 0.
        axis: usize,
    },
    /// A size that is free and not that of the batch.
    #[error("axis {axis} has no fixed size, expected one on every axis but the first")]
    Free {
        /// The axis, from 0.
        axis: usize,
    },
}

/// What is wrong with an initializer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InitializerProblem {
    /// The elements are elsewhere.
    #[error("its elements are in another file")]
    External,
    /// Only a part of it is here.
    #[error("it is a segment of another tensor")]
    Segment,
    /// Another element type.
    #[error("it has element type {}, expected 1 (float)", Element(*found))]
    Element {
        /// The element type, if stated.
        found: Option<i32>,
    },
    /// Too many axes.
    #[error("it has {found} axes, at most {MAX_AXES} are allowed")]
    Axes {
        /// How many.
        found: usize,
    },
    /// Elements in two places, or in none.
    #[error("its elements are in {found} places, expected raw data alone")]
    Places {
        /// In how many fields.
        found: usize,
    },
    /// A size that cannot be, or too many elements.
    #[error(
        "it has dims {found:?}, expected sizes from {least} to {MAX_SIZE}, of less than 2^31 bytes together"
    )]
    Dims {
        /// The sizes.
        found: Vec<i64>,
        /// Smallest size that is allowed.
        least: i64,
    },
    /// The elements do not fill the shape.
    #[error("it has {found} bytes, its dims need {expected}")]
    Bytes {
        /// Bytes there.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
}

/// What is wrong with an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributeProblem {
    /// The operator has none of this name.
    #[error("is none of operator {operator}")]
    Unknown {
        /// The operator.
        operator: String,
    },
    /// Given twice.
    #[error("is given twice")]
    Twice,
    /// Refers to a function.
    #[error("refers to the attribute of a function")]
    Reference,
    /// Another type.
    #[error("has type {found:?}, expected {expected:?}")]
    Type {
        /// The type, if it is one.
        found: Option<AttributeType>,
        /// The operator's.
        expected: AttributeType,
    },
    /// A value in a field that does not belong to its type.
    #[error("has a value of another type than it states")]
    Field,
    /// A list of the wrong length.
    #[error("has {found} values, expected {expected}")]
    Length {
        /// Values there.
        found: usize,
        /// Values needed.
        expected: usize,
    },
    /// A value out of range.
    #[error("is {found}, expected {expected}")]
    Range {
        /// The value.
        found: String,
        /// The range.
        expected: String,
    },
    /// A value that contradicts the weights.
    #[error("is {found:?}, the weights have {expected:?}")]
    Weights {
        /// The value.
        found: Vec<i64>,
        /// What follows from the weights.
        expected: Vec<i64>,
    },
}

/// What is wrong with the shapes that an operator gets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeProblem {
    /// Too few axes.
    #[error("its {input} has {found} axes, expected {expected}")]
    Rank {
        /// Which input.
        input: &'static str,
        /// Axes there.
        found: usize,
        /// Axes needed.
        expected: String,
    },
    /// Channels do not pair.
    #[error("its {input} has {found} channels, expected {expected}")]
    Channels {
        /// Which input.
        input: &'static str,
        /// Channels there.
        found: String,
        /// Channels needed.
        expected: String,
    },
    /// A size that has to be known is free.
    #[error("axis {axis} has no fixed size")]
    Free {
        /// The axis, from 0.
        axis: usize,
    },
    /// Nothing would be left, or more than can be counted.
    #[error("its output would have size {found} on axis {axis}, expected 1 to {MAX_SIZE}")]
    Vanishes {
        /// The axis, from 0.
        axis: usize,
        /// The size.
        found: i64,
    },
    /// Windows that overlap so much that the work has no measure in what it takes and gives.
    #[error(
        "its windows look at each value of the input {found} times on average, at most {most} are allowed"
    )]
    Looks {
        /// How often.
        found: u128,
        /// How often they may.
        most: u64,
    },
    /// Two shapes that cannot be put together.
    #[error("it puts shapes {left} and {right} together along axis {axis}")]
    Concatenation {
        /// One shape.
        left: String,
        /// The other.
        right: String,
        /// The axis, from 0.
        axis: usize,
    },
    /// Two shapes that cannot be added.
    #[error("it adds shapes {left} and {right}")]
    Broadcast {
        /// One shape.
        left: String,
        /// The other.
        right: String,
    },
}

impl CheckError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Decode(error) => error.hint(),
            Self::Operator { .. } | Self::Input { .. } => Some(
                "export the network without it: folding constants removes `Constant`, `Shape` and what computes with them; \
                 networks of convolutions need no loops and branches",
            ),
            Self::Initializer {
                problem: InitializerProblem::External,
                ..
            } => Some("save the network with its weights in the file itself"),
            Self::OperatorOpset { .. } => {
                Some("export the network with an opset of this range, or without the operator")
            }
            Self::Domain { .. } => Some(
                "export the network with the standard operators alone, before any tool has optimized it for one runtime",
            ),
            Self::Attribute { .. } => {
                Some("export the network with explicit padding and standard settings")
            }
            _ => None,
        }
    }
}
