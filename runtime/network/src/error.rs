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
    /// Weights of a network that is none of the known ones.
    #[error(
        "the weights, such as `{}`, are those of no known network, expected a {}",
        found.chars().take(80).collect::<String>().escape_debug(),
        families.join(", ")
    )]
    Unknown {
        /// The first tensor.
        found: String,
        families: &'static [&'static str],
    },
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
    /// More channels than a network may have.
    #[error("the weights have {found:?} channels of input, output and stem, expected 1 to {max}")]
    Channels { found: Vec<usize>, max: usize },
    /// A cell whose convolution is none of the search space.
    #[error(
        "tensor `{tensor}` has a kernel of {found:?} voxels, expected [3, 3, 3], or 1 along one axis"
    )]
    CellKernel { tensor: String, found: [usize; 3] },
    /// Cells without tensors that no architecture known here explains.
    #[error(
        "the weights do not tell the architecture of the {family}: it is not that of Auto3DSeg's template, and cells \
         that pass their input on have no weights"
    )]
    Untold { family: &'static str },
    /// Normalizations without scale and shift, which would be another network.
    #[error(
        "there is no tensor `{tensor}`: the {family} has normalizations without weights, expected those of Auto3DSeg's template"
    )]
    PlainNorms {
        tensor: &'static str,
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

impl ArchitectureError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Untold { .. } => Some(
                "state the architecture that the search wrote: the matrices `node_a`, `code_a` and `code_c` of its \
                 `search_code_*.pt` as JSON, see docs/importing.md",
            ),
            Self::Unknown { .. } => Some(
                "other networks (SegResNet, UNet, UNETR, DynUNet, ...) and encoders without a decoder are not imported: train one of these with `vesal-train`",
            ),
            Self::Missing { .. } => Some(
                "the weights are those of a part of the network, such as a pretrained encoder, or of a variant that is not imported",
            ),
            Self::PlanarKernels { .. } => Some(
                "if the network is one of three dimensions, save its weights by names that do not begin with `net.`",
            ),
            Self::PlainNorms { .. } => Some(
                "train it with the norm of Auto3DSeg's template, `norm_name=(\"INSTANCE\", {\"affine\": True})`",
            ),
            _ => None,
        }
    }
}
