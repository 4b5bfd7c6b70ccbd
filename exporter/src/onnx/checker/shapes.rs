//! Shape inference.

use std::fmt;

use vesal_onnx::proto::{AttributeProto, NodeProto};

use super::error::{AttributeProblem, CheckError, ShapeProblem};
use super::operators::Operator;

/// Size of one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dim {
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
pub(super) struct Shape(pub Vec<Dim>);

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(Dim::to_string).collect();
        write!(formatter, "[{}]", sizes.join(", "))
    }
}

/// Shape of a node's output.
pub(super) fn infer(
    name: &str,
    operator: Operator,
    node: &NodeProto,
    inputs: &[&Shape],
) -> Result<Shape, CheckError> {
    let node = Node { name, node };
    match operator {
        Operator::Conv => node.convolution(inputs, false),
        Operator::ConvTranspose => node.convolution(inputs, true),
        Operator::InstanceNormalization => node.instance_normalization(inputs),
        Operator::Relu => Ok(inputs[0].clone()),
        Operator::Add => node.broadcast(inputs[0], inputs[1]),
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    name: &'a str,
    node: &'a NodeProto,
}

impl Node<'_> {
    /// Convolution, plain or transposed.
    ///
    /// **Definition**: with `e = dilation (kernel - 1) + 1`, plain `floor((size + pads - e) / stride) + 1`, transposed
    /// `stride (size - 1) + output padding + e - pads`.
    fn convolution(self, inputs: &[&Shape], transposed: bool) -> Result<Shape, CheckError> {
        let (x, weight) = (inputs[0], inputs[1]);
        if x.0.len() < 3 {
            return Err(self.rank("input", x, "at least 3".into()));
        }
        if weight.0.len() != x.0.len() {
            return Err(self.rank("weight", weight, x.0.len().to_string()));
        }
        let axes = x.0.len() - 2;
        let kernel = weight.0[2..]
            .iter()
            .enumerate()
            .map(|(axis, dim)| self.fixed(axis + 2, dim))
            .collect::<Result<Vec<i64>, _>>()?;
        if let Some(found) = self.ints("kernel_shape")
            && found != kernel
        {
            let problem = AttributeProblem::Weights {
                found: found.to_vec(),
                expected: kernel,
            };
            return Err(self.attribute("kernel_shape", problem));
        }
        let strides = self.sizes("strides", axes, 1, 1)?;
        let dilations = self.sizes("dilations", axes, 1, 1)?;
        let pads = self.sizes("pads", 2 * axes, 0, 0)?;
        let extra = self.sizes("output_padding", axes, 0, 0)?;
        let groups = self.group()?;

        let (input_channels, output_channels) = self.channels(&weight.0, groups, transposed)?;
        self.same_channels("input", &x.0[1], input_channels)?;
        if let Some(bias) = inputs.get(2) {
            self.vector("bias", bias, output_channels)?;
        }

        let mut output = vec![x.0[0].clone(), Dim::Fixed(output_channels)];
        for axis in 0..axes {
            let size = self.fixed(axis + 2, &x.0[axis + 2])?;
            let padding = pads[axis].saturating_add(pads[axis + axes]);
            let extent = dilations[axis]
                .saturating_mul(kernel[axis] - 1)
                .saturating_add(1);
            let found = if transposed {
                strides[axis]
                    .saturating_mul(size - 1)
                    .saturating_add(extra[axis])
                    .saturating_add(extent)
                    .saturating_sub(padding)
            } else {
                let room = size.saturating_add(padding).saturating_sub(extent);
                if room < 0 {
                    room
                } else {
                    room / strides[axis] + 1
                }
            };
            if found < 1 {
                return Err(self.shape(ShapeProblem::Vanishes {
                    axis: axis + 2,
                    found,
                }));
            }
            output.push(Dim::Fixed(found));
        }
        Ok(Shape(output))
    }

    /// Channels in and out that the weights stand for: `[M, C / g, ...]` plain, `[C, M / g, ...]` transposed.
    fn channels(
        self,
        weight: &[Dim],
        groups: i64,
        transposed: bool,
    ) -> Result<(i64, i64), CheckError> {
        let (first, second) = (self.fixed(0, &weight[0])?, self.fixed(1, &weight[1])?);
        if first % groups != 0 {
            return Err(self.shape(ShapeProblem::Channels {
                input: "weight",
                found: first.to_string(),
                expected: format!("a multiple of {groups} groups"),
            }));
        }
        let grouped = second.saturating_mul(groups);
        Ok(if transposed {
            (first, grouped)
        } else {
            (grouped, first)
        })
    }

    fn instance_normalization(self, inputs: &[&Shape]) -> Result<Shape, CheckError> {
        let x = inputs[0];
        if x.0.len() < 3 {
            return Err(self.rank("input", x, "at least 3".into()));
        }
        let channels = self.fixed(1, &x.0[1])?;
        self.vector("scale", inputs[1], channels)?;
        self.vector("bias", inputs[2], channels)?;
        if let Some(epsilon) = self.find("epsilon").and_then(|attribute| attribute.f)
            && !(epsilon.is_finite() && epsilon > 0.)
        {
            let problem = AttributeProblem::Range {
                found: epsilon.to_string(),
                expected: "a positive number",
            };
            return Err(self.attribute("epsilon", problem));
        }
        Ok(x.clone())
    }

    /// Sum with axes of size 1 repeated, missing leading axes included.
    fn broadcast(self, left: &Shape, right: &Shape) -> Result<Shape, CheckError> {
        let rank = left.0.len().max(right.0.len());
        let one = Dim::Fixed(1);
        let aligned = |shape: &Shape, axis: usize| {
            (axis + shape.0.len())
                .checked_sub(rank)
                .map_or(one.clone(), |index| shape.0[index].clone())
        };
        let dims = (0..rank).map(|axis| match (aligned(left, axis), aligned(right, axis)) {
            (a, b) if a == b => Ok(a),
            (a, b) if b == one => Ok(a),
            (a, b) if a == one => Ok(b),
            _ => Err(self.shape(ShapeProblem::Broadcast {
                left: left.to_string(),
                right: right.to_string(),
            })),
        });
        dims.collect::<Result<_, _>>().map(Shape)
    }

    fn find(&self, attribute: &str) -> Option<&AttributeProto> {
        self.node
            .attribute
            .iter()
            .find(|found| found.name.as_deref() == Some(attribute))
    }

    fn ints(&self, attribute: &str) -> Option<&[i64]> {
        self.find(attribute).map(|found| found.ints.as_slice())
    }

    /// Values of an attribute of this length, each at least `least`; absent: `default`.
    fn sizes(
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
        if let Some(found) = values.iter().find(|value| **value < least) {
            let expected = if least == 0 {
                "at least 0"
            } else {
                "at least 1"
            };
            let problem = AttributeProblem::Range {
                found: found.to_string(),
                expected,
            };
            return Err(self.attribute(attribute, problem));
        }
        Ok(values.to_vec())
    }

    fn group(self) -> Result<i64, CheckError> {
        let group = self
            .find("group")
            .and_then(|attribute| attribute.i)
            .unwrap_or(1);
        if group < 1 {
            let problem = AttributeProblem::Range {
                found: group.to_string(),
                expected: "at least 1",
            };
            return Err(self.attribute("group", problem));
        }
        Ok(group)
    }

    fn fixed(self, axis: usize, dim: &Dim) -> Result<i64, CheckError> {
        match dim {
            Dim::Fixed(size) => Ok(*size),
            Dim::Free(_) => Err(self.shape(ShapeProblem::Free { axis })),
        }
    }

    fn same_channels(
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

    fn vector(self, input: &'static str, shape: &Shape, channels: i64) -> Result<(), CheckError> {
        match shape.0.as_slice() {
            [dim] => self.same_channels(input, dim, channels),
            _ => Err(self.rank(input, shape, "1".into())),
        }
    }

    fn rank(self, input: &'static str, shape: &Shape, expected: String) -> CheckError {
        self.shape(ShapeProblem::Rank {
            input,
            found: shape.0.len(),
            expected,
        })
    }

    fn shape(self, problem: ShapeProblem) -> CheckError {
        CheckError::Shape {
            node: self.name.into(),
            problem,
        }
    }

    fn attribute(self, attribute: &str, problem: AttributeProblem) -> CheckError {
        CheckError::Attribute {
            node: self.name.into(),
            attribute: attribute.into(),
            problem,
        }
    }
}
