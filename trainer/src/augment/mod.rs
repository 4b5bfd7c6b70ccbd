//! Random changes to training patches: Auto3DSeg's sets for segresnet.

mod affine;
mod intensity;
mod patch;
mod smooth;
mod turn;

pub use affine::warp;
pub use intensity::{
    Contrast, add_noise, adjust_contrast, histogram_shares, scale_and_shift, scale_around_mean,
    shift_histogram,
};
pub use patch::Patch;
pub use smooth::smooth;
pub use turn::{flip, quarter_turns};

use crate::rng::Rng;
use crate::settings::AugmentMode;
use crate::train_plan::TrainPlan;

/// Largest rotation about an axis in radians.
const ROTATION: f64 = 0.26;
/// Points of a histogram that are shifted.
const HISTOGRAM_POINTS: usize = 16;

/// Changes a patch at random by the set of a plan, then mirrors and turns it.
///
/// **Definition**: each change comes with its own probability, in the order given.
///
/// - `default`: affine (0.2), rotating each axis by up to 0.26 rad and scaling it by 0.8 to 1.2, trilinear for
///   intensities and nearest for classes, the border repeated; Gaussian smoothing (0.2) with a standard deviation of
///   0.5 to 1 voxels per axis; intensities times 0.7 to 1.3 (0.5), plus -0.1 to 0.1 (0.5), plus Gaussian noise (0.2)
///   of a deviation of 0 to 0.1.
/// - `ct_ax_1`: [histogram shift](shift_histogram) (0.5) of 16 points; [contrast](adjust_contrast) (0.2) of gamma 0.5
///   to 3; affine (0.5) about the last axis by up to 0.26 rad, scaling the others by 0.65 to 1.35.
/// - `mri_1`: affine, noise and smoothing (0.2 each) as in `default`; [scale around the mean](scale_around_mean) (0.2)
///   by 0.7 to 1.3; contrast of gamma 0.7 to 1.5 with mean and deviation restored (0.2), and again of the negative
///   (0.2).
/// - `none`: nothing.
///
/// Then each axis of `augment_flips` is mirrored (0.5), and each plane of `augment_rots` turned by 90, 180 or 270
/// degrees (0.5).
///
/// **Source**: Auto3DSeg segresnet, `augment_mode`, `augment_flips`, `augment_rots`.
pub fn augment(patch: &mut Patch, plan: &TrainPlan, rng: &mut Rng) {
    match plan.augment_mode {
        AugmentMode::Default => {
            maybe_warp(patch, 0.2, [true; 3], [0.2; 3], rng);
            maybe_smooth(patch, rng);
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
            maybe_add_noise(patch, rng);
        }
        AugmentMode::None => {}
        AugmentMode::CtAx1 => {
            if rng.chance(0.5) {
                let shares = histogram_shares(HISTOGRAM_POINTS, rng);
                shift_histogram(&mut patch.image, &shares);
            }
            let plain = Contrast {
                invert: false,
                retain_stats: false,
            };
            maybe_adjust_contrast(patch, [0.5, 3.0], plain, rng);
            maybe_warp(patch, 0.5, [false, false, true], [0.35, 0.35, 0.0], rng);
        }
        AugmentMode::Mri1 => {
            maybe_warp(patch, 0.2, [true; 3], [0.2; 3], rng);
            maybe_add_noise(patch, rng);
            maybe_smooth(patch, rng);
            if rng.chance(0.2) {
                let scale = 1.0 + rng.uniform(-0.3, 0.3);
                scale_around_mean(&mut patch.image, scale as f32);
            }
            for invert in [false, true] {
                let contrast = Contrast {
                    invert,
                    retain_stats: true,
                };
                maybe_adjust_contrast(patch, [0.7, 1.5], contrast, rng);
            }
        }
    }
    for &axis in &plan.augment_flips {
        if rng.chance(0.5) {
            flip(patch, axis);
        }
    }
    for &plane in &plan.augment_rots {
        if rng.chance(0.5) {
            quarter_turns(patch, plane, 1 + rng.below(3));
        }
    }
}

/// Rotates about these axes by up to [`ROTATION`] and scales each axis by up to this much more or less than 1.
fn maybe_warp(
    patch: &mut Patch,
    probability: f64,
    rotated: [bool; 3],
    scaled: [f64; 3],
    rng: &mut Rng,
) {
    if rng.chance(probability) {
        let angles = rotated.map(|rotated| match rotated {
            true => rng.uniform(-ROTATION, ROTATION),
            false => 0.0,
        });
        let scales = scaled.map(|most| 1.0 + rng.uniform(-most, most));
        warp(patch, angles, scales);
    }
}

fn maybe_smooth(patch: &mut Patch, rng: &mut Rng) {
    if rng.chance(0.2) {
        let sigma = std::array::from_fn(|_| rng.uniform(0.5, 1.0));
        smooth(&mut patch.image, sigma);
    }
}

fn maybe_add_noise(patch: &mut Patch, rng: &mut Rng) {
    if rng.chance(0.2) {
        let deviation = rng.uniform(0.0, 0.1);
        add_noise(&mut patch.image, deviation as f32, rng);
    }
}

fn maybe_adjust_contrast(
    patch: &mut Patch,
    [low, high]: [f64; 2],
    contrast: Contrast,
    rng: &mut Rng,
) {
    if rng.chance(0.2) {
        let gamma = rng.uniform(low, high);
        adjust_contrast(&mut patch.image, gamma as f32, contrast);
    }
}
