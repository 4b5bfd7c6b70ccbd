//! Why a configuration or the weights of a network are refused.

use thiserror::Error;

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ConfigError {
    /// A count is zero.
    #[error("network field `{field}` is 0, expected at least 1")]
    Zero { field: &'static str },
    /// No levels, or too many for any real volume.
    #[error("network field `blocks_down` has {found} levels, expected 1 to {max}")]
    Levels { found: usize, max: usize },
    /// A count is beyond its limit.
    #[error("network field `{field}` is {found}, expected at most {max}")]
    TooLarge {
        field: &'static str,
        found: usize,
        max: usize,
    },
    /// A count that does not divide.
    #[error("network field `{field}` is {found}, expected a multiple of {factor}")]
    Multiple {
        field: &'static str,
        found: usize,
        factor: usize,
    },
    /// A resolution that is not positive and finite.
    #[error("network field `resolution` is {found:?} mm, expected positive finite numbers")]
    Resolution { found: [f64; 3] },
}

/// Why a network cannot process windows of a size.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum WindowSizeError {
    /// The window does not fit the network's strides.
    #[error("the window has {found} voxels on axis {axis}, expected a multiple of {factor}")]
    Multiple {
        /// Axis, from 0.
        axis: usize,
        /// Voxels of the window.
        found: usize,
        /// The required divisor.
        factor: usize,
    },
    /// A normalization would have a single voxel.
    #[error(
        "a window of {found:?} voxels leaves one voxel on the network's deepest level, expected at least 2"
    )]
    OneVoxel {
        /// Voxels of the window.
        found: [usize; 3],
    },
}

/// Why a network cannot be inferred from the shapes of its tensors, or differs from its description.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ArchitectureError {
    /// A tensor that every network of the family has.
    #[error("there is no tensor `{tensor}`, expected the weights of a {family}")]
    Missing {
        tensor: String,
        family: &'static str,
    },
    /// A convolution without five axes.
    #[error(
        "tensor `{tensor}` has shape {found:?}, expected 5 axes of at least 1: a 3-D convolution"
    )]
    NoConvolution { tensor: String, found: Vec<usize> },
    /// A level without twice the filters of the one before.
    #[error(
        "tensor `{tensor}` has {found:?} filters, expected {expected} of each: twice those of the level before"
    )]
    Filters {
        tensor: String,
        /// Filters out and in.
        found: [usize; 2],
        expected: usize,
    },
    /// Kernels that no spacing explains.
    #[error(
        "the kernels {found:?} by level follow from no spacing, expected 1 or 3 per axis, growing with the level"
    )]
    Kernels {
        /// Kernels of each level, finest first.
        found: Vec<[usize; 3]>,
    },
    /// Kernels of a network that should see planes.
    #[error("the kernels {found:?} by level are not those of planes, expected 3, 3 and 1 on all")]
    PlanarKernels {
        /// Kernels of each level, finest first.
        found: Vec<[usize; 3]>,
    },
    /// A tensor of another shape than the others imply.
    #[error("tensor `{tensor}` has shape {found:?}, expected {expected:?} as the others imply")]
    Shape {
        tensor: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    /// Numbers of channels that no network of the family has.
    #[error("tensor `{tensor}` has {found} features, which no {family} has")]
    Features {
        tensor: String,
        found: usize,
        family: &'static str,
    },
    /// The description contradicts the tensors.
    #[error("the network's description has {field} {described}, its weights have {found}")]
    Contradiction {
        field: &'static str,
        described: String,
        found: String,
    },
}
