//! Random changes to the patches of DiNTS.

use crate::algorithms::segresnet;
use crate::augment::random::{
    maybe_add_noise, maybe_factor, maybe_flip, maybe_offset, maybe_smooth, maybe_turn, maybe_warp,
    maybe_zoom,
};
use crate::augment::{Patch, scale_and_shift};
use crate::rng::Rng;
use crate::settings::AugmentMode;
use crate::train_plan::TrainPlan;

/// Largest rotation about an axis in radians.
const ROTATION: f64 = 0.3;
/// Bounds of the standard deviation of smoothing in voxels.
const SMOOTHING: [f64; 2] = [0.5, 1.15];

/// Changes a patch at random by the `augment_mode` of a plan.
///
/// **Definition**: by `default`, each with its own probability, in this order: rotation about each axis by up to 0.3 rad
/// (0.2), trilinear for intensities and nearest for classes, the border repeated; [zoom](crate::augment::zoom()) by 0.8 to
/// 1.2 (0.16); Gaussian smoothing (0.15) with a standard deviation of 0.5 to 1.15 voxels per axis; intensities times 0.7 to
/// 1.3 (0.5), plus -0.1 to 0.1 (0.5), plus Gaussian noise (0.15) of a deviation of 0 to 0.01; mirroring of each axis of
/// `augment_flips` (0.5); rotations of `augment_rots` as in segresnet. The other modes are those of segresnet.
///
/// **Source**: Auto3DSeg dints, `transforms_train`; the other modes are defined here.
pub fn augment(patch: &mut Patch, plan: &TrainPlan, rng: &mut Rng) {
    if plan.augment_mode != AugmentMode::Default {
        return segresnet::augmentation::augment(patch, plan, rng);
    }
    maybe_warp(patch, 0.2, [ROTATION; 3], [0.0; 3], rng);
    maybe_zoom(patch, 0.16, 0.2, rng);
    maybe_smooth(patch, 0.15, [true; 3], SMOOTHING, rng);
    let scale = maybe_factor(0.5, 0.3, rng);
    let shift = maybe_offset(0.5, 0.1, rng);
    scale_and_shift(&mut patch.image, scale as f32, shift as f32);
    maybe_add_noise(patch, 0.15, 0.01, rng);
    maybe_flip(patch, 0.5, &plan.augment_flips, rng);
    maybe_turn(patch, 0.5, &plan.augment_rots, rng);
}
