//! Random changes to the patches of SegResNet.

use crate::augment::random::{
    maybe_add_noise, maybe_adjust_contrast, maybe_factor, maybe_flip, maybe_offset,
    maybe_scale_around_mean, maybe_shift_histogram, maybe_smooth, maybe_turn, maybe_warp,
};
use crate::augment::{Contrast, Patch, scale_and_shift};
use crate::rng::Rng;
use crate::settings::AugmentMode;
use crate::train_plan::TrainPlan;

/// Largest rotation about an axis in radians.
pub(crate) const ROTATION: f64 = 0.26;
/// Bounds of the standard deviation of smoothing in voxels.
pub(crate) const SMOOTHING: [f64; 2] = [0.5, 1.0];
/// Control points of a histogram shift.
const HISTOGRAM_POINTS: usize = 16;

/// Changes a patch at random by the `augment_mode` of a plan, then mirrors and rotates it.
///
/// **Definition**: each change has its own probability (in parentheses); the order is that of the list.
///
/// - `default`: affine (0.2), rotating each axis by up to 0.26 rad and scaling it by 0.8 to 1.2, trilinear for
///   intensities and nearest for classes, the border repeated; Gaussian smoothing (0.2) with a standard deviation of
///   0.5 to 1 voxels per axis; intensities times 0.7 to 1.3 (0.5), plus -0.1 to 0.1 (0.5), plus Gaussian noise (0.2)
///   of a deviation of 0 to 0.1.
/// - `ct_ax_1`: [histogram shift](crate::augment::shift_histogram) (0.5) of 16 points;
///   [contrast](crate::augment::adjust_contrast) (0.2) of gamma 0.5 to 3; affine (0.5) about the last axis by up to
///   0.26 rad, scaling the others by 0.65 to 1.35.
/// - `mri_1`: affine, noise and smoothing (0.2 each) as in `default`;
///   [scale around the mean](crate::augment::scale_around_mean) (0.2) by 0.7 to 1.3; contrast of gamma 0.7 to 1.5 with
///   mean and deviation restored (0.2), and again of the negative (0.2).
/// - `none`: nothing.
///
/// Then each axis of `augment_flips` is mirrored (0.5), and each plane of `augment_rots` is rotated by 90, 180 or 270
/// degrees (0.5).
///
/// **Source**: Auto3DSeg segresnet, `augment_mode`, `augment_flips`, `augment_rots`.
pub fn augment(patch: &mut Patch, plan: &TrainPlan, rng: &mut Rng) {
    augment_within(patch, plan, WHOLE, rng);
}

/// Limits of the random changes of the modes `default` and `mri_1`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AugmentationLimits {
    /// Largest rotation about each axis in radians.
    pub(crate) rotation: [f64; 3],
    /// Largest difference from 1 of the factor of each axis.
    pub(crate) scaling: [f64; 3],
    /// Axes along which intensities are smoothed.
    pub(crate) smoothed: [bool; 3],
}

const WHOLE: AugmentationLimits = AugmentationLimits {
    rotation: [ROTATION; 3],
    scaling: [0.2; 3],
    smoothed: [true; 3],
};

/// [`augment`] within these limits.
pub(crate) fn augment_within(
    patch: &mut Patch,
    plan: &TrainPlan,
    limits: AugmentationLimits,
    rng: &mut Rng,
) {
    let AugmentationLimits {
        rotation,
        scaling,
        smoothed,
    } = limits;
    match plan.augment_mode {
        AugmentMode::Default => {
            maybe_warp(patch, 0.2, rotation, scaling, rng);
            maybe_smooth(patch, 0.2, smoothed, SMOOTHING, rng);
            let scale = maybe_factor(0.5, 0.3, rng);
            let shift = maybe_offset(0.5, 0.1, rng);
            scale_and_shift(&mut patch.image, scale as f32, shift as f32);
            maybe_add_noise(patch, 0.2, 0.1, rng);
        }
        AugmentMode::None => {}
        AugmentMode::CtAx1 => {
            maybe_shift_histogram(patch, 0.5, HISTOGRAM_POINTS, rng);
            let plain = Contrast {
                invert: false,
                retain_stats: false,
            };
            maybe_adjust_contrast(patch, 0.2, [0.5, 3.0], plain, rng);
            maybe_warp(patch, 0.5, [0.0, 0.0, ROTATION], [0.35, 0.35, 0.0], rng);
        }
        AugmentMode::Mri1 => {
            maybe_warp(patch, 0.2, rotation, scaling, rng);
            maybe_add_noise(patch, 0.2, 0.1, rng);
            maybe_smooth(patch, 0.2, smoothed, SMOOTHING, rng);
            maybe_scale_around_mean(patch, 0.2, 0.3, rng);
            for invert in [false, true] {
                let contrast = Contrast {
                    invert,
                    retain_stats: true,
                };
                maybe_adjust_contrast(patch, 0.2, [0.7, 1.5], contrast, rng);
            }
        }
    }
    maybe_flip(patch, 0.5, &plan.augment_flips, rng);
    maybe_turn(patch, 0.5, &plan.augment_rots, rng);
}
