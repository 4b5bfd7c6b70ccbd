//! The description of a network as data.

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::segresnet_ds::{Activations, SegResNetDs, SegResNetDsConfig};

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

    /// Builds the network with fresh weights.
    ///
    /// **Errors**: as [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<SegResNetDs<B>, ConfigError> {
        self.validate()?;
        match self {
            Self::SegresnetDs(config) => Ok(config.init(device)),
        }
    }
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
