//! Changes that are applied with a probability, by amounts drawn from a range.

use super::affine::warp;
use super::intensity::{
    Contrast, add_noise, adjust_contrast, histogram_shares, scale_around_mean, shift_histogram,
};
use super::patch::Patch;
use super::smooth::smooth;
use super::turn::{flip, quarter_turns};
use super::zoom::zoom;
use crate::rng::Rng;

/// Rotates about each axis by up to `rotation` radians, and scales it by a factor of up to `scaling` more or less than
/// 1.
///
/// No angle is drawn for an axis without rotation.
pub fn maybe_warp(
    patch: &mut Patch,
    probability: f64,
    rotation: [f64; 3],
    scaling: [f64; 3],
    rng: &mut Rng,
) {
    if rng.chance(probability) {
        let angles = rotation.map(|most| match most {
            0.0 => 0.0,
            most => rng.uniform(-most, most),
        });
        let scales = scaling.map(|most| 1.0 + rng.uniform(-most, most));
        warp(patch, angles, scales);
    }
}

/// Zooms all axes by one factor of up to `most` more or less than 1.
pub fn maybe_zoom(patch: &mut Patch, probability: f64, most: f64, rng: &mut Rng) {
    if rng.chance(probability) {
        zoom(patch, 1.0 + rng.uniform(-most, most));
    }
}

/// Smooths these axes with standard deviations within these bounds, in voxels.
pub fn maybe_smooth(
    patch: &mut Patch,
    probability: f64,
    axes: [bool; 3],
    [low, high]: [f64; 2],
    rng: &mut Rng,
) {
    if rng.chance(probability) {
        let sigma = axes.map(|smoothed| match smoothed {
            true => rng.uniform(low, high),
            false => 0.0,
        });
        smooth(&mut patch.image, sigma);
    }
}

/// A factor of up to `most` more or less than 1; 1 where no change is drawn.
pub fn maybe_factor(probability: f64, most: f64, rng: &mut Rng) -> f64 {
    match rng.chance(probability) {
        true => 1.0 + rng.uniform(-most, most),
        false => 1.0,
    }
}

/// An offset between `-most` and `most`; 0 where no change is drawn.
pub fn maybe_offset(probability: f64, most: f64, rng: &mut Rng) -> f64 {
    match rng.chance(probability) {
        true => rng.uniform(-most, most),
        false => 0.0,
    }
}

/// Adds Gaussian noise with a standard deviation between 0 and `most`.
pub fn maybe_add_noise(patch: &mut Patch, probability: f64, most: f64, rng: &mut Rng) {
    if rng.chance(probability) {
        let deviation = rng.uniform(0.0, most);
        add_noise(&mut patch.image, deviation as f32, rng);
    }
}

/// Changes the contrast with a gamma within these bounds.
pub fn maybe_adjust_contrast(
    patch: &mut Patch,
    probability: f64,
    [low, high]: [f64; 2],
    contrast: Contrast,
    rng: &mut Rng,
) {
    if rng.chance(probability) {
        let gamma = rng.uniform(low, high);
        adjust_contrast(&mut patch.image, gamma as f32, contrast);
    }
}

/// Scales intensities around their mean by a factor of up to `most` more or less than 1.
pub fn maybe_scale_around_mean(patch: &mut Patch, probability: f64, most: f64, rng: &mut Rng) {
    if rng.chance(probability) {
        let scale = 1.0 + rng.uniform(-most, most);
        scale_around_mean(&mut patch.image, scale as f32);
    }
}

/// Shifts the histogram at this many points.
pub fn maybe_shift_histogram(patch: &mut Patch, probability: f64, points: usize, rng: &mut Rng) {
    if rng.chance(probability) {
        let shares = histogram_shares(points, rng);
        shift_histogram(&mut patch.image, &shares);
    }
}

/// Mirrors each of these axes independently.
pub fn maybe_flip(patch: &mut Patch, probability: f64, axes: &[usize], rng: &mut Rng) {
    for &axis in axes {
        if rng.chance(probability) {
            flip(patch, axis);
        }
    }
}

/// Rotates each of these planes independently by 90, 180 or 270 degrees.
pub fn maybe_turn(patch: &mut Patch, probability: f64, planes: &[[usize; 2]], rng: &mut Rng) {
    for &plane in planes {
        if rng.chance(probability) {
            quarter_turns(patch, plane, 1 + rng.below(3));
        }
    }
}
