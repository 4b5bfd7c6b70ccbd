//! Blending weights of the voxels of a window.

use ndarray::Array3;

use super::Blend;

/// Smallest weight of a Gaussian map, so that every voxel of a window contributes.
const MIN_WEIGHT: f32 = 1e-3;

/// Computes the blending weight of every voxel of a window.
///
/// **Shapes and units**: `size` is `[X, Y, Z]` in voxels; weights are in (0, 1] and not normalized.
///
/// **Definition**: constant, 1 everywhere. Gaussian, the product over axes of `exp(-d² / (2 s²))` with `d` the
/// distance in voxels from the window's center and `s = sigma_scale * size`, raised to at least
/// `max(min(map), 0.001)`.
///
/// **Source**: MONAI 1.6.1 `compute_importance_map`, in `f32` as there.
pub fn importance_map(size: [usize; 3], blend: Blend) -> Array3<f32> {
    let Blend::Gaussian { sigma_scale } = blend else {
        return Array3::ones(size);
    };
    let [x, y, z] = size.map(|length| gaussian(length, sigma_scale));
    let mut map = Array3::from_shape_fn(size, |(i, j, k)| x[i] * y[j] * z[k]);
    let floor = map
        .iter()
        .copied()
        .fold(f32::INFINITY, f32::min)
        .max(MIN_WEIGHT);
    map.mapv_inplace(|weight| weight.max(floor));
    map
}

/// A Gaussian of height 1 at the center of `length` samples.
fn gaussian(length: usize, sigma_scale: f64) -> Vec<f32> {
    let sigma = sigma_scale * length as f64;
    // With a tiny sigma, 0 / 0 at the center must not become NaN.
    let divisor = ((2.0 * sigma * sigma) as f32).max(f32::MIN_POSITIVE);
    let center = (length as f64 - 1.0) / 2.0;
    (0..length)
        .map(|index| {
            let distance = (index as f64 - center) as f32;
            (-(distance * distance) / divisor).exp()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(length: usize, sigma_scale: f64) -> Vec<f32> {
        importance_map([length, 1, 1], Blend::Gaussian { sigma_scale })
            .iter()
            .copied()
            .collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn matches_the_reference_along_one_axis() {
        assert_close(&line(3, 0.125), &[0.0285655, 1.0, 0.0285655]);
        assert_close(
            &line(4, 0.125),
            &[0.011_108_996, 0.606_530_67, 0.606_530_67, 0.011_108_996],
        );
        assert_close(
            &line(5, 0.125),
            &[0.005_976_024, 0.278_037_3, 1.0, 0.278_037_3, 0.005_976_024],
        );
        assert_close(
            &line(8, 0.125)[..4],
            &[0.002_187_491, 0.043_936_934, 0.324_652_46, 0.882_496_9],
        );
        assert_close(&line(3, 1.0), &[0.945_959_45, 1.0, 0.945_959_45]);
    }

    #[test]
    fn raises_small_weights_to_one_thousandth() {
        let map = importance_map([4, 6, 1], Blend::Gaussian { sigma_scale: 0.125 });
        let row = |i: usize| {
            map.index_axis(ndarray::Axis(0), i)
                .iter()
                .copied()
                .collect::<Vec<_>>()
        };
        assert_close(&row(0)[..3], &[0.001, 0.0015034, 0.0088954]);
        assert_close(&row(1)[..3], &[0.0023448, 0.082085, 0.4856718]);
        assert_eq!(row(0), row(3));
    }

    #[test]
    fn a_large_window_has_the_reference_share_at_the_floor() {
        let map = importance_map([96; 3], Blend::Gaussian { sigma_scale: 0.125 });
        let floor =
            map.iter().filter(|&&weight| weight == MIN_WEIGHT).count() as f64 / map.len() as f64;
        assert!((floor - 0.5797).abs() < 1e-4, "{floor}");
        let max = map.iter().copied().fold(0.0, f32::max);
        assert!((max - 0.997_399_3).abs() < 1e-6, "{max}");
        assert!(map.iter().all(|&weight| weight <= max), "a weight is NaN");
    }

    #[test]
    fn stays_positive_and_finite_for_extreme_widths() {
        for sigma_scale in [1e-300, 1e-20, 1e30, 1e300] {
            let map = importance_map([5, 4, 1], Blend::Gaussian { sigma_scale });
            assert!(
                map.iter()
                    .all(|weight| *weight >= MIN_WEIGHT && *weight <= 1.0),
                "{sigma_scale}: {map}"
            );
        }
    }

    #[test]
    fn constant_weighs_one() {
        assert_eq!(
            importance_map([2, 3, 4], Blend::Constant),
            Array3::ones([2, 3, 4])
        );
    }
}
