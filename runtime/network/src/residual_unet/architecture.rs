//! What the shapes of a state dict tell about the network that it belongs to.

use super::ResidualUNetConfig;
use crate::error::ArchitectureError;
use crate::shapes::Shapes;

/// What the shapes of a state dict tell about a residual U-Net.
pub(crate) struct Inferred {
    pub in_channels: usize,
    pub out_channels: usize,
    pub init_filters: usize,
    pub blocks_down: Vec<usize>,
    pub dsdepth: usize,
    /// Kernels of each level, finest first; those of a level's first convolution.
    pub kernels: Vec<[usize; 3]>,
}

impl Inferred {
    /// Reads the shapes of the tensors whose names have this prefix.
    pub fn new(
        shapes: &Shapes<'_>,
        prefix: &str,
        family: &'static str,
    ) -> Result<Self, ArchitectureError> {
        let convolution = |tensor: &str| shapes.convolution(tensor, family);
        let [init_filters, in_channels, ..] =
            convolution(&format!("{prefix}encoder.conv_init.weight"))?;

        let mut blocks_down = Vec::new();
        let mut kernels = Vec::new();
        loop {
            let level = blocks_down.len();
            let blocks = shapes.members(&format!("{prefix}encoder.layers.{level}.blocks."));
            if blocks == 0 {
                break;
            }
            let mut kernel = None;
            for block in 0..blocks {
                for conv in ["conv1", "conv2"] {
                    let tensor =
                        format!("{prefix}encoder.layers.{level}.blocks.{block}.{conv}.weight");
                    let [output, input, x, y, z] = convolution(&tensor)?;
                    let filters = init_filters.checked_shl(level as u32).unwrap_or(0);
                    if [output, input] != [filters; 2] {
                        let found = [output, input];
                        return Err(ArchitectureError::Filters {
                            tensor,
                            found,
                            expected: filters,
                        });
                    }
                    kernel.get_or_insert([x, y, z]);
                }
            }
            blocks_down.push(blocks);
            kernels.extend(kernel);
        }
        if blocks_down.is_empty() {
            return Err(ArchitectureError::Missing {
                tensor: format!("{prefix}encoder.layers.0.blocks.0.conv1.weight"),
                family,
            });
        }

        let decoder = (blocks_down.len() - 1).max(1);
        let head = |layer: usize| format!("{prefix}up_layers.{layer}.head.weight");
        let [out_channels, ..] = convolution(&head(decoder - 1))?;
        let dsdepth = (0..decoder)
            .filter(|&layer| shapes.contains(&head(layer)))
            .count();
        Ok(Self {
            in_channels,
            out_channels,
            init_filters,
            blocks_down,
            dsdepth,
            kernels,
        })
    }
}

impl ResidualUNetConfig {
    /// What tensor shapes tell.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let decoder = self.blocks_down.len().saturating_sub(1).max(1);
        let heads = self.dsdepth.max(1).min(decoder);
        vec![
            ("in_channels", self.in_channels.to_string()),
            ("out_channels", self.out_channels.to_string()),
            ("init_filters", self.init_filters.to_string()),
            ("blocks_down", format!("{:?}", self.blocks_down)),
            ("deep supervision heads", heads.to_string()),
            ("kernels by level", format!("{:?}", self.kernels())),
        ]
    }
}
