//! Tensors and their primitives.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, FloatDType, Tensor, TensorMetadata, TensorPrimitive};

pub fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

pub fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

/// Activations as those of a single case: `[N, X, Y, Z, C]` → `[1, N X, Y, Z, C]`.
pub fn join_cases<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [n, sx, sy, sz, c] = x.shape().dims();
    B::float_reshape(x, [1, n * sx, sy, sz, c].into())
}

/// The tensor in `f32`.
pub fn single<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    same_type(tensor, DType::F32)
}

/// The tensor in a float type.
pub fn same_type<B: Backend, const D: usize>(tensor: Tensor<B, D>, dtype: DType) -> Tensor<B, D> {
    if tensor.dtype() == dtype {
        return tensor;
    }
    tensor.cast(FloatDType::from(dtype))
}
