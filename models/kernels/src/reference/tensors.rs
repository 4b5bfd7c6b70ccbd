//! Shapes and types of tensors.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, FloatDType, Tensor, TensorMetadata};

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
