//! Conversion of the backend's tensors from and to slices.

use burn::tensor::{Bytes, DType, Shape, TensorMetadata};
use burn_flex::{FlexTensor, Layout};

/// Whether all tensors are `f32`, which these kernels require.
pub fn single<'a>(tensors: impl IntoIterator<Item = &'a FlexTensor>) -> bool {
    tensors
        .into_iter()
        .all(|tensor| tensor.dtype() == DType::F32)
}

/// Whether a tensor has no values.
pub fn empty(tensor: &FlexTensor) -> bool {
    tensor.shape().num_elements() == 0
}

pub fn shape<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.shape().dims()
}

/// A row-major tensor of the values.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(Shape::from(shape)),
        DType::F32,
    )
}

/// A row-major tensor of the values in the shape of another.
pub fn like(values: Vec<f32>, other: &FlexTensor) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(other.shape()),
        DType::F32,
    )
}

pub fn zeros(count: usize) -> Vec<f32> {
    vec![0.0; count]
}
