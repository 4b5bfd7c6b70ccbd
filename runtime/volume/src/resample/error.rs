//! Why a volume cannot be resampled.

use crate::geometry::GeometryError;

/// Most voxels of a grid that resampling makes: 2³¹, or 8 GiB per channel.
pub const MAX_VOXELS: usize = 1 << 31;

/// Why a volume cannot be resampled.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ResampleError {
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A target spacing is not a positive length.
    #[error("target spacing of axis {axis} is {found} mm, expected a positive number")]
    Spacing {
        /// Axis, from 0.
        axis: usize,
        /// Spacing found in mm.
        found: f64,
    },
    /// The range of spacings to keep is not a range around the target.
    #[error(
        "factors of the target spacing to keep are {found:?}, expected [low, high] with 0 <= low <= 1 <= high"
    )]
    Keep { found: [f64; 2] },
    /// A grid has no voxels.
    #[error("grid has shape {shape:?}, expected at least one voxel along each axis")]
    Empty { shape: [usize; 3] },
    #[error("resampled grid would have shape {shape:?}, expected at most {MAX_VOXELS} voxels")]
    TooLarge {
        /// Shape of the output.
        shape: [usize; 3],
    },
}
