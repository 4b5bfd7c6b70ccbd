//! Linear resizing of volumes.

use burn::tensor::Tensor;

use crate::differentiable_ops::DifferentiableOps;
use crate::float_tensors::{primitive, tensor};

/// Resizes a volume by linear interpolation along each axis, the first and last voxels of which stay where they are.
///
/// **Shapes**: `[N, X, Y, Z, C]` → `[N, space, C]`.
///
/// **Definition**: each axis is multiplied with its [`resizing_matrix`].
///
/// **Source**: PyTorch `interpolate(mode="trilinear", align_corners=True)`.
pub fn resize_linear<B: DifferentiableOps>(x: Tensor<B, 5>, space: [usize; 3]) -> Tensor<B, 5> {
    tensor(B::layer_resize_linear(primitive(x), space))
}

/// The matrix that resizes an axis linearly.
///
/// **Shapes**: `[to, from]` in C order.
///
/// **Definition**: output `j` is at `j (from - 1) / (to - 1)`, at 0 if `to` is 1; the two voxels around share it by their
/// distance.
pub fn resizing_matrix(from: usize, to: usize) -> Vec<f32> {
    let mut values = vec![0.; from * to];
    for output in 0..to {
        let place = output as f64 * (from - 1) as f64 / (to - 1).max(1) as f64;
        let low = (place.floor() as usize).min(from - 1);
        let share = place - low as f64;
        values[output * from + low] += (1. - share) as f32;
        values[output * from + (low + 1).min(from - 1)] += share as f32;
    }
    values
}
