//! Hyperparameters of DiNTS.

use serde::{Deserialize, Serialize};

use super::architecture::DintsArchitecture;

/// Hyperparameters of DiNTS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DintsConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Channels of the stem at the input's resolution; each halving doubles them. MONAI: `32 * channel_mul`.
    pub filters: usize,
    #[serde(default, skip_serializing_if = "DintsArchitecture::is_default")]
    pub architecture: DintsArchitecture,
}
