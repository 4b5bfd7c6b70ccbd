//! Random changes to training patches: Auto3DSeg's default set for segresnet.

mod affine;
mod intensity;
mod smooth;

pub use affine::warp;
pub use intensity::{add_noise, scale_and_shift};
pub use smooth::smooth;

use ndarray::{Array3, Array4, Axis};

use crate::rng::Rng;

/// A training sample: a piece of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Preprocessed intensities, `[C, X, Y, Z]`.
    pub image: Array4<f32>,
    /// Class indices, `[X, Y, Z]`.
    pub classes: Array3<u16>,
}

/// Largest rotation about each axis in radians.
const ROTATION: f64 = 0.26;
/// Largest deviation of the scale of each axis from 1.
const SCALE: f64 = 0.2;

/// Applies each change with its probability.
///
/// **Definition**, in this order: affine (0.2) rotating each axis by up to 0.26 rad and scaling it by 0.8 to 1.2,
/// trilinear for intensities and nearest for classes, the border repeated; Gaussian smoothing (0.2) with a standard
/// deviation of 0.5 to 1 voxels per axis; intensities times 0.7 to 1.3 (0.5), plus -0.1 to 0.1 (0.5), plus Gaussian
/// noise (0.2) of a deviation of 0 to 0.1; a flip of each axis (0.5).
///
/// **Source**: Auto3DSeg segresnet, `augment_mode: default` with `augment_flips`.
pub fn augment(patch: &mut Patch, rng: &mut Rng) {
    if rng.chance(0.2) {
        let angles = std::array::from_fn(|_| rng.uniform(-ROTATION, ROTATION));
        let scales = std::array::from_fn(|_| 1.0 + rng.uniform(-SCALE, SCALE));
        warp(patch, angles, scales);
    }
    if rng.chance(0.2) {
        smooth(
            &mut patch.image,
            std::array::from_fn(|_| rng.uniform(0.5, 1.0)),
        );
    }
    let scale = if rng.chance(0.5) {
        1.0 + rng.uniform(-0.3, 0.3)
    } else {
        1.0
    };
    let shift = if rng.chance(0.5) {
        rng.uniform(-0.1, 0.1)
    } else {
        0.0
    };
    scale_and_shift(&mut patch.image, scale as f32, shift as f32);
    if rng.chance(0.2) {
        let deviation = rng.uniform(0.0, 0.1);
        add_noise(&mut patch.image, deviation as f32, rng);
    }
    for axis in 0..3 {
        if rng.chance(0.5) {
            flip(patch, axis);
        }
    }
}

/// Reverses a spatial axis.
///
/// The arrays' memory stays as it is: only their strides change.
pub fn flip(patch: &mut Patch, axis: usize) {
    patch.image.invert_axis(Axis(axis + 1));
    patch.classes.invert_axis(Axis(axis));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch() -> Patch {
        Patch {
            image: Array4::from_shape_fn((2, 5, 4, 3), |(c, x, y, z)| {
                (c * 1000 + x * 100 + y * 10 + z) as f32
            }),
            classes: Array3::from_shape_fn((5, 4, 3), |(x, y, z)| (x * 100 + y * 10 + z) as u16),
        }
    }

    #[test]
    fn a_flip_moves_image_and_classes_alike_and_undoes_itself() {
        for axis in 0..3 {
            let mut flipped = patch();
            flip(&mut flipped, axis);
            assert_ne!(flipped, patch());
            let first = flipped
                .image
                .index_axis(Axis(0), 0)
                .mapv(|value| value as u16);
            assert_eq!(first, flipped.classes);
            flip(&mut flipped, axis);
            assert_eq!(flipped, patch());
        }
    }

    #[test]
    fn the_same_random_numbers_give_the_same_patch_and_shape() {
        let augmented = |seed: u64| {
            let mut patch = patch();
            augment(&mut patch, &mut Rng::new(&[seed]));
            patch
        };
        let mut distinct = 0;
        for seed in 0..50 {
            let patch = augmented(seed);
            assert_eq!(
                (patch.image.dim(), patch.classes.dim()),
                ((2, 5, 4, 3), (5, 4, 3))
            );
            assert_eq!(patch, augmented(seed));
            assert!(patch.image.iter().all(|value| value.is_finite()));
            distinct += usize::from(patch != augmented(seed + 1));
        }
        assert!(distinct > 40, "{distinct}");
    }
}
