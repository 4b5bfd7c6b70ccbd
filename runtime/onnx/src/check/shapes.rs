//! Shape inference.

use std::fmt;

use super::error::{AttributeProblem, CheckError, ShapeProblem};
use crate::operators::{Operator, Rule};
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// Largest size of an axis: products of three of them can be counted.
pub(super) const MAX_SIZE: i64 = 1 << 20;

/// Most axes of a value: every one of up to [`super::MAX_PARTS`] keeps the sizes of its own. Volumes have five.
pub(super) const MAX_AXES: usize = 8;

/// Size of one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dim {
    Fixed(i64),
    Free(String),
}

impl fmt::Display for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(formatter, "{size}"),
            Self::Free(name) => write!(formatter, "{name}"),
        }
    }
}

/// Sizes of all axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape(pub Vec<Dim>);

impl Shape {
    /// Whether a declaration says the same, as far as it says sizes.
    pub fn fits(&self, declared: &Self) -> bool {
        let fits = |(found, declared): (&Dim, &Dim)| match (found, declared) {
            (Dim::Fixed(found), Dim::Fixed(declared)) => found == declared,
            (Dim::Free(_), Dim::Fixed(_)) => false,
            (_, Dim::Free(_)) => true,
        };
        self.0.len() == declared.0.len() && self.0.iter().zip(&declared.0).all(fits)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(Dim::to_string).collect();
        write!(formatter, "[{}]", sizes.join(", "))
    }
}

/// A value that a node takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    pub shape: &'a Shape,
    /// The value itself, if it is a weight.
    pub constant: Option<&'a TensorProto>,
}

/// Shape of a node's output, whose sizes can be counted and of which the first alone, that of the batch, may be free; of
/// inputs that are left out, there is nothing.
pub(super) fn infer(
    name: &str,
    operator: &'static Operator,
    node: &NodeProto,
    inputs: &[Option<Input<'_>>],
) -> Result<Shape, CheckError> {
    let node = Node { name, node };
    let shape = node.output(operator, inputs)?;
    for (axis, dim) in shape.0.iter().enumerate() {
        match dim {
            Dim::Free(_) if axis == 0 => {}
            dim => {
                node.present(axis, node.fixed(axis, dim)?)?;
            }
        }
    }
    Ok(shape)
}

/// A node, and what messages call it.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    name: &'a str,
    node: &'a NodeProto,
}

impl Node<'_> {
    /// Shape of the output, as the rule of the operator says.
    fn output(
        self,
        operator: &'static Operator,
        inputs: &[Option<Input<'_>>],
    ) -> Result<Shape, CheckError> {
        let shape = |index: usize| {
            inputs
                .get(index)
                .copied()
                .flatten()
                .map(|input| input.shape)
        };
        let needed = |index: usize, what| shape(index).ok_or_else(|| self.input(what, "one"));
        let x = needed(0, "first input")?;
        let further = (1..inputs.len()).filter_map(shape);
        match operator.shape {
            Rule::Same => Ok(x.clone()),
            Rule::Limited => self.limited(x, further),
            Rule::Normalization => self.normalization(
                x,
                [needed(1, "scale")?]
                    .into_iter()
                    .chain((2..inputs.len()).filter_map(shape)),
            ),
            Rule::Convolution => self.convolution(x, needed(1, "weights")?, shape(2), false),
            Rule::Transposed => self.convolution(x, needed(1, "weights")?, shape(2), true),
            Rule::Broadcast => self.broadcast(x, needed(1, "second input")?),
            Rule::Repeated => self.repeated(x, needed(1, "second input")?),
            Rule::Concatenation => self.concatenation(x, further),
            Rule::Along => self.along(x),
            Rule::Pooling => self.pooling(x),
            Rule::GlobalPooling => self.global_pooling(x),
            Rule::Resize => self.resize(x, inputs),
            Rule::Permutation => self.permutation(x),
        }
    }

    /// Normalization of channels by vectors of as many values.
    fn normalization<'a>(
        self,
        x: &Shape,
        vectors: impl Iterator<Item = &'a Shape>,
    ) -> Result<Shape, CheckError> {
        if x.0.len() < 3 {
            return Err(self.rank("input", x, "at least 3".into()));
        }
        let channels = self.fixed(1, &x.0[1])?;
        for (what, vector) in ["scale", "bias", "mean", "variance"]
            .into_iter()
            .zip(vectors)
        {
            self.vector(what, vector, channels)?;
        }
        if let Some(epsilon) = self.find("epsilon").and_then(|attribute| attribute.f)
            && !(epsilon.is_finite() && epsilon > 0.)
        {
            return Err(self.range("epsilon", epsilon, "a positive number"));
        }
        if let Some(groups) = self.find("num_groups").and_then(|attribute| attribute.i)
            && (groups < 1 || channels % groups != 0)
        {
            return Err(self.range("num_groups", groups, "a divisor of the channels"));
        }
        Ok(x.clone())
    }

    /// Limits are scalars.
    fn limited<'a>(
        self,
        x: &Shape,
        mut limits: impl Iterator<Item = &'a Shape>,
    ) -> Result<Shape, CheckError> {
        match limits.find(|limit| !limit.0.is_empty()) {
            Some(limit) => Err(self.rank("limit", limit, "0".into())),
            None => Ok(x.clone()),
        }
    }

    pub(super) fn find(&self, attribute: &str) -> Option<&AttributeProto> {
        self.node
            .attribute
            .iter()
            .find(|found| found.name.as_deref() == Some(attribute))
    }

    pub(super) fn ints(&self, attribute: &str) -> Option<&[i64]> {
        self.find(attribute).map(|found| found.ints.as_slice())
    }

    /// Values of an attribute of this length, each from `least` to [`MAX_SIZE`]; absent: `default`.
    pub(super) fn sizes(
        self,
        attribute: &'static str,
        expected: usize,
        least: i64,
        default: i64,
    ) -> Result<Vec<i64>, CheckError> {
        let Some(values) = self.ints(attribute) else {
            return Ok(vec![default; expected]);
        };
        if values.len() != expected {
            let problem = AttributeProblem::Length {
                found: values.len(),
                expected,
            };
            return Err(self.attribute(attribute, problem));
        }
        let allowed = least..=MAX_SIZE;
        if let Some(found) = values.iter().find(|value| !allowed.contains(value)) {
            return Err(self.range(attribute, found, &format!("{least} to {MAX_SIZE}")));
        }
        Ok(values.to_vec())
    }

    pub(super) fn group(self) -> Result<i64, CheckError> {
        let group = self
            .find("group")
            .and_then(|attribute| attribute.i)
            .unwrap_or(1);
        if !(1..=MAX_SIZE).contains(&group) {
            return Err(self.range("group", group, &format!("1 to {MAX_SIZE}")));
        }
        Ok(group)
    }

    /// A size of an output, if something is left of it and it is none that could not be counted.
    pub(super) fn present(self, axis: usize, found: i64) -> Result<Dim, CheckError> {
        if (1..=MAX_SIZE).contains(&found) {
            Ok(Dim::Fixed(found))
        } else {
            Err(self.shape(ShapeProblem::Vanishes { axis, found }))
        }
    }

    pub(super) fn fixed(self, axis: usize, dim: &Dim) -> Result<i64, CheckError> {
        match dim {
            Dim::Fixed(size) => Ok(*size),
            Dim::Free(_) => Err(self.shape(ShapeProblem::Free { axis })),
        }
    }

    pub(super) fn same_channels(
        self,
        input: &'static str,
        found: &Dim,
        expected: i64,
    ) -> Result<(), CheckError> {
        if *found == Dim::Fixed(expected) {
            return Ok(());
        }
        Err(self.shape(ShapeProblem::Channels {
            input,
            found: found.to_string(),
            expected: expected.to_string(),
        }))
    }

    pub(super) fn vector(
        self,
        input: &'static str,
        shape: &Shape,
        channels: i64,
    ) -> Result<(), CheckError> {
        match shape.0.as_slice() {
            [dim] => self.same_channels(input, dim, channels),
            _ => Err(self.rank(input, shape, "1".into())),
        }
    }

    pub(super) fn input(self, what: &'static str, expected: &'static str) -> CheckError {
        CheckError::Input {
            node: self.name.into(),
            what,
            expected,
        }
    }

    pub(super) fn range(
        self,
        attribute: &str,
        found: impl fmt::Display,
        expected: &str,
    ) -> CheckError {
        let problem = AttributeProblem::Range {
            found: found.to_string(),
            expected: expected.into(),
        };
        self.attribute(attribute, problem)
    }

    pub(super) fn rank(self, input: &'static str, shape: &Shape, expected: String) -> CheckError {
        self.shape(ShapeProblem::Rank {
            input,
            found: shape.0.len(),
            expected,
        })
    }

    pub(super) fn shape(self, problem: ShapeProblem) -> CheckError {
        CheckError::Shape {
            node: self.name.into(),
            problem,
        }
    }

    pub(super) fn attribute(self, attribute: &str, problem: AttributeProblem) -> CheckError {
        CheckError::Attribute {
            node: self.name.into(),
            attribute: attribute.into(),
            problem,
        }
    }
}
