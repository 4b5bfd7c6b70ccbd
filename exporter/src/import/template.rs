//! What Auto3DSeg's algorithms have in common with all networks of their family.

use vesal_bundle::deploy_plan::Modality;
use vesal_network::NetworkConfig;
use vesal_volume::preprocess::{Normalization, Restore, Step};

/// Spacings that Auto3DSeg's segresnet keeps, as factors of the target.
pub(super) const KEPT_SPACINGS: [f64; 2] = [0.75, 1.25];
/// No spacing but the target.
pub(super) const NO_KEPT_SPACINGS: [f64; 2] = [1., 1.];
/// Window of networks whose template has one, in voxels.
const SIDE: usize = 96;

/// An algorithm of Auto3DSeg, by the family of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Template {
    Segresnet,
    Segresnet2d,
    Swinunetr,
    Dints,
}

impl Template {
    pub fn of(network: &NetworkConfig) -> Self {
        match network {
            NetworkConfig::SegresnetDs(_) => Self::Segresnet,
            NetworkConfig::Segresnet2d(_) => Self::Segresnet2d,
            NetworkConfig::Swinunetr(_) => Self::Swinunetr,
            NetworkConfig::Dints(_) => Self::Dints,
        }
    }

    /// Whether images are always resampled to one spacing and the intensities of CT are clipped to a range; segresnet's
    /// templates decide about resampling, and map ranges by a sigmoid.
    pub fn is_uniform(self) -> bool {
        matches!(self, Self::Swinunetr | Self::Dints)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Segresnet => "segresnet",
            Self::Segresnet2d => "segresnet2d",
            Self::Swinunetr => "swinunetr",
            Self::Dints => "dints",
        }
    }

    /// The window where none is stated.
    pub fn window(self) -> Option<[usize; 3]> {
        self.is_uniform().then_some([SIDE; 3])
    }

    /// What is interpolated back to the grid of the input.
    pub fn restore(self) -> Restore {
        match self {
            Self::Dints => Restore::Logits,
            _ => Restore::Probabilities,
        }
    }
}

/// Preprocessing of Auto3DSeg's swinunetr and dints: CT is clipped to its range, which crops what lies below it; other images
/// become z-scores as they are.
///
/// **Source**: Auto3DSeg's templates, `transforms_infer.yaml`.
pub(super) fn uniform_steps(
    modality: Modality,
    bounds: Option<[f32; 2]>,
    channels: usize,
    spacing: [f64; 3],
) -> Option<Vec<Step>> {
    let normalization = match (modality, bounds) {
        (Modality::Ct, Some([low, high])) => Normalization::ClippedRange { low, high },
        (Modality::Ct, None) => return None,
        (Modality::Mri | Modality::Pet, _) => Normalization::ZScoreNonzero,
    };
    let crop = (modality == Modality::Ct).then_some(Step::CropForeground {
        threshold: 0.,
        margin: 0,
    });
    let normalize = Step::Normalize {
        channels: vec![normalization; channels],
    };
    let resample = Step::Resample {
        spacing,
        keep: NO_KEPT_SPACINGS,
    };
    let steps = std::iter::once(normalize).chain(crop);
    Some(steps.chain([Step::OrientRas, resample]).collect())
}
