//! Why no plan can be made.

use thiserror::Error;
use vesal_bundle::deploy_plan::MAX_WINDOW_SIDE;
use vesal_network::WindowSizeError;

use crate::lower::TooManyIndices;

/// Why no plan can be made from checkpoint and flags.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanningError {
    /// Neither checkpoint nor flags state the window.
    #[error("the checkpoint does not state the window (`roi_size`)")]
    NoWindow,
    /// Neither checkpoint nor flags state the range of intensities.
    #[error(
        "the checkpoint does not state the range of intensities (`intensity_bounds`) that CT is normalized by"
    )]
    NoBounds,
    /// A range for images whose normalization has none.
    #[error("a range of intensities is given, and the images are not normalized by one")]
    UnusedBounds,
    /// A network whose images are always resampled, without a spacing.
    #[error("the spacing is not stated that Auto3DSeg's {template} resamples every image to")]
    NoTemplateSpacing { template: &'static str },
    /// A spacing for images that are not resampled.
    #[error("a spacing is given, and the stated preprocessing does not resample images")]
    UnusedSpacing,
    /// A network whose function its weights do not tell.
    #[error(
        "the weights do not tell how the SwinUNETR merges patches: MONAI before 1.5 merged them in another order than MONAI since, \
         and the same weights compute something else"
    )]
    PatchMerging {
        /// The version of MONAI that the folder states.
        monai_version: Option<String>,
    },
    /// A setting that the family's template does not have.
    #[error("the checkpoint states `{field}`, which Auto3DSeg's {template} does not have")]
    Setting {
        field: &'static str,
        template: &'static str,
    },
    /// Resampling without a spacing.
    #[error(
        "the checkpoint resamples images and does not state the spacing (`resample_resolution`)"
    )]
    NoSpacing,
    /// Resampling within planes.
    #[error(
        "the checkpoint resamples images within their planes only (`resample`), which a bundle cannot express"
    )]
    PlanarSpacing,
    /// A window that the network's strides do not divide.
    #[error("the window is {found:?} voxels, expected multiples of {factor:?}")]
    Window {
        found: [usize; 3],
        /// The required divisor.
        factor: [usize; 3],
    },
    /// A window that is too small for the network.
    #[error(transparent)]
    SmallWindow(WindowSizeError),
    /// A window of which no file of the network can be made.
    #[error(transparent)]
    LargeWindow(TooManyIndices),
    /// The number of names differs from that of classes.
    #[error("{found} labels are named, the network has {expected} {what}")]
    Labels {
        found: usize,
        /// Outputs of the network.
        expected: usize,
        what: &'static str,
    },
    /// More images than the network has channels.
    #[error(
        "the checkpoint has {extra} `extra_modalities`, expected fewer than the {found} channels of its network"
    )]
    Channels {
        /// Channels of the network.
        found: usize,
        /// Images beside the first.
        extra: usize,
    },
}

impl PlanningError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoWindow => Some("`--roi X,Y,Z` states it, in voxels, as in training".into()),
            Self::NoBounds => Some("`--bounds LOW,HIGH` states it, as in training".into()),
            Self::UnusedBounds => Some("leave `--bounds` out, or state `--modality ct`".into()),
            Self::NoSpacing | Self::NoTemplateSpacing { .. } => {
                Some("`--spacing X,Y,Z` states it, in mm".into())
            }
            Self::PlanarSpacing => Some("`--spacing X,Y,Z` resamples along all axes, in mm".into()),
            Self::Window { found, factor } => {
                let next: [usize; 3] = std::array::from_fn(|axis| {
                    let count = found[axis].div_ceil(factor[axis]).max(1);
                    count.saturating_mul(factor[axis])
                });
                let [x, y, z] = next;
                // No window may be larger.
                let allowed = next.iter().all(|&side| side <= MAX_WINDOW_SIDE);
                allowed.then(|| format!("`--roi {x},{y},{z}` is the next larger one"))
            }
            Self::SmallWindow(_) => Some("`--roi X,Y,Z` states a larger one".into()),
            Self::LargeWindow(_) => {
                Some("`--roi X,Y,Z` states a smaller one, as in training".into())
            }
            Self::Labels { .. } => {
                Some("`--labels NAME,...` names every class or region in order".into())
            }
            Self::UnusedSpacing => Some(
                "leave `--spacing` out, or state with `--modality` how Auto3DSeg prepares images"
                    .into(),
            ),
            Self::PatchMerging { monai_version } => {
                let stated = monai_version.as_ref();
                let stated = stated.map(|version| format!("; the folder states MONAI {version}"));
                Some(format!(
                    "`--patch-merging monai-1.4` states that it was trained with MONAI up to 1.4, `--patch-merging monai-1.5` a later one{}",
                    stated.unwrap_or_default()
                ))
            }
            Self::Setting { .. } => {
                Some("save the checkpoint without it if the network was trained without it".into())
            }
            Self::Channels { .. } => None,
        }
    }
}
