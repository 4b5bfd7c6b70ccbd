//! Hyperparameters of SegResNetDS and what follows from them.

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

mod size;

/// Most levels that a network may have: a patch axis would have to be a multiple of 2^9.
const MAX_LEVELS: usize = 10;
/// Most channels of the first level, input or output.
const MAX_CHANNELS: usize = 4096;
/// Most residual blocks of a level.
const MAX_BLOCKS: usize = 64;

/// Hyperparameters of SegResNetDS; names as in MONAI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegResNetDsConfig {
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
    /// Spacing in mm that kernels and strides adapt to; none: isotropic.
    pub resolution: Option<[f64; 3]>,
}

impl SegResNetDsConfig {
    /// Checks the hyperparameters.
    ///
    /// **Errors**: [`ConfigError`] names the first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
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
        match self.resolution {
            Some(found) if !found.iter().all(|mm| mm.is_finite() && *mm > 0.0) => {
                Err(ConfigError::Resolution { found })
            }
            _ => Ok(()),
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

    /// What each spatial axis of the input must be a multiple of.
    pub fn shape_factor(&self) -> [usize; 3] {
        let scales = self.scales();
        let strides = &scales[..scales.len().saturating_sub(1)];
        std::array::from_fn(|axis| strides.iter().map(|scale| scale[axis]).product())
    }
}

/// Kernel of a convolution on a level whose sampling grows by `scale`: 1 on an axis that is not downsampled, else 3.
pub fn kernel_for_scale(scale: [usize; 3]) -> [usize; 3] {
    scale.map(|s| if s == 1 { 1 } else { 3 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(levels: usize, resolution: Option<[f64; 3]>) -> SegResNetDsConfig {
        SegResNetDsConfig {
            in_channels: 1,
            out_channels: 2,
            init_filters: 8,
            blocks_down: vec![1; levels],
            dsdepth: 4,
            resolution,
        }
    }

    #[test]
    fn isotropic_networks_halve_every_axis_on_every_level() {
        assert_eq!(config(4, None).scales(), vec![[2; 3]; 4]);
        assert_eq!(config(4, None).shape_factor(), [8, 8, 8]);
        assert_eq!(config(1, None).shape_factor(), [1, 1, 1]);
    }

    #[test]
    fn a_coarse_axis_waits_until_the_others_have_caught_up() {
        let scales = config(5, Some([0.625, 0.625, 3.6])).scales();
        assert_eq!(
            scales,
            [[2, 2, 1], [2, 2, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]]
        );
        assert_eq!(
            config(5, Some([0.625, 0.625, 3.6])).shape_factor(),
            [16, 16, 4]
        );
    }

    #[test]
    fn hostile_hyperparameters_are_refused() {
        let mut zero = config(2, None);
        zero.blocks_down[1] = 0;
        assert_eq!(
            zero.validate(),
            Err(ConfigError::Zero {
                field: "blocks_down"
            })
        );
        assert!(matches!(
            config(0, None).validate(),
            Err(ConfigError::Levels { found: 0, .. })
        ));
        assert!(matches!(
            config(40, None).validate(),
            Err(ConfigError::Levels { found: 40, .. })
        ));
        // Levels come first: of a thousand, no block is looked at.
        let mut deep = config(1000, None);
        deep.blocks_down[0] = 0;
        assert!(matches!(
            deep.validate(),
            Err(ConfigError::Levels { found: 1000, .. })
        ));
        for field in ["in_channels", "out_channels", "init_filters", "dsdepth"] {
            let mut large = config(2, None);
            *match field {
                "in_channels" => &mut large.in_channels,
                "out_channels" => &mut large.out_channels,
                "init_filters" => &mut large.init_filters,
                _ => &mut large.dsdepth,
            } = usize::MAX;
            assert!(
                matches!(large.validate(), Err(ConfigError::TooLarge { field: found, .. }) if found == field),
                "{field}"
            );
        }
        let nan = config(2, Some([1.0, f64::NAN, 1.0]));
        assert!(matches!(
            nan.validate(),
            Err(ConfigError::Resolution { .. })
        ));
    }
}
