//! SegResNetDS: a residual U-Net with deep supervision and kernels that follow anisotropic spacing.

mod architecture;
mod config;
mod size;

pub use config::{SegResNetDsConfig, kernel_for_scale};

use crate::error::{ArchitectureError, ConfigError};
use crate::family::{Activations, Family};
use crate::shapes::Shapes;

/// Most levels that a network may have: a patch axis would have to be a multiple of 2^9.
const MAX_LEVELS: usize = 10;
/// Most channels of the first level, input or output.
const MAX_CHANNELS: usize = 4096;
/// Most residual blocks of a level.
const MAX_BLOCKS: usize = 64;

impl Family for SegResNetDsConfig {
    const NAME: &'static str = "SegResNetDS";

    fn validate(&self) -> Result<(), ConfigError> {
        // The other values depend on the number of levels.
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
        // The number of outputs is limited to the number of levels; 0 counts as 1.
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

    fn in_channels(&self) -> usize {
        self.in_channels
    }

    fn out_channels(&self) -> usize {
        self.out_channels
    }

    fn shape_factor(&self) -> [usize; 3] {
        let scales = self.scales();
        let strides = &scales[..scales.len().saturating_sub(1)];
        std::array::from_fn(|axis| strides.iter().map(|scale| scale[axis]).product())
    }

    fn parameters(&self) -> u64 {
        size::parameters(self)
    }

    fn activations(&self, patch: [usize; 3]) -> Activations {
        size::activations(self, patch)
    }

    fn recognizes(shapes: &Shapes<'_>) -> bool {
        shapes.contains("encoder.conv_init.weight")
    }

    fn infer(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError> {
        architecture::infer(shapes)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        architecture::facts(self)
    }
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
        // Levels are checked first, so that the blocks of a thousand levels are not visited.
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
