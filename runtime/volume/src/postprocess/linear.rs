//! A network's last linear map, applied after blending.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

/// Voxels whose features and sums stay in the cache together.
const BLOCK: usize = 1024;

/// Maps the features of every voxel of a plane to logits.
///
/// Blending is linear and its weights sum to one: blending features and then mapping them equals blending logits, in
/// the memory of the features.
///
/// **Shapes**: features `[F, Y, Z]`, weight `[K, F]`, bias `[K]` → `[K, Y, Z]`.
///
/// **Definition**: `logits[k] = bias[k] + Σ_f weight[k, f] features[f]`, summed in this order in `f32`.
///
/// ```
/// use ndarray::array;
/// use vesal_volume::postprocess::map_features;
///
/// let features = array![[[1.0f32, 2.0]], [[10.0, 20.0]]];
/// let logits = map_features(features.view(), &[1.0, 0.0, 0.0, 2.0, -1.0, 1.0], &[0.0, 0.5, 3.0]);
/// assert_eq!(logits, array![[[1.0, 2.0]], [[20.5, 40.5]], [[12.0, 21.0]]]);
/// ```
pub fn map_features(features: ArrayView3<'_, f32>, weight: &[f32], bias: &[f32]) -> Array3<f32> {
    let (count, y, z) = features.dim();
    let voxels = y * z;
    let features = features.as_standard_layout();
    let features = features.as_slice().unwrap_or_default();
    let mut logits = Array3::zeros((bias.len(), y, z));
    if let Some(logits) = logits.as_slice_mut()
        && voxels > 0
        && weight.len() == count * bias.len()
    {
        logits
            .par_chunks_exact_mut(voxels)
            .zip(bias)
            .enumerate()
            .for_each(|(class, (logits, &bias))| {
                let weight = &weight[class * count..(class + 1) * count];
                for (block, logits) in logits.chunks_mut(BLOCK).enumerate() {
                    logits.fill(bias);
                    for (feature, &weight) in weight.iter().enumerate() {
                        let first = feature * voxels + block * BLOCK;
                        let features = &features[first..first + logits.len()];
                        for (logit, feature) in logits.iter_mut().zip(features) {
                            *logit += weight * feature;
                        }
                    }
                }
            });
    }
    logits
}
