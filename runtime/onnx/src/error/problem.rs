//! What is wrong with a part of a model.

use thiserror::Error;

use super::display::Element;
use crate::limits::{MAX_AXES, MAX_AXIS_NAME, MAX_SIZE};
use crate::proto::AttributeType;

/// What is wrong with the type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TypeProblem {
    #[error("it is not a tensor type")]
    NoTensor,
    #[error("it has no shape")]
    NoShape,
    #[error("it has element type {}, expected 1 (float)", Element(*found))]
    Element {
        /// The element type, if stated.
        found: Option<i32>,
    },
    #[error("it has {found} axes, at most {MAX_AXES} are allowed")]
    Axes { found: usize },
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
    #[error("its elements are in another file")]
    External,
    /// The tensor is a segment of another one.
    #[error("it is a segment of another tensor")]
    Segment,
    #[error(
        "it has element type {}, expected 1 (float), or 7 (int64) where an operator takes integers",
        Element(*found)
    )]
    Element {
        /// The element type, if stated.
        found: Option<i32>,
    },
    #[error("it has {found} axes, at most {MAX_AXES} are allowed")]
    Axes { found: usize },
    /// Elements in two places, or in none.
    #[error("its elements are in {found} places, expected raw data alone")]
    Places { found: usize },
    /// An invalid size, or too many elements.
    #[error(
        "it has dims {found:?}, expected sizes from {least} to {MAX_SIZE}, of less than 2^31 bytes together"
    )]
    Dims {
        found: Vec<i64>,
        /// Smallest size that is allowed.
        least: i64,
    },
    /// The elements do not fill the shape.
    #[error("it has {found} bytes, its dims need {expected}")]
    Bytes { found: usize, expected: usize },
}

/// What is wrong with an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributeProblem {
    /// The operator has no attribute of this name.
    #[error("is none of operator {operator}")]
    Unknown { operator: String },
    #[error("is given twice")]
    Twice,
    #[error("refers to the attribute of a function")]
    Reference,
    #[error("has type {found:?}, expected {expected:?}")]
    Type {
        /// The type, if it is one.
        found: Option<AttributeType>,
        expected: AttributeType,
    },
    /// A value in a field that does not belong to its type.
    #[error("has a value of another type than it states")]
    Field,
    #[error("has {found} values, expected {expected}")]
    Length { found: usize, expected: usize },
    #[error("is {found}, expected {expected}")]
    Range { found: String, expected: String },
    /// A value that contradicts the weights.
    #[error("is {found:?}, the weights have {expected:?}")]
    Weights {
        found: Vec<i64>,
        /// The value inferred from the weights.
        expected: Vec<i64>,
    },
}

/// What is wrong with the input shapes of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeProblem {
    #[error("its {input} has {found} axes, expected {expected}")]
    Rank {
        input: &'static str,
        found: usize,
        expected: String,
    },
    #[error("its {input} has {found} channels, expected {expected}")]
    Channels {
        input: &'static str,
        found: String,
        expected: String,
    },
    /// A size that has to be known is free.
    #[error("axis {axis} has no fixed size")]
    Free {
        /// The axis, from 0.
        axis: usize,
    },
    /// An output size of 0 or beyond the limit.
    #[error("its output would have size {found} on axis {axis}, expected 1 to {MAX_SIZE}")]
    Vanishes {
        /// The axis, from 0.
        axis: usize,
        found: i64,
    },
    /// Windows that overlap so much that the work is not bounded by the sizes of input and output.
    #[error(
        "its windows look at each value of the input {found} times on average, at most {most} are allowed"
    )]
    Looks { found: u128, most: u64 },
    /// Two shapes that cannot be concatenated.
    #[error("it concatenates shapes {left} and {right} along axis {axis}")]
    Concatenation {
        left: String,
        right: String,
        /// The axis, from 0.
        axis: usize,
    },
    /// An input with another shape than the only possible one.
    #[error("its {input} has shape {found}, expected {expected}")]
    Sizes {
        input: &'static str,
        found: String,
        expected: String,
    },
    #[error("its {input} hold {found}, expected {expected}")]
    Values {
        input: &'static str,
        found: String,
        expected: String,
    },
    /// Matrices that cannot be multiplied.
    #[error("it multiplies matrices of shapes {left} and {right}")]
    Product { left: String, right: String },
    /// A reshape with another number of elements, or one that splits the batch.
    #[error("it gives values of shape {input} the shape {shape:?}")]
    Reshape { input: String, shape: Vec<i64> },
    /// Two shapes that cannot be broadcast to one.
    #[error("it adds shapes {left} and {right}")]
    Broadcast { left: String, right: String },
}
