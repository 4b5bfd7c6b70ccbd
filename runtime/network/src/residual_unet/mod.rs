//! The residual U-Net that families are made of: levels of residual blocks, with kernels and strides by level.

mod architecture;
mod size;

pub(crate) use architecture::{Inferred, NormTensors};

use crate::error::ConfigError;

/// Weight of the convolution that reads the image.
pub(crate) const STEM: &str = "encoder.conv_init.weight";
/// Most levels that a network may have: a patch axis would have to be a multiple of 2^9.
const MAX_LEVELS: usize = 10;
/// Most channels of the first level, input or output.
pub(crate) const MAX_CHANNELS: usize = 4096;
/// Most residual blocks of a level.
const MAX_BLOCKS: usize = 64;

/// What a residual U-Net is built from.
#[derive(Debug, Clone, PartialEq)]
pub struct ResidualUNetConfig {
    /// Input channels.
    pub in_channels: usize,
    /// Output classes.
    pub out_channels: usize,
    /// Channels of the first level; each further level has twice as many.
    pub init_filters: usize,
    /// Residual blocks per level.
    pub blocks_down: Vec<usize>,
    /// Deep supervision outputs in training.
    pub dsdepth: usize,
    /// Stride of each level's downsampling, finest level first; that of the last is not used. Kernels follow from them,
    /// see [`kernel_for_scale`].
    pub scales: Vec<[usize; 3]>,
}

/// Kernel of a convolution on a level whose sampling grows by `scale`: 1 on an axis that is not downsampled, else 3.
pub fn kernel_for_scale(scale: [usize; 3]) -> [usize; 3] {
    scale.map(|s| if s == 1 { 1 } else { 3 })
}

impl ResidualUNetConfig {
    /// Strides from a level to the next, finest level first.
    pub fn strides(&self) -> &[[usize; 3]] {
        &self.scales[..self.scales.len().saturating_sub(1)]
    }

    pub fn shape_factor(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.strides().iter().map(|stride| stride[axis]).product())
    }

    /// Kernels of the levels, finest level first.
    pub fn kernels(&self) -> Vec<[usize; 3]> {
        self.scales.iter().copied().map(kernel_for_scale).collect()
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        // What else there is depends on their number.
        if !(1..=MAX_LEVELS).contains(&self.blocks_down.len()) {
            return Err(ConfigError::Levels {
                found: self.blocks_down.len(),
                max: MAX_LEVELS,
            });
        }
        let counts = [
            ("in_channels", self.in_channels, MAX_CHANNELS),
            ("out_channels", self.out_channels, MAX_CHANNELS),
            ("init_filters", self.init_filters, MAX_CHANNELS),
        ];
        let blocks = self
            .blocks_down
            .iter()
            .map(|&blocks| ("blocks_down", blocks, MAX_BLOCKS));
        for (field, found, max) in counts.into_iter().chain(blocks) {
            if found == 0 {
                return Err(ConfigError::Zero { field });
            }
            if found > max {
                return Err(ConfigError::TooLarge { field, found, max });
            }
        }
        // There are no more outputs than levels, however many are asked for; none counts as one.
        if self.dsdepth > MAX_LEVELS {
            return Err(ConfigError::TooLarge {
                field: "dsdepth",
                found: self.dsdepth,
                max: MAX_LEVELS,
            });
        }
        Ok(())
    }
}
