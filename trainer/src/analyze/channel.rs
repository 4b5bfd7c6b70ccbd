//! Measurement of the voxels of one channel.

use ndarray::ArrayView3;
use sha2::{Digest as _, Sha256};
use vesal_volume::crop::{VoxelBox, channel_foreground_box};

use super::error::CaseAnalysisError;
use super::histogram::{Bins, EvenHistogram, Histogram};
use super::labels::LabelIndex;
use super::statistics::describe;
use super::stats::IntensityStats;

/// SHA-256 over shape and values.
pub(super) type Digest = [u8; 32];

/// Bytes that are hashed at once.
const HASHED_AT_ONCE: usize = 1 << 16;

pub(super) struct ChannelStats {
    /// Bounding box of the voxels above 0; the whole grid where there are none.
    pub foreground: VoxelBox,
    /// Intensities within the box.
    pub intensity: IntensityStats,
    /// Intensities under any label but 0; `None` without labels.
    pub under_labels: Option<IntensityStats>,
    /// Intensities under each label that occurs, in order.
    pub by_label: Vec<IntensityStats>,
    /// Histogram of all voxels in the requested bins.
    pub histogram: Option<Histogram>,
    /// Histogram for plots: intensities under any label, or within the box where there is no label.
    pub plot: EvenHistogram,
    pub digest: Digest,
}

/// Measures a channel; `scratch` is a buffer for reuse.
pub(super) fn measure(
    file: &str,
    voxels: ArrayView3<'_, f32>,
    labels: Option<(ArrayView3<'_, u16>, &LabelIndex)>,
    histogram: Option<Bins>,
    scratch: &mut Vec<f32>,
) -> Result<ChannelStats, CaseAnalysisError> {
    check(file, voxels)?;
    let foreground =
        channel_foreground_box(voxels, 0.0).unwrap_or(VoxelBox::whole(voxels.dim().into()));
    let VoxelBox { start, end } = foreground;
    let inside = voxels.slice(ndarray::s![
        start[0]..end[0],
        start[1]..end[1],
        start[2]..end[2]
    ]);
    scratch.clear();
    scratch.extend(inside);
    // A box holds at least one voxel: a channel without voxels is constant.
    let Some(intensity) = describe(scratch) else {
        return Err(constant(file, f32::NAN));
    };
    let ends = |stats: &IntensityStats| [stats.percentile_00_5, stats.percentile_99_5];
    let mut plot = EvenHistogram::of(scratch, ends(&intensity));
    let (mut under_labels, mut by_label) = (None, Vec::new());
    if let Some((map, index)) = labels {
        index.group(voxels, map, scratch);
        let mut rest = scratch.as_mut_slice();
        for label in index.labels() {
            let (of_label, others) = rest.split_at_mut(index.count(label));
            by_label.extend(describe(of_label));
            rest = others;
        }
        let any = &mut scratch[index.count(0)..];
        under_labels = describe(any);
        if let Some(stats) = &under_labels {
            plot = EvenHistogram::of(any, ends(stats));
        }
    }
    Ok(ChannelStats {
        foreground,
        intensity,
        under_labels,
        by_label,
        histogram: histogram.map(|bins| bins.count(voxels.iter().copied())),
        plot,
        digest: digest(voxels, f32::to_le_bytes),
    })
}

fn check(file: &str, voxels: ArrayView3<'_, f32>) -> Result<(), CaseAnalysisError> {
    let (mut low, mut high, mut finite) = (f32::INFINITY, f32::NEG_INFINITY, true);
    for &value in voxels {
        finite &= value.is_finite();
        low = low.min(value);
        high = high.max(value);
    }
    if !finite {
        let mut bad = voxels
            .indexed_iter()
            .filter(|(_, value)| !value.is_finite());
        let at = bad.next().map_or([0; 3], |(at, _)| at.into());
        return Err(CaseAnalysisError::NonFinite {
            file: file.to_owned(),
            voxels: 1 + bad.count(),
            at,
        });
    }
    if low < high {
        Ok(())
    } else {
        Err(constant(file, low))
    }
}

fn constant(file: &str, value: f32) -> CaseAnalysisError {
    CaseAnalysisError::Constant {
        file: file.to_owned(),
        value,
    }
}

/// Digest of a label map.
pub(super) fn digest_labels(map: ArrayView3<'_, u16>) -> Digest {
    digest(map, u16::to_le_bytes)
}

fn digest<T: Copy, const N: usize>(
    voxels: ArrayView3<'_, T>,
    to_bytes: impl Fn(T) -> [u8; N],
) -> Digest {
    let mut hasher = Sha256::new();
    let (x, y, z) = voxels.dim();
    for side in [x, y, z] {
        hasher.update((side as u64).to_le_bytes());
    }
    let mut bytes = Vec::with_capacity(HASHED_AT_ONCE);
    for &value in voxels {
        bytes.extend(to_bytes(value));
        if bytes.len() + N > HASHED_AT_ONCE {
            hasher.update(&bytes);
            bytes.clear();
        }
    }
    hasher.update(&bytes);
    hasher.finalize().into()
}
