//! Hyperparameters of SegResNetDS, and the strides that follow from them.

use serde::{Deserialize, Serialize};

use crate::residual_unet::ResidualUNetConfig;

/// Hyperparameters of SegResNetDS; names as in MONAI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegResNetDsConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Channels of the first level; each further level has twice as many.
    pub init_filters: usize,
    /// Residual blocks per level.
    pub blocks_down: Vec<usize>,
    /// Deep supervision outputs in training.
    pub dsdepth: usize,
    /// Spacing in mm that kernels and strides adapt to; none: isotropic.
    pub resolution: Option<[f64; 3]>,
}

impl SegResNetDsConfig {
    /// The network without what its kernels and strides follow from.
    pub fn unet(&self) -> ResidualUNetConfig {
        ResidualUNetConfig {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            init_filters: self.init_filters,
            blocks_down: self.blocks_down.clone(),
            dsdepth: self.dsdepth,
            scales: self.scales(),
        }
    }

    /// Stride of each level's downsampling, finest level first.
    ///
    /// **Definition**: 2 everywhere without a resolution. With one, an axis coarser than the finest by a factor of at
    /// least 2^n stays at 1 on the first n levels, until the spacing is about isotropic.
    ///
    /// **Source**: MONAI 1.6.1 `scales_for_resolution`.
    pub fn scales(&self) -> Vec<[usize; 3]> {
        let levels = self.blocks_down.len();
        let Some(resolution) = self.resolution else {
            return vec![[2; 3]; levels];
        };
        let coarsest = resolution.into_iter().fold(f64::MIN, f64::max);
        // How many doublings the axis can take before it is as coarse as the coarsest.
        let doublings = resolution.map(|mm| (coarsest / mm).log2().floor() as u32);
        let most = doublings.into_iter().max().unwrap_or(0);
        (0..levels as u32)
            .map(|level| {
                if level < most {
                    doublings.map(|d| if level >= d { 1 } else { 2 })
                } else {
                    [2; 3]
                }
            })
            .collect()
    }
}
