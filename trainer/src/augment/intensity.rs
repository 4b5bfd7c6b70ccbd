//! Random changes of intensity.

use ndarray::Array4;

use crate::rng::Rng;

/// Replaces each value by `scale value + shift`.
pub fn scale_and_shift(image: &mut Array4<f32>, scale: f32, shift: f32) {
    if (scale, shift) != (1.0, 0.0) {
        image.mapv_inplace(|value| scale * value + shift);
    }
}

/// Adds independent Gaussian noise of this standard deviation to every value.
pub fn add_noise(image: &mut Array4<f32>, deviation: f32, rng: &mut Rng) {
    let mut spare = None;
    image.mapv_inplace(|value| {
        let normal = spare.take().unwrap_or_else(|| {
            let [now, later] = rng.normal_pair();
            spare = Some(later);
            now
        });
        value + deviation * normal as f32
    });
}

/// Maps intensities piecewise linearly: evenly spaced points of their range are moved to `shares` of the range.
///
/// **Definition**: with `n` ascending shares from 0 to 1, intensity `low + (high - low) k / (n - 1)` becomes `low +
/// (high - low) shares[k]`; `low` and `high` are the extremes over all channels. A constant image is unchanged.
///
/// **Source**: MONAI 1.6.1 `RandHistogramShift`.
pub fn shift_histogram(image: &mut Array4<f32>, shares: &[f32]) {
    let (low, high) = range(image);
    let last = shares.len().saturating_sub(1);
    if last == 0 || low >= high {
        return;
    }
    let (width, steps) = (high - low, last as f32);
    image.mapv_inplace(|value| {
        let position = (value - low) / width * steps;
        let first = (position as usize).min(last - 1);
        let [from, to] = [shares[first], shares[first + 1]];
        low + width * (from + (to - from) * (position - first as f32))
    });
}

/// Draws the shares of [`shift_histogram`]: each inner one uniformly between the previous share and the even position
/// of the next point.
pub fn histogram_shares(points: usize, rng: &mut Rng) -> Vec<f32> {
    let last = points.saturating_sub(1).max(1);
    let mut shares: Vec<f64> = (0..=last).map(|k| k as f64 / last as f64).collect();
    for k in 1..last {
        shares[k] = rng.uniform(shares[k - 1], shares[k + 1]);
    }
    shares.into_iter().map(|share| share as f32).collect()
}

/// Options of [`adjust_contrast`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contrast {
    /// Applies the change to the negative of the image, and negates the result.
    pub invert: bool,
    /// Restores mean and standard deviation of the image.
    pub retain_stats: bool,
}

/// Raises intensities, as shares of their range, to the power `gamma`.
///
/// **Definition**: `((x - low) / (range + 1e-7))^gamma · range + low`; range, mean and standard deviation (of a sample)
/// are taken over all channels.
///
/// **Source**: MONAI 1.6.1 `AdjustContrast`.
pub fn adjust_contrast(image: &mut Array4<f32>, gamma: f32, contrast: Contrast) {
    let sign = if contrast.invert { -1.0 } else { 1.0 };
    image.mapv_inplace(|value| sign * value);
    let before = contrast.retain_stats.then(|| mean_and_deviation(image));
    let (low, high) = range(image);
    let width = high - low;
    let inverse = 1.0 / (width + 1e-7);
    // Rounding could make the base negative, whose power is NaN.
    image.mapv_inplace(|value| ((value - low) * inverse).max(0.0).powf(gamma) * width + low);
    let (factor, from, to) = match before {
        Some((mean, deviation)) => {
            let (own_mean, own_deviation) = mean_and_deviation(image);
            (deviation / (own_deviation + 1e-8), own_mean, mean)
        }
        None => (1.0, 0.0, 0.0),
    };
    image.mapv_inplace(|value| sign * ((value - from) * factor + to));
}

/// Multiplies the differences of intensities from their mean over all channels by `scale`.
///
/// **Source**: MONAI 1.6.1 `ScaleIntensityFixedMean` with the factor `scale - 1`.
pub fn scale_around_mean(image: &mut Array4<f32>, scale: f32) {
    let (mean, _) = mean_and_deviation(image);
    image.mapv_inplace(|value| (value - mean) * scale + mean);
}

fn range(image: &Array4<f32>) -> (f32, f32) {
    image.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
        (low.min(value), high.max(value))
    })
}

/// Mean and standard deviation of a sample; the deviation of a single value is 0.
fn mean_and_deviation(image: &Array4<f32>) -> (f32, f32) {
    let count = image.len().max(1) as f64;
    let mean = image.fold(0.0, |sum, &value| sum + f64::from(value)) / count;
    let squares = image.fold(0.0, |sum, &value| sum + (f64::from(value) - mean).powi(2));
    let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
    (mean as f32, deviation as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_deviation_and_keeps_the_mean() {
        let mut image = Array4::from_elem((1, 20, 30, 31), 5.0);
        add_noise(&mut image, 0.1, &mut Rng::new(&[1]));
        let mean = image.mean().unwrap();
        let variance = image.mapv(|value| (value - mean).powi(2)).mean().unwrap();
        assert!(
            (mean - 5.0).abs() < 0.005 && (variance.sqrt() - 0.1).abs() < 0.005,
            "{mean} {variance}"
        );
    }

    #[test]
    fn scales_before_it_shifts() {
        let mut image = Array4::from_elem((1, 1, 1, 2), 2.0);
        scale_and_shift(&mut image, 1.5, -0.5);
        assert_eq!(image, Array4::from_elem((1, 1, 1, 2), 2.5));
    }

    #[test]
    fn a_constant_image_stays_whatever_is_done_to_its_contrast() {
        let constant = Array4::from_elem((2, 2, 2, 2), 3.0);
        let mut image = constant.clone();
        shift_histogram(&mut image, &[0.0, 0.9, 1.0]);
        scale_around_mean(&mut image, 1.3);
        for (invert, retain_stats) in [(false, false), (true, false), (false, true), (true, true)] {
            let contrast = Contrast {
                invert,
                retain_stats,
            };
            adjust_contrast(&mut image, 0.7, contrast);
        }
        assert_eq!(image, constant);
    }

    #[test]
    fn shares_of_a_histogram_ascend_from_0_to_1() {
        for seed in 0..20 {
            let shares = histogram_shares(16, &mut Rng::new(&[seed]));
            assert_eq!((shares.len(), shares[0], shares[15]), (16, 0.0, 1.0));
            assert!(
                shares.windows(2).all(|pair| pair[0] <= pair[1]),
                "{shares:?}"
            );
        }
    }
}
