//! The description of a network as data.

use serde::{Deserialize, Serialize};

use crate::segresnet_ds::SegResNetDsConfig;

/// Which network, with its hyperparameters: what plans, run records and exports carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NetworkConfig {
    /// MONAI's SegResNetDS.
    SegresnetDs(SegResNetDsConfig),
}

impl NetworkConfig {
    /// Checks the hyperparameters.
    ///
    /// **Errors**: [`ConfigError`] names the first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::SegresnetDs(config) => config.validate(),
        }
    }

    /// Input channels.
    pub fn in_channels(&self) -> usize {
        match self {
            Self::SegresnetDs(config) => config.in_channels,
        }
    }

    /// Output classes.
    pub fn out_channels(&self) -> usize {
        match self {
            Self::SegresnetDs(config) => config.out_channels,
        }
    }

    /// What each spatial axis of the input must be a multiple of.
    pub fn shape_factor(&self) -> [usize; 3] {
        match self {
            Self::SegresnetDs(config) => config.shape_factor(),
        }
    }

    /// Parameters of the network.
    pub fn parameters(&self) -> u64 {
        match self {
            Self::SegresnetDs(config) => config.parameters(),
        }
    }

    /// What a training step on a patch of this size holds.
    pub fn activations(&self, patch: [usize; 3]) -> Activations {
        match self {
            Self::SegresnetDs(config) => config.activations(patch),
        }
    }
}

/// Tensors that a network's training step holds for one patch, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activations {
    /// Everything that the forward pass keeps for gradients, logits aside.
    pub kept: u64,
    /// The largest activation.
    pub largest: u64,
    /// Logits of all deep supervision outputs.
    pub logits: u64,
    /// Logits at input resolution.
    pub finest_logits: u64,
}

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A count is zero.
    #[error("network field `{field}` is 0, expected at least 1")]
    Zero {
        /// Field name.
        field: &'static str,
    },
    /// No levels, or too many for any real volume.
    #[error("network field `blocks_down` has {found} levels, expected 1 to {max}")]
    Levels {
        /// Levels found.
        found: usize,
        /// Most levels allowed.
        max: usize,
    },
    /// A count is absurdly large.
    #[error("network field `{field}` is {found}, expected at most {max}")]
    TooLarge {
        /// Field name.
        field: &'static str,
        /// Value found.
        found: usize,
        /// Largest value allowed.
        max: usize,
    },
    /// Resolution that is no spacing.
    #[error("network field `resolution` is {found:?} mm, expected positive finite numbers")]
    Resolution {
        /// Value found.
        found: [f64; 3],
    },
}
