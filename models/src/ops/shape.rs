//! Shapes of values, and shape rules of operations.

use std::fmt;
use std::ops::{Index, Range};

/// Logical shape of a value in a forward pass, the same in every interpreter: volumes are `[N, C, X, Y, Z]`.
///
/// A value of the batch has a first axis of N times a constant, where N is the number of cases: blocks of attention fold
/// windows into it. All other sizes are fixed. Parameters and constants are values without a batch.
///
/// **Panics**: every operation on shapes panics with them where they do not fit; only the author of a network can cause
/// that.
#[derive(Clone, PartialEq, Eq)]
pub struct Shape {
    /// Sizes; of a value of the batch, the first is per case.
    sizes: Vec<usize>,
    batched: bool,
}

impl Shape {
    /// The shape of a value of the batch; the first size is multiplied with the number of cases.
    pub fn batched(sizes: impl Into<Vec<usize>>) -> Self {
        let sizes = sizes.into();
        let first = sizes.first().is_some_and(|&size| size > 0);
        assert!(first, "a value of the batch has a first axis");
        Self {
            sizes,
            batched: true,
        }
    }

    /// The shape of a parameter or constant.
    pub fn fixed(sizes: impl Into<Vec<usize>>) -> Self {
        Self {
            sizes: sizes.into(),
            batched: false,
        }
    }

    /// Whether the first axis is that of the batch.
    pub fn is_batched(&self) -> bool {
        self.batched
    }

    /// Sizes of all axes, the first one of a value of the batch per case.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Sizes of all axes for this many cases.
    pub fn sizes_for(&self, cases: usize) -> Vec<usize> {
        let mut sizes = self.sizes.clone();
        if self.batched {
            sizes[0] *= cases;
        }
        sizes
    }

    pub fn rank(&self) -> usize {
        self.sizes.len()
    }

    /// Size of the last axis.
    pub fn last(&self) -> usize {
        *self.sizes.last().expect("a shape with axes")
    }

    /// Elements, of a value of the batch per case.
    pub fn elements(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Channels and voxels of a volume `[N, C, X, Y, Z]`.
    #[track_caller]
    pub fn volume(&self) -> (usize, [usize; 3]) {
        match *self.sizes.as_slice() {
            [1, channels, x, y, z] if self.batched => (channels, [x, y, z]),
            _ => panic!("expected a volume [N, C, X, Y, Z], found {self}"),
        }
    }

    /// The same with other sizes along an axis.
    #[track_caller]
    fn with(&self, axis: usize, size: usize) -> Self {
        self.check_axis(axis);
        let mut shape = self.clone();
        shape.sizes[axis] = size;
        shape
    }

    /// Checks that there is such an axis and that it is not that of the batch.
    #[track_caller]
    fn check_axis(&self, axis: usize) {
        assert!(axis < self.rank(), "{self} has no axis {axis}");
        assert!(
            !(self.batched && axis == 0),
            "axis 0 of {self} is that of the batch"
        );
    }

    /// Output shape of a reshape to another shape with as many elements.
    #[track_caller]
    pub fn reshaped(&self, to: &Self) -> Self {
        assert!(
            self.batched == to.batched && self.elements() == to.elements(),
            "{self} cannot be reshaped to {to}"
        );
        to.clone()
    }

    /// Output shape of a transpose: axis `i` of the result is axis `axes[i]`. The axis of the batch stays the first.
    #[track_caller]
    pub fn transposed(&self, axes: &[usize]) -> Self {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        assert!(
            sorted.into_iter().eq(0..self.rank()),
            "{axes:?} is not an order of the axes of {self}"
        );
        assert!(
            !self.batched || axes[0] == 0,
            "the axis of the batch of {self} stays the first, found the order {axes:?}"
        );
        Self {
            sizes: axes.iter().map(|&axis| self.sizes[axis]).collect(),
            batched: self.batched,
        }
    }

    /// Output shape of a choice of indices along an axis.
    #[track_caller]
    pub fn gathered(&self, axis: usize, count: usize, largest: Option<usize>) -> Self {
        self.check_axis(axis);
        let beyond = largest.filter(|&index| index >= self.sizes[axis]);
        if let Some(index) = beyond {
            panic!("index {index} is beyond axis {axis} of {self}");
        }
        self.with(axis, count)
    }

    /// For every `step`-th element of a range along an axis.
    #[track_caller]
    pub fn sliced(&self, axis: usize, range: &Range<usize>, step: usize) -> Self {
        self.check_axis(axis);
        assert!(
            range.start < range.end && range.end <= self.sizes[axis] && step > 0,
            "{range:?} in steps of {step} is not part of axis {axis} of {self}"
        );
        self.with(axis, range.len().div_ceil(step))
    }

    /// Output shape of zeros before and after along every axis.
    #[track_caller]
    pub fn padded(&self, widths: &[[usize; 2]]) -> Self {
        assert!(
            widths.len() == self.rank() && !(self.batched && widths[0] != [0, 0]),
            "{widths:?} are not widths of padding of {self}"
        );
        let sizes = self.sizes.iter().zip(widths);
        Self {
            sizes: sizes
                .map(|(size, [before, after])| before + size + after)
                .collect(),
            batched: self.batched,
        }
    }

    /// Output shape of values concatenated along an axis.
    #[track_caller]
    pub fn concatenated<'a>(shapes: impl IntoIterator<Item = &'a Self>, axis: usize) -> Self {
        let mut shapes = shapes.into_iter();
        let first = shapes.next().expect("values to concatenate");
        first.check_axis(axis);
        shapes.fold(first.clone(), |whole, part| {
            let fits = part.rank() == whole.rank() && part.with(axis, whole[axis]) == whole;
            assert!(fits, "{part} cannot follow {whole} along axis {axis}");
            let size = whole[axis] + part[axis];
            whole.with(axis, size)
        })
    }

    /// Output shape of an elementwise operation: `other` is broadcast to this shape, to which it is aligned at the end;
    /// its axes are as long or of size 1.
    #[track_caller]
    pub fn broadcast(&self, other: &Self) -> Self {
        let fits = other.rank() <= self.rank() && {
            let skipped = self.rank() - other.rank();
            let aligned = self.sizes[skipped..].iter().zip(&other.sizes);
            let batch = !other.batched || (self.batched && skipped == 0);
            let first = !self.batched || skipped > 0 || other.batched || other.sizes[0] == 1;
            batch
                && first
                && aligned
                    .clone()
                    .all(|(size, found)| found == size || *found == 1)
        };
        assert!(fits, "{other} cannot be repeated to {self}");
        self.clone()
    }

    /// Output shape of a product of matrices `[.., m, k]` and `[.., k, n]`, of which one is broadcast along leading
    /// axes that it lacks.
    #[track_caller]
    pub fn multiplied(&self, right: &Self) -> Self {
        let fits = self.rank() >= 2
            && right.rank() >= 2
            && self.last() == right[right.rank() - 2]
            && !(right.batched && right.rank() == 2);
        assert!(fits, "{self} cannot be multiplied with {right}");
        let [left, right_leading] = [self, right].map(|shape| Self {
            sizes: shape.sizes[..shape.rank() - 2].to_vec(),
            batched: shape.batched && shape.rank() > 2,
        });
        let mut product = if left.rank() >= right_leading.rank() {
            left.broadcast(&right_leading)
        } else {
            right_leading.broadcast(&left)
        };
        product.sizes.extend([self[self.rank() - 2], right.last()]);
        product.batched |= self.batched;
        product
    }

    /// Output shape of a linear map of the last axis.
    #[track_caller]
    pub fn mapped(&self, [inputs, outputs]: [usize; 2]) -> Self {
        assert!(
            self.rank() >= 2 && self.last() == inputs,
            "a linear map takes [.., {inputs}], found {self}"
        );
        self.with(self.rank() - 1, outputs)
    }

    /// Output shape of a normalization of this many channels along an axis.
    #[track_caller]
    pub fn normalized(&self, axis: usize, channels: usize) -> Self {
        assert!(
            axis < self.rank() && self.sizes[axis] == channels,
            "a normalization takes {channels} channels on axis {axis}, found {self}"
        );
        self.clone()
    }

    /// Output shape of a volume with other channels and voxels.
    #[track_caller]
    pub fn convolved(&self, [inputs, outputs]: [usize; 2], space: [usize; 3]) -> Self {
        let (found, _) = self.volume();
        assert!(
            found == inputs && !space.contains(&0),
            "a convolution of {inputs} channels gives {space:?} voxels of {self}"
        );
        let [x, y, z] = space;
        Self::batched([1, outputs, x, y, z])
    }

    /// Output shape of a volume that is resized.
    #[track_caller]
    pub fn resized(&self, [x, y, z]: [usize; 3]) -> Self {
        let (channels, from) = self.volume();
        assert!(
            [from, [x, y, z]]
                .as_flattened()
                .iter()
                .all(|&side| side > 0),
            "{self} cannot be resized to {x}×{y}×{z} voxels"
        );
        Self::batched([1, channels, x, y, z])
    }
}

impl Index<usize> for Shape {
    type Output = usize;

    fn index(&self, axis: usize) -> &usize {
        &self.sizes[axis]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, size) in self.sizes.iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            match (axis, size) {
                (0, 1) if self.batched => f.write_str("N")?,
                (0, size) if self.batched => write!(f, "{size} N")?,
                (_, size) => write!(f, "{size}")?,
            }
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
