//! Uploads patches to a device.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor, TensorData};

use crate::precision::Precision;

/// Uploads patches to a device, in the precision of the network's computation.
///
/// **Shapes**: `[N, C, X, Y, Z]`, row-major.
pub(crate) fn patches<B: Backend>(
    values: Vec<f32>,
    shape: [usize; 5],
    precision: Precision,
    device: &B::Device,
) -> Tensor<B, 5> {
    // Uploaded as a flat tensor, because backends may pad the rows of other tensors.
    let count = values.len();
    let images = Tensor::<B, 1>::from_data(TensorData::new(values, [count]), device);
    let images = images.reshape(shape);
    match precision {
        Precision::Single => images,
        Precision::Mixed => images.cast(FloatDType::F16),
    }
}
