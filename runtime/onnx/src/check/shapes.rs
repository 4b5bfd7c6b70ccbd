//! Shape inference.

use std::fmt;

use super::error::{AttributeProblem, CheckError, ShapeProblem};
use crate::operators::{Operator, Rule};
use crate::proto::{AttributeProto, DataType, NodeProto, TensorProto};

/// Largest size of an axis: products of three of them can be counted.
pub(super) const MAX_SIZE: i64 = 1 << 20;

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

/// Shape of a node's output; of inputs that are left out, there is nothing.
pub(super) fn infer(
    name: &str,
    operator: &'static Operator,
    node: &NodeProto,
    inputs: &[Option<Input<'_>>],
) -> Result<Shape, CheckError> {
    let node = Node { name, node };
    let shape = |index: usize| {
        inputs
            .get(index)
            .copied()
            .flatten()
            .map(|input| input.shape)
    };
    let needed = |index: usize, what| shape(index).ok_or_else(|| node.input(what, "one"));
    let x = needed(0, "first input")?;
    let further = (1..inputs.len()).filter_map(shape);
    match operator.shape {
        Rule::Same => Ok(x.clone()),
        Rule::Limited => node.limited(x, further),
        Rule::Normalization => node.normalization(
            x,
            [needed(1, "scale")?]
                .into_iter()
                .chain((2..inputs.len()).filter_map(shape)),
        ),
        Rule::Convolution => node.convolution(x, needed(1, "weights")?, shape(2), false),
        Rule::Transposed => node.convolution(x, needed(1, "weights")?, shape(2), true),
        Rule::Broadcast => node.broadcast(x, needed(1, "second input")?),
        Rule::Repeated => node.repeated(x, needed(1, "second input")?),
        Rule::Concatenation => node.concatenation(x, further),
        Rule::Pooling => node.pooling(x),
        Rule::GlobalPooling => node.global_pooling(x),
        Rule::Resize => node.resize(x, inputs),
        Rule::Permutation => node.permutation(x),
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
    fn convolution(
        self,
        x: &Shape,
        weight: &Shape,
        bias: Option<&Shape>,
        transposed: bool,
    ) -> Result<Shape, CheckError> {
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
        if let Some(bias) = bias {
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
            output.push(self.present(axis + 2, found)?);
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

    /// The second input is repeated to the shape of the first.
    fn repeated(self, x: &Shape, slope: &Shape) -> Result<Shape, CheckError> {
        let shape = self.broadcast(x, slope)?;
        if shape == *x {
            return Ok(shape);
        }
        Err(self.shape(ShapeProblem::Broadcast {
            left: x.to_string(),
            right: slope.to_string(),
        }))
    }

    /// Shapes that are the same but for one axis, along which they are put together.
    fn concatenation<'a>(
        self,
        x: &Shape,
        further: impl Iterator<Item = &'a Shape>,
    ) -> Result<Shape, CheckError> {
        let rank = x.0.len() as i64;
        let found = self.find("axis").and_then(|attribute| attribute.i);
        let axis = found.map(|axis| if axis < 0 { axis + rank } else { axis });
        let Some(axis) = axis.filter(|axis| (0..rank).contains(axis)) else {
            let found = found.map_or("missing".into(), |axis| axis.to_string());
            return Err(self.range("axis", found, "one of the input's axes"));
        };
        let axis = axis as usize;
        let mut shape = x.clone();
        let mut size = self.fixed(axis, &x.0[axis])?;
        for other in further {
            let mut same = other.clone();
            if let Some(dim) = same.0.get_mut(axis) {
                size = size.saturating_add(self.fixed(axis, dim)?);
                *dim = x.0[axis].clone();
            }
            if same != *x {
                return Err(self.shape(ShapeProblem::Concatenation {
                    left: x.to_string(),
                    right: other.to_string(),
                    axis,
                }));
            }
        }
        shape.0[axis] = Dim::Fixed(size);
        Ok(shape)
    }

    /// A window that moves.
    ///
    /// **Definition**: that of a convolution; with `ceil_mode` rounded up, less a window that would begin behind the input.
    fn pooling(self, x: &Shape) -> Result<Shape, CheckError> {
        if x.0.len() < 3 {
            return Err(self.rank("input", x, "at least 3".into()));
        }
        let axes = x.0.len() - 2;
        if self.find("kernel_shape").is_none() {
            return Err(self.range("kernel_shape", "missing", "as many sizes as axes of space"));
        }
        let kernel = self.sizes("kernel_shape", axes, 1, 1)?;
        let strides = self.sizes("strides", axes, 1, 1)?;
        let dilations = self.sizes("dilations", axes, 1, 1)?;
        let pads = self.sizes("pads", 2 * axes, 0, 0)?;
        let up = self.find("ceil_mode").and_then(|attribute| attribute.i) == Some(1);
        let mut output = x.0[..2].to_vec();
        for axis in 0..axes {
            let size = self.fixed(axis + 2, &x.0[axis + 2])?;
            let (before, after) = (pads[axis], pads[axis + axes]);
            let extent = dilations[axis]
                .saturating_mul(kernel[axis] - 1)
                .saturating_add(1);
            if before >= extent || after >= extent {
                return Err(self.range("pads", before.max(after), "less than the window"));
            }
            let room = size
                .saturating_add(before)
                .saturating_add(after)
                .saturating_sub(extent);
            let stride = strides[axis];
            let mut found = if room < 0 { room } else { room / stride + 1 };
            if up && room > 0 && room % stride != 0 {
                // The last window begins in the input or in what is padded before it.
                let begins_inside = found.saturating_mul(stride) < size.saturating_add(before);
                found += i64::from(begins_inside);
            }
            output.push(self.present(axis + 2, found)?);
        }
        Ok(Shape(output))
    }

    fn global_pooling(self, x: &Shape) -> Result<Shape, CheckError> {
        if x.0.len() < 3 {
            return Err(self.rank("input", x, "at least 3".into()));
        }
        let mut shape = x.clone();
        shape.0[2..].fill(Dim::Fixed(1));
        Ok(shape)
    }

    /// Sizes times constant factors, rounded down, or constant sizes; the batch stays as it is.
    fn resize(self, x: &Shape, inputs: &[Option<Input<'_>>]) -> Result<Shape, CheckError> {
        let constant = |index: usize| {
            let input = inputs.get(index).copied().flatten();
            // Where it is left out, some write a constant without elements.
            input.filter(|input| input.shape.0 != [Dim::Fixed(0)])
        };
        let values = match (constant(2), constant(3)) {
            (Some(factors), None) => {
                let values = factors.constant.and_then(floats);
                values.ok_or_else(|| self.input("constant factors", "32-bit floats"))?
            }
            (None, Some(sizes)) => {
                let values = sizes.constant.and_then(integers);
                let values =
                    values.ok_or_else(|| self.input("constant sizes", "64-bit integers"))?;
                return self.resized(x, &values, |_, to| Some(to));
            }
            _ => return Err(self.input("factors or sizes", "one of both")),
        };
        self.resized(x, &values, |size, factor| {
            let to = (size as f64 * f64::from(factor)).floor();
            (factor.is_finite() && to <= MAX_SIZE as f64).then_some(to as i64)
        })
    }

    fn resized<T: Copy + PartialEq>(
        self,
        x: &Shape,
        values: &[T],
        to: impl Fn(i64, T) -> Option<i64>,
    ) -> Result<Shape, CheckError> {
        if values.len() != x.0.len() {
            return Err(self.rank("input", x, values.len().to_string()));
        }
        let dims =
            x.0.iter()
                .zip(values)
                .enumerate()
                .map(|(axis, (dim, &value))| match dim {
                    // A factor of 1 is one by which any size stays.
                    Dim::Free(_) if to(3, value) == Some(3) && to(5, value) == Some(5) => {
                        Ok(dim.clone())
                    }
                    Dim::Free(_) => Err(self.shape(ShapeProblem::Free { axis })),
                    Dim::Fixed(size) => {
                        let found = to(*size, value).filter(|to| *to <= MAX_SIZE);
                        self.present(axis, found.unwrap_or(-1))
                    }
                });
        dims.collect::<Result<_, _>>().map(Shape)
    }

    fn permutation(self, x: &Shape) -> Result<Shape, CheckError> {
        let rank = x.0.len();
        let order: Vec<usize> = match self.ints("perm") {
            Some(order) => order
                .iter()
                .filter_map(|&axis| axis.try_into().ok())
                .collect(),
            None => (0..rank).rev().collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            let found = format!("{:?}", self.ints("perm").unwrap_or_default());
            return Err(self.range("perm", found, "every axis of the input once"));
        }
        Ok(Shape(order.iter().map(|&axis| x.0[axis].clone()).collect()))
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
            return Err(self.range(attribute, found, &format!("at least {least}")));
        }
        Ok(values.to_vec())
    }

    fn group(self) -> Result<i64, CheckError> {
        let group = self
            .find("group")
            .and_then(|attribute| attribute.i)
            .unwrap_or(1);
        if group < 1 {
            return Err(self.range("group", group, "at least 1"));
        }
        Ok(group)
    }

    /// A size of an output, if something is left of it and it is none that could not be counted.
    fn present(self, axis: usize, found: i64) -> Result<Dim, CheckError> {
        if (1..=MAX_SIZE).contains(&found) {
            Ok(Dim::Fixed(found))
        } else {
            Err(self.shape(ShapeProblem::Vanishes { axis, found }))
        }
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

    fn input(self, what: &'static str, expected: &'static str) -> CheckError {
        CheckError::Input {
            node: self.name.into(),
            what,
            expected,
        }
    }

    fn range(self, attribute: &str, found: impl fmt::Display, expected: &str) -> CheckError {
        let problem = AttributeProblem::Range {
            found: found.to_string(),
            expected: expected.into(),
        };
        self.attribute(attribute, problem)
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

/// Elements of a constant of 32-bit floats.
fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    (tensor.data_type == Some(DataType::Float as i32)).then_some(())?;
    Some(match &tensor.raw_data {
        Some(raw) => {
            let (values, _) = raw.as_chunks();
            values
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect()
        }
        None => tensor.float_data.clone(),
    })
}

/// Elements of a constant of 64-bit integers.
fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    (tensor.data_type == Some(DataType::Int64 as i32)).then_some(())?;
    Some(match &tensor.raw_data {
        Some(raw) => {
            let (values, _) = raw.as_chunks();
            values
                .iter()
                .map(|&bytes| i64::from_le_bytes(bytes))
                .collect()
        }
        None => tensor.int64_data.clone(),
    })
}
