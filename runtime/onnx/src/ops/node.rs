//! A node for shape rules: its inputs, its attributes with their defaults, and errors about it.

use std::fmt;

use super::attribute::{Attribute, DefaultValue};
use super::input::NodeInput;
use crate::error::{AttributeProblem, CheckError, ShapeProblem};
use crate::limits::MAX_SIZE;
use crate::proto::{AttributeProto, NodeProto, TensorProto};
use crate::shape::{Dim, SymbolicShape};

/// A node of a known operator.
#[derive(Clone, Copy)]
pub(crate) struct OperatorNode<'a> {
    label: &'a str,
    proto: &'a NodeProto,
    attributes: &'static [Attribute],
    /// In order; `None` where an optional one is left out.
    inputs: &'a [Option<NodeInput<'a>>],
}

impl<'a> OperatorNode<'a> {
    pub fn new(
        label: &'a str,
        proto: &'a NodeProto,
        attributes: &'static [Attribute],
        inputs: &'a [Option<NodeInput<'a>>],
    ) -> Self {
        Self {
            label,
            proto,
            attributes,
            inputs,
        }
    }

    pub fn input(&self, index: usize) -> Option<NodeInput<'a>> {
        self.inputs.get(index).copied().flatten()
    }

    pub fn shape(&self, index: usize) -> Option<&'a SymbolicShape> {
        self.input(index).map(|input| input.shape)
    }

    /// Shape of a required input.
    pub fn required(
        &self,
        index: usize,
        what: &'static str,
    ) -> Result<&'a SymbolicShape, CheckError> {
        self.shape(index)
            .ok_or_else(|| self.missing_input(what, "one"))
    }

    /// Shapes of the inputs after the first, skipping omitted ones.
    pub fn other_shapes(&self) -> impl Iterator<Item = &'a SymbolicShape> {
        let inputs = self.inputs.iter().skip(1);
        inputs.filter_map(|input| Some(input.as_ref()?.shape))
    }

    pub fn outputs(&self) -> usize {
        self.proto.output.len()
    }

    /// Elements of an input that is a constant of 64-bit integers, on one axis; `None` if it is left out.
    ///
    /// **Errors**: it is computed, not of this type or rank, or longer than [`NodeInput::list`] reads.
    pub fn integers(
        &self,
        index: usize,
        what: &'static str,
    ) -> Result<Option<Vec<i64>>, CheckError> {
        let Some(input) = self.input(index) else {
            return Ok(None);
        };
        let values = input.list().and_then(TensorProto::integers);
        match values {
            Some(values) if input.shape.rank() == 1 => Ok(Some(values)),
            _ => Err(self.missing_input(what, "64-bit integers")),
        }
    }

    fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        let stated = self.proto.attribute.iter();
        let mut stated = stated.filter(|found| found.name.as_deref() == Some(name));
        stated.next()
    }

    fn default(&self, name: &str) -> Option<DefaultValue> {
        let known = self.attributes.iter().find(|known| known.name == name);
        known.map(|known| known.default)
    }

    /// The attribute, or its default; `None` if it has none.
    pub fn int(&self, name: &str) -> Option<i64> {
        match (self.find(name), self.default(name)) {
            (Some(stated), _) => stated.i,
            (None, Some(DefaultValue::Int(value))) => Some(value),
            _ => None,
        }
    }

    /// The attribute, or its default; `None` if it has none.
    pub fn float(&self, name: &str) -> Option<f32> {
        match (self.find(name), self.default(name)) {
            (Some(stated), _) => stated.f,
            (None, Some(DefaultValue::Float(value))) => Some(value),
            _ => None,
        }
    }

    /// The attribute, or its default; `None` if it has none.
    pub fn text(&self, name: &str) -> Option<&'a [u8]> {
        match (self.find(name), self.default(name)) {
            (Some(stated), _) => stated.s.as_deref(),
            (None, Some(DefaultValue::Text(value))) => Some(value.as_bytes()),
            _ => None,
        }
    }

    /// The attribute, if it is stated.
    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.find(name).map(|found| found.ints.as_slice())
    }

    /// Values of a list of this length, each from `least` to [`MAX_SIZE`], or its default.
    pub fn sizes(
        &self,
        name: &'static str,
        length: usize,
        least: i64,
    ) -> Result<Vec<i64>, CheckError> {
        let Some(values) = self.ints(name) else {
            let value = match self.default(name) {
                Some(DefaultValue::Ones) => 1,
                Some(DefaultValue::Zeros) => 0,
                _ => return Err(self.range(name, "missing", "as many sizes as axes of space")),
            };
            return Ok(vec![value; length]);
        };
        if values.len() != length {
            let problem = AttributeProblem::Length {
                found: values.len(),
                expected: length,
            };
            return Err(self.attribute(name, problem));
        }
        let allowed = least..=MAX_SIZE;
        if let Some(found) = values.iter().find(|value| !allowed.contains(value)) {
            return Err(self.range(name, found, &format!("{least} to {MAX_SIZE}")));
        }
        Ok(values.to_vec())
    }

    /// An axis of a value of this rank, from 0; negative ones are counted from the end.
    ///
    /// **Errors**: no such axis, or one before `first`.
    pub fn axis(&self, rank: usize, first: usize, expected: &str) -> Result<usize, CheckError> {
        let Some(found) = self.int("axis") else {
            return Err(self.range("axis", "missing", expected));
        };
        from_first(found, rank)
            .filter(|axis| *axis >= first)
            .ok_or_else(|| self.range("axis", found, expected))
    }

    /// A size of an output from 1 to [`MAX_SIZE`].
    pub fn present(&self, axis: usize, found: i64) -> Result<Dim, CheckError> {
        if (1..=MAX_SIZE).contains(&found) {
            Ok(Dim::Fixed(found))
        } else {
            Err(self.problem(ShapeProblem::Vanishes { axis, found }))
        }
    }

    /// The size of an axis that is not free.
    pub fn fixed(&self, shape: &SymbolicShape, axis: usize) -> Result<i64, CheckError> {
        match shape.0.get(axis) {
            Some(Dim::Fixed(size)) => Ok(*size),
            _ => Err(self.problem(ShapeProblem::Free { axis })),
        }
    }

    pub fn same_channels(
        &self,
        input: &'static str,
        found: &Dim,
        expected: i64,
    ) -> Result<(), CheckError> {
        if *found == Dim::Fixed(expected) {
            return Ok(());
        }
        Err(self.problem(ShapeProblem::Channels {
            input,
            found: found.to_string(),
            expected: expected.to_string(),
        }))
    }

    /// Checks that an input is a vector of this number of channels.
    pub fn vector(
        &self,
        input: &'static str,
        shape: &SymbolicShape,
        channels: i64,
    ) -> Result<(), CheckError> {
        match shape.0.as_slice() {
            [dim] => self.same_channels(input, dim, channels),
            _ => Err(self.rank(input, shape, "1")),
        }
    }

    /// Checks that the first input has spatial axes after batch and channels, and returns it.
    pub fn image(&self) -> Result<&'a SymbolicShape, CheckError> {
        let x = self.required(0, "first input")?;
        if x.rank() < 3 {
            return Err(self.rank("input", x, "at least 3"));
        }
        Ok(x)
    }

    pub fn missing_input(&self, what: &'static str, expected: &'static str) -> CheckError {
        CheckError::Input {
            node: self.label.into(),
            what,
            expected,
        }
    }

    pub fn range(&self, attribute: &str, found: impl fmt::Display, expected: &str) -> CheckError {
        let problem = AttributeProblem::Range {
            found: found.to_string(),
            expected: expected.into(),
        };
        self.attribute(attribute, problem)
    }

    /// Constants of an input that are out of range.
    pub fn values(
        &self,
        input: &'static str,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> CheckError {
        self.problem(ShapeProblem::Values {
            input,
            found: found.to_string(),
            expected: expected.into(),
        })
    }

    pub fn rank(
        &self,
        input: &'static str,
        shape: &SymbolicShape,
        expected: impl Into<String>,
    ) -> CheckError {
        self.problem(ShapeProblem::Rank {
            input,
            found: shape.rank(),
            expected: expected.into(),
        })
    }

    pub fn broadcast_problem(&self, left: &SymbolicShape, right: &SymbolicShape) -> CheckError {
        self.problem(ShapeProblem::Broadcast {
            left: left.to_string(),
            right: right.to_string(),
        })
    }

    pub fn problem(&self, problem: ShapeProblem) -> CheckError {
        CheckError::Shape {
            node: self.label.into(),
            problem,
        }
    }

    pub fn attribute(&self, attribute: &str, problem: AttributeProblem) -> CheckError {
        CheckError::Attribute {
            node: self.label.into(),
            attribute: attribute.into(),
            problem,
        }
    }
}

/// An axis counted from the first; negative ones are counted from the end. `None` if there is no such axis.
pub(super) fn from_first(axis: i64, rank: usize) -> Option<usize> {
    let count = i64::try_from(rank).ok()?;
    let axis = if axis < 0 {
        axis.checked_add(count)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}
