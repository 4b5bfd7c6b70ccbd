//! Random changes within planes.

use crate::algorithms::segresnet::augmentation::{
    AugmentationLimits, ROTATION, SMOOTHING, augment_within,
};
use crate::augment::random::{
    maybe_add_noise, maybe_factor, maybe_flip, maybe_offset, maybe_smooth, maybe_turn, maybe_warp,
};
use crate::augment::{Patch, scale_and_shift};
use crate::rng::Rng;
use crate::settings::AugmentMode;
use crate::train_plan::TrainPlan;

const PLANAR: AugmentationLimits = AugmentationLimits {
    rotation: [0.0, 0.0, ROTATION],
    scaling: [0.2, 0.2, 0.0],
    smoothed: [true, true, false],
};

/// Changes a patch at random within its planes.
///
/// **Definition**: by `default`, each with its own probability, in this order: affine (0.2), rotating about the last axis
/// by up to 0.26 rad and scaling the others by 0.8 to 1.2; Gaussian smoothing within planes (0.2) with a standard
/// deviation of 0.5 to 1 voxels per axis; mirroring of each axis of `augment_flips` (0.5); intensities times 0.7 to 1.3
/// (0.5), plus -0.1 to 0.1 (0.5), plus Gaussian noise (0.2) of a deviation of 0 to 0.1; rotations as in segresnet. The
/// other modes are those of segresnet within planes.
///
/// **Source**: Auto3DSeg segresnet2d, `DataTransformBuilder2D.get_augment_transforms`; the other modes are defined here.
pub fn augment(patch: &mut Patch, plan: &TrainPlan, rng: &mut Rng) {
    if plan.augment_mode != AugmentMode::Default {
        return augment_within(patch, plan, PLANAR, rng);
    }
    maybe_warp(patch, 0.2, PLANAR.rotation, PLANAR.scaling, rng);
    maybe_smooth(patch, 0.2, PLANAR.smoothed, SMOOTHING, rng);
    maybe_flip(patch, 0.5, &plan.augment_flips, rng);
    let scale = maybe_factor(0.5, 0.3, rng);
    let shift = maybe_offset(0.5, 0.1, rng);
    scale_and_shift(&mut patch.image, scale as f32, shift as f32);
    maybe_add_noise(patch, 0.2, 0.1, rng);
    maybe_turn(patch, 0.5, &plan.augment_rots, rng);
}
