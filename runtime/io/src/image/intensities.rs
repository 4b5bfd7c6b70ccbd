//! Statistics of a file's values, without holding the voxels.

use rayon::prelude::*;

use crate::image::decode;
use crate::image::error::ImageError;
use crate::image::format::OpenedImage;
use crate::image::read::{ReadLimits, source};

/// Bytes that are read at once, about.
const READ_BYTES: usize = 4 << 20;

/// Voxels that a thread decodes at once.
const DECODED: usize = 1 << 14;

/// Statistics of the scaled values of a file, over all frames.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Intensities {
    /// Least finite value; `None` where none is finite.
    pub min: Option<f32>,
    /// Greatest finite value.
    pub max: Option<f32>,
    /// Voxels that are NaN or infinite.
    pub non_finite: u64,
}

impl Intensities {
    fn of(values: &[f32]) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        Self {
            min: finite().reduce(f32::min),
            max: finite().reduce(f32::max),
            non_finite: values.iter().filter(|value| !value.is_finite()).count() as u64,
        }
    }

    fn and(self, other: Self) -> Self {
        let either = |a: Option<f32>, b: Option<f32>, of: fn(f32, f32) -> f32| match (a, b) {
            (Some(a), Some(b)) => Some(of(a, b)),
            (a, b) => a.or(b),
        };
        Self {
            min: either(self.min, other.min, f32::min),
            max: either(self.max, other.max, f32::max),
            non_finite: self.non_finite + other.non_finite,
        }
    }
}

/// Scans the voxels of any dimensions, with a few megabytes in memory.
///
/// **Errors**: voxels that are absent, incomplete, damaged, or more than `limits` allow.
pub(crate) fn intensities(
    opened: OpenedImage,
    limits: &ReadLimits,
) -> Result<Intensities, ImageError> {
    let (header, voxels) = source(opened, limits)?;
    let decode = decode::intensities(&header);
    let voxel_bytes = header.data_type.bytes();
    let mut stored = voxels.stream;
    let at_once = READ_BYTES / voxel_bytes;
    let mut raw = Vec::new();
    let mut left = header.voxels();
    let mut found = Intensities::default();
    while left > 0 {
        let voxels = usize::try_from(left).map_or(at_once, |left| left.min(at_once));
        raw.resize(voxels * voxel_bytes, 0);
        stored.fill(&mut raw)?;
        stored.check_rest()?;
        let here = raw
            .par_chunks(DECODED * voxel_bytes)
            .map_init(
                || vec![0.0; DECODED],
                |values, raw| {
                    let values = &mut values[..raw.len() / voxel_bytes];
                    decode(raw, values);
                    Intensities::of(values)
                },
            )
            .reduce(Intensities::default, Intensities::and);
        found = found.and(here);
        left -= voxels as u64;
    }
    stored.finish()?;
    Ok(found)
}
