//! Regions as masks.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor};

/// Masks of 0 and 1 per region, from bits: `[N, X, Y, Z]` → `[N, voxels, R]`.
pub(super) fn region_masks<B: Backend>(bits: Tensor<B, 4, Int>, shape: [usize; 3]) -> Tensor<B, 3> {
    let [n, voxels, count] = shape;
    let device = bits.device();
    let weights: Vec<f32> = (0..count).map(|region| (1u32 << region) as f32).collect();
    let weights = Tensor::<B, 1>::from_floats(weights.as_slice(), &device);
    let bits = bits
        .float()
        .cast(FloatDType::F32)
        .reshape([n, voxels, 1])
        .expand(shape);
    let shifted = (bits
        / weights
            .cast(FloatDType::F32)
            .reshape([1, 1, count])
            .expand(shape))
    .floor();
    shifted.clone() - shifted.div_scalar(2.0).floor().mul_scalar(2.0)
}
