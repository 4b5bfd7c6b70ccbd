//! Hyperparameters.

use serde::{Deserialize, Serialize};

use super::merging::PatchMerging;
use super::windows::WINDOW;

/// Attention heads of the first stage; each further stage has twice as many.
const HEADS: usize = 3;

/// Hyperparameters; names as in MONAI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwinUnetrConfig {
    /// Input channels.
    pub in_channels: usize,
    /// Output classes.
    pub out_channels: usize,
    /// Channels of the first stage.
    pub feature_size: usize,
    /// The order in which neighbors are merged. Weights do not tell it.
    pub patch_merging: PatchMerging,
}

impl SwinUnetrConfig {
    /// Stages of the encoder; each halves the axes and doubles the channels.
    pub const STAGES: usize = 4;
    /// Blocks of attention of every stage; the windows of the second are shifted.
    pub const BLOCKS: usize = 2;
    /// Edge of a window of attention in tokens, where the volume has as many.
    pub const WINDOW: usize = WINDOW;

    /// Channels of the tokens of a stage, from 0.
    pub fn channels(&self, stage: usize) -> usize {
        self.feature_size << stage
    }

    /// Attention heads of a stage, from 0.
    pub fn heads(stage: usize) -> usize {
        HEADS << stage
    }

    /// Rows of a table of relative positions: as many as a whole window has, whatever the volume.
    pub fn relative_positions() -> usize {
        (2 * WINDOW - 1).pow(3)
    }
}
