//! SegResNetDS in two dimensions, which sees a volume plane by plane: kernels of one voxel along Z, and batch
//! normalization.

use serde::{Deserialize, Serialize};

use crate::error::{ArchitectureError, ConfigError};
use crate::family::{Activations, Family};
use crate::residual_unet::{Inferred, NormTensors, ResidualUNetConfig, STEM};
use crate::shapes::Shapes;

/// Stride of every level's downsampling: planes stay.
const SCALE: [usize; 3] = [2, 2, 1];
/// What the names of all tensors begin with: Auto3DSeg's wrapper that makes a batch of the planes of a volume.
const PREFIX: &str = "net.";

/// Hyperparameters; names as in MONAI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegResNet2dConfig {
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
}

impl SegResNet2dConfig {
    /// The network in three dimensions.
    pub fn unet(&self) -> ResidualUNetConfig {
        ResidualUNetConfig {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            init_filters: self.init_filters,
            blocks_down: self.blocks_down.clone(),
            dsdepth: self.dsdepth,
            scales: vec![SCALE; self.blocks_down.len()],
        }
    }
}

impl Family for SegResNet2dConfig {
    const NAME: &'static str = "two-dimensional SegResNetDS";

    fn validate(&self) -> Result<(), ConfigError> {
        self.unet().validate()
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

    fn is_planar(&self) -> bool {
        true
    }

    fn is_head(tensor: &str) -> bool {
        tensor.contains(".head.")
    }

    fn reads_image(tensor: &str) -> bool {
        tensor.strip_prefix(PREFIX) == Some(STEM)
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.unet().tensors(PREFIX, NormTensors::Batch)
    }

    fn parameters(&self) -> u64 {
        self.unet().parameters()
    }

    fn activations(&self, patch: [usize; 3]) -> Activations {
        self.unet().activations(patch)
    }

    fn recognizes(shapes: &Shapes<'_>) -> bool {
        shapes.contains(&format!("{PREFIX}{STEM}"))
    }

    /// Convolutions may be those of two dimensions.
    fn infer(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError> {
        let shapes = shapes.in_three_dimensions();
        let inferred = Inferred::new(&shapes, PREFIX, Self::NAME)?;
        let config = Self {
            in_channels: inferred.in_channels,
            out_channels: inferred.out_channels,
            init_filters: inferred.init_filters,
            blocks_down: inferred.blocks_down,
            dsdepth: inferred.dsdepth,
        };
        if config.unet().kernels() != inferred.kernels {
            let found = inferred.kernels;
            return Err(ArchitectureError::PlanarKernels { found });
        }
        config
            .unet()
            .check_all(&shapes, PREFIX, NormTensors::Batch, Self::NAME)?;
        Ok(config)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        self.unet().facts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_stay_on_every_level() {
        for levels in 1..=10 {
            let config = SegResNet2dConfig {
                in_channels: 1,
                out_channels: 2,
                init_filters: 8,
                blocks_down: vec![1; levels],
                dsdepth: 2,
            };
            let factor = 1 << (levels - 1);
            assert_eq!(config.shape_factor(), [factor, factor, 1]);
            assert_eq!(config.unet().kernels(), vec![[3, 3, 1]; levels]);
        }
    }
}
