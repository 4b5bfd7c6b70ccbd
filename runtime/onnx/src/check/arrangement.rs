//! Shapes of what is put together, repeated, scaled or turned.

use super::error::{CheckError, ShapeProblem};
use super::shapes::{Dim, Input, MAX_SIZE, Node, Shape};
use crate::proto::{DataType, TensorProto};

/// An axis counted from the first; negative ones are counted from behind the last.
fn from_first(axis: i64, rank: i64) -> i64 {
    if axis < 0 {
        axis.saturating_add(rank)
    } else {
        axis
    }
}

impl Node<'_> {
    /// Sum with axes of size 1 repeated, missing leading axes included.
    pub(super) fn broadcast(self, left: &Shape, right: &Shape) -> Result<Shape, CheckError> {
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

    /// The second input is repeated to the shape of the first.
    pub(super) fn repeated(self, x: &Shape, slope: &Shape) -> Result<Shape, CheckError> {
        let shape = self.broadcast(x, slope)?;
        if shape == *x {
            return Ok(shape);
        }
        Err(self.shape(ShapeProblem::Broadcast {
            left: x.to_string(),
            right: slope.to_string(),
        }))
    }

    /// Works along one axis of the input, the last one if none is stated, and not along that of the batch, whose volumes have
    /// nothing to do with each other.
    pub(super) fn along(self, x: &Shape) -> Result<Shape, CheckError> {
        let rank = x.0.len() as i64;
        let found = self.find("axis").and_then(|attribute| attribute.i);
        let found = found.unwrap_or(-1);
        if (1..rank).contains(&from_first(found, rank)) {
            return Ok(x.clone());
        }
        Err(self.range("axis", found, "one of the input's axes behind the first"))
    }

    /// Shapes that are the same but for one axis, along which they are put together.
    pub(super) fn concatenation<'a>(
        self,
        x: &Shape,
        further: impl Iterator<Item = &'a Shape>,
    ) -> Result<Shape, CheckError> {
        let rank = x.0.len() as i64;
        let found = self.find("axis").and_then(|attribute| attribute.i);
        let axis = found.map(|axis| from_first(axis, rank));
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

    /// Sizes times constant factors, rounded down, or constant sizes; the batch stays as it is.
    pub(super) fn resize(
        self,
        x: &Shape,
        inputs: &[Option<Input<'_>>],
    ) -> Result<Shape, CheckError> {
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
                return self.resized(x, &values, |_| false, |_, to| Some(to));
            }
            _ => return Err(self.input("factors or sizes", "one of both")),
        };
        let stays = |factor| factor == 1.;
        self.resized(x, &values, stays, |size, factor| {
            let to = (size as f64 * f64::from(factor)).floor();
            (factor.is_finite() && to <= MAX_SIZE as f64).then_some(to as i64)
        })
    }

    /// Sizes by one value for each axis; a free one only where the value leaves any size as it is.
    fn resized<T: Copy>(
        self,
        x: &Shape,
        values: &[T],
        stays: impl Fn(T) -> bool,
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
                    Dim::Free(_) if stays(value) => Ok(dim.clone()),
                    Dim::Free(_) => Err(self.shape(ShapeProblem::Free { axis })),
                    Dim::Fixed(size) => {
                        let found = to(*size, value).filter(|to| *to <= MAX_SIZE);
                        self.present(axis, found.unwrap_or(-1))
                    }
                });
        dims.collect::<Result<_, _>>().map(Shape)
    }

    pub(super) fn permutation(self, x: &Shape) -> Result<Shape, CheckError> {
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
