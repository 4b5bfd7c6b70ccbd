//! What networks compute in.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor, TensorData};

/// What a network computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `f32` throughout.
    Single,
    /// Activations in `f16`; weights, statistics and updates in `f32`; the loss scaled.
    Mixed,
}

impl Precision {
    /// Brings patches to a device.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]`, row-major.
    pub fn upload<B: Backend>(
        self,
        values: Vec<f32>,
        shape: [usize; 5],
        device: &B::Device,
    ) -> Tensor<B, 5> {
        // Uploaded flat, because backends may pad the rows of other tensors.
        let count = values.len();
        let images = Tensor::<B, 1>::from_data(TensorData::new(values, [count]), device);
        let images = images.reshape(shape);
        match self {
            Self::Single => images,
            Self::Mixed => images.cast(FloatDType::F16),
        }
    }
}
