//! Rules that a model can break.

mod display;
mod network;
mod problem;

use std::ops::RangeInclusive;

use thiserror::Error;

pub(crate) use self::display::short;
use self::display::{AllowedRange, Stated};
pub use self::network::NetworkError;
pub use self::problem::{AttributeProblem, InitializerProblem, ShapeProblem, TypeProblem};
use crate::limits::{MAX_MODEL_BYTES, MAX_PARTS, NEWEST_OPSET};

/// First rule that a model breaks.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CheckError {
    /// Larger than a protobuf message can be.
    #[error("the model has {found} bytes, at most {MAX_MODEL_BYTES} are allowed")]
    TooLarge {
        /// Size in bytes.
        found: usize,
    },
    #[error(transparent)]
    Decode(#[from] NetworkError),
    #[error("the model has IR version {}, expected {}", Stated(*found), AllowedRange(expected))]
    IrVersion {
        /// The version, if stated.
        found: Option<i64>,
        expected: RangeInclusive<i64>,
    },
    /// The default operator set is not imported exactly once.
    #[error("the model imports the default operator set {found} times, expected once")]
    OpsetImports { found: usize },
    #[error("the model has opset {}, expected {}", Stated(*found), AllowedRange(expected))]
    Opset {
        /// The version, if stated.
        found: Option<i64>,
        expected: RangeInclusive<i64>,
    },
    /// An operator set in which the operator has another definition, or an unknown one.
    #[error(
        "node {node:?} has the operator {operator:?} of opset {found}, expected opset {least} to {NEWEST_OPSET}"
    )]
    OperatorOpset {
        node: String,
        operator: &'static str,
        found: i64,
        /// Oldest one that is known.
        least: i64,
    },
    #[error("the model uses the operator domain {domain:?}, expected the default domain only")]
    Domain { domain: String },
    /// A part that networks do not need.
    #[error("the model has {part}, expected none")]
    Part { part: &'static str },
    #[error("the model has no graph")]
    NoGraph,
    /// Something has no name, or one that is not a name.
    #[error(
        "{what} {index} has the name {found:?}, expected printable characters without spaces at its ends"
    )]
    Name {
        /// The kind of part: graph, input, node, ….
        what: &'static str,
        /// Its position, from 0.
        index: usize,
        found: String,
    },
    #[error("two nodes have the name {node:?}")]
    NodeTwice { node: String },
    #[error("the graph has no {what}, expected at least one")]
    Empty { what: &'static str },
    /// More parts than the limit.
    #[error("the graph has {found} {what}, at most {MAX_PARTS} are allowed")]
    TooMany {
        /// Inputs, weights, nodes or outputs of nodes.
        what: &'static str,
        found: usize,
    },
    /// A value is defined twice: the graph is not in single assignment form.
    #[error("the value {value:?} is given twice")]
    Twice { value: String },
    /// An input that no earlier node defines: the graph is cyclic, unsorted or incomplete.
    #[error(
        "node {node:?} takes the value {value:?}, which no earlier node, input or initializer gives"
    )]
    Undefined { node: String, value: String },
    /// An output that no node defines.
    #[error("the output {output:?} is given by no node")]
    NoOutput { output: String },
    /// A value whose type is missing or unsuitable.
    #[error("the value {value:?} has no usable type: {problem}")]
    Type { value: String, problem: TypeProblem },
    /// An inconsistent weight.
    #[error("the initializer {initializer:?} is unusable: {problem}")]
    Initializer {
        initializer: String,
        problem: InitializerProblem,
    },
    /// An unsupported operator.
    #[error("node {node:?} has the operator {found:?}, expected one of {}", expected.join(", "))]
    Operator {
        node: String,
        found: String,
        expected: Vec<&'static str>,
    },
    /// A required input is absent, or an input that must be constant is not.
    #[error("node {node:?} takes no {what}, expected {expected}")]
    Input {
        node: String,
        what: &'static str,
        /// The expected number of files.
        expected: &'static str,
    },
    /// A wrong number of inputs or outputs.
    #[error("node {node:?} has {found} {what}, expected {least} to {most}")]
    Arity {
        node: String,
        what: &'static str,
        found: usize,
        least: usize,
        most: usize,
    },
    /// An attribute that the operator does not have, or with an invalid value.
    #[error("node {node:?}: attribute {attribute:?} {problem}")]
    Attribute {
        node: String,
        attribute: String,
        problem: AttributeProblem,
    },
    /// Shapes that the operator does not accept.
    #[error("node {node:?}: {problem}")]
    Shape { node: String, problem: ShapeProblem },
    /// The inferred shape differs from the declared one.
    #[error("the value {value:?} has shape {found}, its declaration says {expected}")]
    Declaration {
        value: String,
        /// The inferred shape.
        found: String,
        expected: String,
    },
}

impl CheckError {
    /// A remedy for the user, if there is one.
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
