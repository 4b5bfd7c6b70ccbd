//! Tensors of a forward pass with any memory order of axes.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, FloatDType, Tensor, TensorMetadata, TensorPrimitive};

use super::shape::Shape;

/// Memory order of volumes: `[N, X, Y, Z, C]`, the order of the kernels.
pub(super) const CHANNELS_LAST: [usize; 5] = [0, 2, 3, 4, 1];

/// A tensor and its logical shape. A transpose changes only the order of the axes, nothing is moved.
#[derive(Debug, Clone)]
pub struct EagerValue<B: Backend> {
    pub(super) tensor: FloatTensor<B>,
    pub(super) shape: Shape,
    /// The logical axis of each axis of the tensor. The batch is the first in both.
    pub(super) order: Vec<usize>,
}

impl<B: Backend> EagerValue<B> {
    /// A volume.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]`.
    pub fn volume(tensor: Tensor<B, 5>) -> Self {
        let [_, c, x, y, z] = tensor.dims();
        let shape = Shape::batched([1, c, x, y, z]);
        Self::channels_last(tensor.permute(CHANNELS_LAST), shape)
    }

    /// A volume from a tensor in the order that kernels compute on.
    ///
    /// **Shapes**: `[N, X, Y, Z, C]`.
    pub(super) fn channels_last(tensor: Tensor<B, 5>, shape: Shape) -> Self {
        Self {
            tensor: primitive(tensor),
            shape,
            order: CHANNELS_LAST.to_vec(),
        }
    }

    /// A tensor whose memory order is its logical order.
    pub(super) fn in_order(tensor: FloatTensor<B>, shape: Shape) -> Self {
        Self {
            order: (0..shape.rank()).collect(),
            tensor,
            shape,
        }
    }

    /// The tensor of a volume in the order that kernels compute on.
    ///
    /// **Shapes**: `[N, X, Y, Z, C]`.
    pub fn into_channels_last(self) -> Tensor<B, 5> {
        self.shape.volume();
        tensor(self.arranged(&CHANNELS_LAST).tensor)
    }

    /// The tensor in logical order.
    pub fn into_tensor<const D: usize>(self) -> Tensor<B, D> {
        tensor(self.ordered().tensor)
    }

    /// The same value in logical memory order: a view where the order differs.
    pub(super) fn ordered(self) -> Self {
        let order: Vec<usize> = (0..self.shape.rank()).collect();
        self.arranged(&order)
    }

    /// The same value with its axes in memory in this order: a view where they are not.
    pub(super) fn arranged(self, order: &[usize]) -> Self {
        if self.order == order {
            return self;
        }
        let axes: Vec<usize> = order.iter().map(|&axis| self.place(axis)).collect();
        Self {
            tensor: B::float_permute(self.tensor, &axes),
            shape: self.shape,
            order: order.to_vec(),
        }
    }

    /// The same value with its last axis as the last in memory.
    pub(super) fn last_in_place(self) -> Self {
        if self.order.last() == Some(&(self.shape.rank() - 1)) {
            self
        } else {
            self.ordered()
        }
    }

    /// Memory position of an axis.
    pub(super) fn place(&self, axis: usize) -> usize {
        let mut order = self.order.iter();
        order
            .position(|&found| found == axis)
            .expect("an axis of the value")
    }

    /// Cases of the batch; 1 of a constant.
    pub(super) fn cases(&self) -> usize {
        if self.shape.is_batched() {
            self.tensor.shape()[0] / self.shape[0]
        } else {
            1
        }
    }

    /// The same order of axes, with another tensor of this shape.
    pub(super) fn with(&self, tensor: FloatTensor<B>, shape: Shape) -> Self {
        Self {
            tensor,
            shape,
            order: self.order.clone(),
        }
    }

    /// Applies a function to every element.
    pub(super) fn each(self, function: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>) -> Self {
        Self {
            tensor: function(self.tensor),
            ..self
        }
    }

    /// The same value with more leading axes of size 1, in order.
    pub(super) fn with_rank(self, rank: usize) -> Self {
        let missing = rank.saturating_sub(self.shape.rank());
        if missing == 0 {
            return self;
        }
        let ordered = self.ordered();
        let mut sizes = vec![1; missing];
        sizes.extend_from_slice(ordered.shape.sizes());
        let tensor = B::float_reshape(ordered.tensor, sizes.clone().into());
        Self::in_order(tensor, Shape::fixed(sizes))
    }

    /// The same value in another type of floats.
    pub(super) fn cast(self, dtype: DType) -> Self {
        self.each(|tensor| same_type::<B>(tensor, dtype))
    }

    /// Converts a parameter or constant to the type of the other value, or else the second value to that of the first.
    pub(super) fn with_type_of(self, other: Self) -> (Self, Self) {
        let dtype = if self.shape.is_batched() || !other.shape.is_batched() {
            self.tensor.dtype()
        } else {
            other.tensor.dtype()
        };
        (self.cast(dtype), other.cast(dtype))
    }

    /// Combines every element with that of another value, which is broadcast.
    pub(super) fn with_each(
        self,
        other: Self,
        function: impl FnOnce(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
    ) -> Self {
        let shape = self.shape.broadcast(&other.shape);
        let (a, b) = self.with_type_of(other);
        let b = b.with_rank(shape.rank()).arranged(&a.order);
        Self {
            tensor: function(a.tensor, b.tensor),
            shape,
            order: a.order,
        }
    }

    /// Computes in 32-bit floats where 16 bits are too imprecise.
    pub(super) fn in_single(self, function: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>) -> Self {
        let dtype = self.tensor.dtype();
        self.cast(DType::F32).each(function).cast(dtype)
    }
}

pub(super) fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

pub(super) fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

/// The tensor in this type of floats.
pub(super) fn same_type<B: Backend>(tensor: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if tensor.dtype() == dtype {
        return tensor;
    }
    B::float_cast(tensor, FloatDType::from(dtype))
}
