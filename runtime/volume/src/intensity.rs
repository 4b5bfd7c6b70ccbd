//! Intensity normalization and its inverse.

use ndarray::{Array4, ArrayView3, ArrayViewMut3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::exponential::{exp, exp_f64};

/// Intensity normalization of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Normalization {
    /// `sigmoid(2 (x - low) / (high - low) - 1)`, unclipped: CT.
    SigmoidRange {
        /// Maps to sigmoid(-1).
        low: f32,
        /// Maps to sigmoid(1).
        high: f32,
    },
    /// `(x - low) / (high - low)`, clipped to 0 and 1: CT.
    ClippedRange {
        /// Maps to 0, like everything below it.
        low: f32,
        /// Maps to 1, like everything above it.
        high: f32,
    },
    /// Zero mean and unit population deviation over the voxels that are not zero; zeros stay zero: MR.
    ZScoreNonzero,
    /// The same, then `3 tanh(z / 3)`: MR with bright outliers.
    ZScoreNonzeroTanh,
    /// `sigmoid((x - min) / deviation)` with the sample deviation over all voxels: PET.
    SigmoidDeviation,
    /// Intensities as they are.
    Identity,
}

/// Why intensities cannot be normalized.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum IntensityError {
    /// The number of normalizations is not the number of channels.
    #[error("normalization is given for {expected} channels, found {found} in the volume")]
    ChannelCount {
        /// Channels of the volume.
        found: usize,
        expected: usize,
    },
    /// A range is empty or not finite.
    #[error(
        "intensity range of channel {channel} is [{low}, {high}], expected finite numbers with low < high"
    )]
    Range {
        /// Channel, from 0.
        channel: usize,
        low: f32,
        /// Upper end of the intensities found.
        high: f32,
    },
}

/// A normalization with the statistics that it measured, from which it can be inverted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AppliedNormalization {
    /// `sigmoid(2 (x - low) / (high - low) - 1)`.
    SigmoidRange {
        /// Maps to sigmoid(-1).
        low: f32,
        /// Maps to sigmoid(1).
        high: f32,
    },
    /// `(x - low) / (high - low)`, clipped to 0 and 1.
    ClippedRange {
        /// Maps to 0.
        low: f32,
        /// Maps to 1.
        high: f32,
    },
    /// `(x - mean) / deviation` where x is not zero.
    ZScoreNonzero {
        /// Mean of the voxels that were not zero.
        mean: f64,
        /// Their population standard deviation, or 1 where that is 0.
        deviation: f64,
    },
    /// `3 tanh(z / 3)` of that z-score where x is not zero.
    ZScoreNonzeroTanh {
        /// Mean of the voxels that were not zero.
        mean: f64,
        /// Their population standard deviation, or 1 where that is 0.
        deviation: f64,
    },
    /// `sigmoid((x - min) / deviation)`.
    SigmoidDeviation {
        min: f32,
        /// Sample standard deviation, or 1 where that is 0.
        deviation: f64,
    },
    Identity,
}

/// Where `3 tanh(z / 3)` levels off.
const TANH_SCALE: f32 = 3.0;

impl AppliedNormalization {
    /// Turns normalized values back into intensities.
    ///
    /// **Definition**: sigmoid values are taken back by the logit and tanh by its inverse, so their limits become
    /// infinite; what was clipped becomes the limit of the range that it had exceeded. Zeros of a z-score stay zero; a voxel that equaled the mean became zero and stays zero as well.
    pub fn invert(&self, channel: ArrayViewMut3<'_, f32>) {
        match *self {
            Self::SigmoidRange { low, high } => {
                map(channel, |p| {
                    ((p / (1.0 - p)).ln() + 1.0) / 2.0 * (high - low) + low
                });
            }
            Self::ClippedRange { low, high } => map(channel, |x| x * (high - low) + low),
            Self::ZScoreNonzero { mean, deviation } => {
                let (mean, deviation) = (mean as f32, deviation as f32);
                map(channel, |z| if z == 0.0 { z } else { z * deviation + mean });
            }
            Self::ZScoreNonzeroTanh { mean, deviation } => {
                let (mean, deviation) = (mean as f32, deviation as f32);
                map(channel, |t| match t {
                    0.0 => t,
                    _ => TANH_SCALE * (t / TANH_SCALE).atanh() * deviation + mean,
                });
            }
            Self::SigmoidDeviation { min, deviation } => {
                map(channel, |p| (p / (1.0 - p)).ln() * deviation as f32 + min);
            }
            Self::Identity => {}
        }
    }
}

/// Normalizes every channel in place.
///
/// **Definition**: means and deviations are summed in `f64`. A channel without nonzero voxels stays as it is; where
/// all nonzero voxels are equal, the deviation counts as 1 and they become 0.
///
/// **Errors**: [`IntensityError`] for the wrong number of normalizations or an empty range. The data is then as
/// before.
///
/// **Source**: MONAI 1.6.1 `NormalizeIntensity(nonzero=True, channel_wise=True)` and `ScaleIntensityRange(clip=True)`;
/// Auto3DSeg's SegResNet for the sigmoid of a range, PET and tanh.
pub fn normalize(
    data: &mut Array4<f32>,
    channels: &[Normalization],
) -> Result<Vec<AppliedNormalization>, IntensityError> {
    check_normalizations(channels, data.dim().0)?;
    let pairs = data.outer_iter_mut().zip(channels);
    Ok(pairs
        .map(|(channel, normalization)| normalize_channel(channel, *normalization))
        .collect())
}

/// Checks normalizations for a volume of `found` channels before it is read.
pub(crate) fn check_normalizations(
    channels: &[Normalization],
    found: usize,
) -> Result<(), IntensityError> {
    if found != channels.len() {
        return Err(IntensityError::ChannelCount {
            found,
            expected: channels.len(),
        });
    }
    for (channel, normalization) in channels.iter().enumerate() {
        if let Normalization::SigmoidRange { low, high } | Normalization::ClippedRange { low, high } =
            *normalization
            && !(low < high && (high - low).is_finite())
        {
            return Err(IntensityError::Range { channel, low, high });
        }
    }
    Ok(())
}

fn normalize_channel(
    channel: ArrayViewMut3<'_, f32>,
    normalization: Normalization,
) -> AppliedNormalization {
    match normalization {
        Normalization::SigmoidRange { low, high } => {
            map(channel, |x| sigmoid(2.0 * (x - low) / (high - low) - 1.0));
            AppliedNormalization::SigmoidRange { low, high }
        }
        Normalization::ClippedRange { low, high } => {
            map(channel, |x| ((x - low) / (high - low)).clamp(0.0, 1.0));
            AppliedNormalization::ClippedRange { low, high }
        }
        Normalization::ZScoreNonzero => match nonzero_statistics(channel.view()) {
            None => AppliedNormalization::Identity,
            Some((mean, deviation)) => {
                let (center, scale) = (mean as f32, deviation as f32);
                map(channel, |x| {
                    let score = (x - center) / scale;
                    if x == 0.0 { x } else { score }
                });
                AppliedNormalization::ZScoreNonzero { mean, deviation }
            }
        },
        Normalization::ZScoreNonzeroTanh => match nonzero_statistics(channel.view()) {
            None => AppliedNormalization::Identity,
            Some((mean, deviation)) => {
                let (center, scale) = (mean as f32, deviation as f32);
                map(channel, |x| {
                    let level = TANH_SCALE * tanh((x - center) / scale / TANH_SCALE);
                    if x == 0.0 { x } else { level }
                });
                AppliedNormalization::ZScoreNonzeroTanh { mean, deviation }
            }
        },
        Normalization::SigmoidDeviation => {
            let (min, deviation) = min_and_sample_deviation(channel.view());
            let scale = deviation as f32;
            map(channel, |x| sigmoid((x - min) / scale));
            AppliedNormalization::SigmoidDeviation { min, deviation }
        }
        Normalization::Identity => AppliedNormalization::Identity,
    }
}

/// Smallest intensity and sample deviation of all voxels; a deviation of 0 counts as 1.
fn min_and_sample_deviation(channel: ArrayView3<'_, f32>) -> (f32, f64) {
    let count = channel.len() as f64;
    let mean = sum_where(channel, |_| true, |x| x).1 / count.max(1.0);
    let squares = sum_where(channel, |_| true, |x| (x - mean).powi(2)).1;
    let slabs: Vec<_> = channel.outer_iter().collect();
    let min = slabs
        .into_par_iter()
        .map(|slab| slab.iter().copied().fold(f32::INFINITY, f32::min))
        .reduce(|| f32::INFINITY, f32::min);
    let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
    (min, if deviation > 0.0 { deviation } else { 1.0 })
}

/// Mean and population deviation of the nonzero voxels; `None` where there are none.
fn nonzero_statistics(channel: ArrayView3<'_, f32>) -> Option<(f64, f64)> {
    let nonzero = |x: f32| x != 0.0;
    let (count, sum) = sum_where(channel, nonzero, |x| x);
    if count == 0 {
        return None;
    }
    let mean = sum / count as f64;
    let (_, squares) = sum_where(channel, nonzero, |x| (x - mean).powi(2));
    let deviation = (squares / count as f64).sqrt();
    // The division is in single precision, so a deviation that underflows there counts as zero.
    Some((
        mean,
        if deviation as f32 == 0.0 {
            1.0
        } else {
            deviation
        },
    ))
}

/// Number of slabs that are summed interleaved: additions to one sum are sequential, those to several sums overlap.
const SIDE_BY_SIDE: usize = 4;

/// Counts the voxels that satisfy `counts` and sums a term over them. Slabs are added in order, independently of the
/// threads.
fn sum_where(
    channel: ArrayView3<'_, f32>,
    counts: impl Fn(f32) -> bool + Sync,
    term: impl Fn(f64) -> f64 + Sync,
) -> (u64, f64) {
    let channel = channel.as_standard_layout();
    let voxels = channel.as_slice().unwrap_or_default();
    let per_slab = (channel.dim().1 * channel.dim().2).max(1);
    let add = |(count, sum): &mut (u64, f64), x: f32| {
        let counted = counts(x);
        *count += u64::from(counted);
        *sum += if counted { term(f64::from(x)) } else { 0.0 };
    };
    let parts: Vec<[(u64, f64); SIDE_BY_SIDE]> = voxels
        .par_chunks(SIDE_BY_SIDE * per_slab)
        .map(|slabs| {
            let mut sums = [(0, 0.0); SIDE_BY_SIDE];
            if slabs.len() == SIDE_BY_SIDE * per_slab {
                let (a, b) = slabs.split_at(2 * per_slab);
                let ((a, b), (c, d)) = (a.split_at(per_slab), b.split_at(per_slab));
                for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
                    for (sum, x) in sums.iter_mut().zip([a, b, c, d]) {
                        add(sum, *x);
                    }
                }
            } else {
                for (sum, slab) in sums.iter_mut().zip(slabs.chunks(per_slab)) {
                    slab.iter().for_each(|x| add(sum, *x));
                }
            }
            sums
        })
        .collect();
    let parts = parts.iter().flatten();
    parts.fold((0, 0.0), |(n, sum), (part_n, part_sum)| {
        (n + part_n, sum + part_sum)
    })
}

/// Replaces every voxel by a function of it, slabs in parallel.
fn map(mut channel: ArrayViewMut3<'_, f32>, function: impl Fn(f32) -> f32 + Sync) {
    let slabs: Vec<_> = channel.axis_iter_mut(Axis(0)).collect();
    slabs
        .into_par_iter()
        .for_each(|mut slab| slab.mapv_inplace(&function));
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

fn tanh(x: f32) -> f32 {
    // Beyond 20, the result is 1 in single precision.
    let x = if x > 20.0 { 20.0 } else { x };
    let x = if x < -20.0 { -20.0 } else { x };
    let e = exp_f64(2.0 * f64::from(x));
    ((e - 1.0) / (e + 1.0)) as f32
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn scores_leave_zeros_alone() {
        let mut data = array![[[[0.0_f32, 1.0, 3.0, 0.0]]]];
        let applied = normalize(&mut data, &[Normalization::ZScoreNonzero]).unwrap();
        assert_eq!(data, array![[[[0.0, -1.0, 1.0, 0.0]]]]);
        assert_eq!(
            applied,
            [AppliedNormalization::ZScoreNonzero {
                mean: 2.0,
                deviation: 1.0
            }]
        );
    }

    #[test]
    fn empty_and_constant_channels_stay_finite() {
        let mut data = array![[[[0.0_f32, 0.0]]], [[[7.3, 0.0]]], [[[7.3, 7.3]]]];
        let applied = normalize(&mut data, &[Normalization::ZScoreNonzero; 3]).unwrap();
        assert!(data.iter().all(|x| *x == 0.0));
        assert_eq!(applied[0], AppliedNormalization::Identity);
        assert_eq!(
            applied[2],
            AppliedNormalization::ZScoreNonzero {
                mean: f64::from(7.3_f32),
                deviation: 1.0
            }
        );
    }

    #[test]
    fn ranges_are_not_clipped() {
        let mut data = array![[[[-100.0_f32, 300.0, 1000.0]]]];
        normalize(
            &mut data,
            &[Normalization::SigmoidRange {
                low: -100.0,
                high: 300.0,
            }],
        )
        .unwrap();
        let expected = [0.268_941_43, 0.731_058_6, sigmoid(4.5)];
        assert!(
            data.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
            "{data}"
        );
    }

    #[test]
    fn clipped_ranges_come_back_within_their_limits() {
        let mut data = array![[[[-101.0_f32, -100.0, 0.0, 300.0, 1000.0]]]];
        let (low, high) = (-100.0, 300.0);
        let applied = normalize(&mut data, &[Normalization::ClippedRange { low, high }]).unwrap();
        assert_eq!(data, array![[[[0.0, 0.0, 0.25, 1.0, 1.0]]]]);
        applied[0].invert(data.index_axis_mut(Axis(0), 0));
        assert_eq!(data, array![[[[-100.0, -100.0, 0.0, 300.0, 300.0]]]]);
    }

    #[test]
    fn tanh_levels_off_and_deviations_are_those_of_a_sample() {
        let mut data = array![[[[0.0_f32, 1.0, 3.0, 0.0]]], [[[2.0, 4.0, 6.0, 4.0]]]];
        let channels = [
            Normalization::ZScoreNonzeroTanh,
            Normalization::SigmoidDeviation,
        ];
        let applied = normalize(&mut data, &channels).unwrap();
        let level = 3.0 * (1.0_f32 / 3.0).tanh();
        assert_eq!(
            data.index_axis(Axis(0), 0),
            array![[[0.0, -level, level, 0.0]]]
        );
        let deviation = (8.0_f64 / 3.0).sqrt();
        assert_eq!(
            applied[1],
            AppliedNormalization::SigmoidDeviation {
                min: 2.0,
                deviation
            }
        );
        assert_eq!(data[[1, 0, 0, 0]], 0.5);
        assert!((data[[1, 0, 0, 2]] - sigmoid(4.0 / deviation as f32)).abs() < 1e-6);
    }

    #[test]
    fn normalizations_are_undone() {
        let original =
            Array4::from_shape_fn((5, 2, 3, 4), |(_, x, y, z)| (7 * x + 5 * y + 3 * z) as f32);
        let mut data = original.clone();
        let channels = [
            Normalization::SigmoidRange {
                low: -10.0,
                high: 30.0,
            },
            Normalization::ZScoreNonzero,
            Normalization::Identity,
            Normalization::ZScoreNonzeroTanh,
            Normalization::SigmoidDeviation,
        ];
        let applied = normalize(&mut data, &channels).unwrap();
        for (channel, applied) in data.outer_iter_mut().zip(applied) {
            applied.invert(channel);
        }
        assert!(
            data.iter()
                .zip(&original)
                .all(|(a, b)| (a - b).abs() < 1e-3),
            "{data}"
        );
    }

    #[test]
    fn bad_parameters_are_refused_and_change_nothing() {
        let mut data = Array4::from_elem((2, 1, 1, 1), 5.0_f32);
        let range = Normalization::SigmoidRange {
            low: 1.0,
            high: 1.0,
        };
        let error = normalize(&mut data, &[Normalization::ZScoreNonzero, range]).unwrap_err();
        assert_eq!(
            error,
            IntensityError::Range {
                channel: 1,
                low: 1.0,
                high: 1.0
            }
        );
        let error = normalize(&mut data, &[range]).unwrap_err();
        assert_eq!(
            error,
            IntensityError::ChannelCount {
                found: 2,
                expected: 1
            }
        );
        for (low, high) in [(f32::NAN, 1.0), (0.0, f32::INFINITY), (2.0, 1.0)] {
            for range in [
                Normalization::SigmoidRange { low, high },
                Normalization::ClippedRange { low, high },
            ] {
                assert!(normalize(&mut data, &[range, range]).is_err(), "{range:?}");
            }
        }
        assert!(data.iter().all(|x| *x == 5.0));
    }
}
