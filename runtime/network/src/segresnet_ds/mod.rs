//! SegResNetDS: a residual U-Net with deep supervision and kernels that follow anisotropic spacing.

mod config;

pub use config::SegResNetDsConfig;

use crate::error::{ArchitectureError, ConfigError};
use crate::family::{Activations, Family};
use crate::residual_unet::{Inferred, NormTensors, STEM};
use crate::shapes::Shapes;

impl Family for SegResNetDsConfig {
    const NAME: &'static str = "SegResNetDS";

    fn validate(&self) -> Result<(), ConfigError> {
        self.unet().validate()?;
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
        self.unet().shape_factor()
    }

    fn is_head(tensor: &str) -> bool {
        tensor.contains(".head.")
    }

    fn reads_image(tensor: &str) -> bool {
        tensor == STEM
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.unet().tensors("", NormTensors::Instance)
    }

    fn parameters(&self) -> u64 {
        self.unet().parameters()
    }

    fn activations(&self, patch: [usize; 3]) -> Activations {
        self.unet().activations(patch)
    }

    fn recognizes(shapes: &Shapes<'_>) -> bool {
        shapes.contains(STEM)
    }

    /// A resolution is inferred up to what kernels and strides depend on.
    fn infer(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError> {
        let inferred = Inferred::new(shapes, "", Self::NAME)?;
        let config = Self {
            in_channels: inferred.in_channels,
            out_channels: inferred.out_channels,
            init_filters: inferred.init_filters,
            blocks_down: inferred.blocks_down,
            dsdepth: inferred.dsdepth,
            resolution: resolution(&inferred.kernels),
        };
        if config.unet().kernels() != inferred.kernels {
            let found = inferred.kernels;
            return Err(ArchitectureError::Kernels { found });
        }
        config
            .unet()
            .check_all(shapes, "", NormTensors::Instance, Self::NAME)?;
        Ok(config)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        self.unet().facts()
    }
}

/// A spacing that gives these kernels, if any does.
///
/// **Definition**: an axis that is first left out on level d while the last level to leave out any axis is l has
/// spacing 2^(l + 1 - d) relative to the finest.
fn resolution(kernels: &[[usize; 3]]) -> Option<[f64; 3]> {
    let last = kernels.iter().rposition(|kernel| kernel.contains(&1))?;
    Some(std::array::from_fn(|axis| {
        let first = kernels
            .iter()
            .position(|kernel| kernel[axis] == 1)
            .unwrap_or(last + 1);
        2_f64.powi((last + 1 - first) as i32)
    }))
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
