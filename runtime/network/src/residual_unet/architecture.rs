//! Tensors of the state dict, and what their shapes tell.

use super::{MAX_CHANNELS, ResidualUNetConfig, STEM};
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
        let [init_filters, in_channels, ..] = convolution(&format!("{prefix}{STEM}"))?;

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

/// A normalization, as far as it has tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NormTensors {
    /// Scale and shift.
    Instance,
    /// Scale, shift and running statistics.
    Batch,
}

impl NormTensors {
    fn names(self) -> &'static [&'static str] {
        const NAMES: &[&str] = &["weight", "bias", "running_mean", "running_var"];
        match self {
            Self::Instance => &NAMES[..2],
            Self::Batch => NAMES,
        }
    }
}

impl ResidualUNetConfig {
    /// Checks that there is every tensor of the network, with its shape, so that none is built that is larger than its
    /// weights.
    ///
    /// **Errors**: hyperparameters out of range, and the first tensor that is missing or has another shape.
    pub(crate) fn check_all(
        &self,
        shapes: &Shapes<'_>,
        prefix: &str,
        norm: NormTensors,
        family: &'static str,
    ) -> Result<(), ArchitectureError> {
        // Widths beyond it are not computed.
        if self.validate().is_err() {
            return Err(ArchitectureError::Channels {
                found: vec![self.in_channels, self.out_channels, self.init_filters],
                max: MAX_CHANNELS,
            });
        }
        shapes.check_all(self.tensors(prefix, norm), family)
    }

    /// Path and shape of every tensor.
    pub(crate) fn tensors(&self, prefix: &str, norm: NormTensors) -> Vec<(String, Vec<usize>)> {
        let (kernels, last) = (self.kernels(), self.blocks_down.len() - 1);
        let filters = |level: usize| self.init_filters << level;
        let convolution = |path: String, [inputs, outputs]: [usize; 2], level: usize| {
            let shape = [outputs, inputs].into_iter().chain(kernels[level]);
            (format!("{path}.weight"), shape.collect())
        };
        let block = |path: String, level: usize| {
            let width = filters(level);
            let path = &path;
            (1..=2)
                .flat_map(move |half| {
                    let norms = norm.names().iter();
                    let norms =
                        norms.map(move |name| (format!("{path}.norm{half}.{name}"), vec![width]));
                    let path = format!("{path}.conv{half}");
                    norms
                        .chain([convolution(path, [width; 2], level)])
                        .collect::<Vec<_>>()
                })
                .collect::<Vec<_>>()
        };
        let stem = format!("{prefix}encoder.conv_init");
        let mut tensors = vec![convolution(stem, [self.in_channels, filters(0)], 0)];
        for (level, &blocks) in self.blocks_down.iter().enumerate() {
            let path = format!("{prefix}encoder.layers.{level}");
            for index in 0..blocks {
                tensors.extend(block(format!("{path}.blocks.{index}"), level));
            }
            if level < last {
                let channels = [filters(level), filters(level + 1)];
                tensors.push(convolution(format!("{path}.downsample"), channels, level));
            }
        }
        let decoder = last.max(1);
        for (index, level) in (0..decoder).rev().enumerate() {
            let path = format!("{prefix}up_layers.{index}");
            if last > 0 {
                // Transposed: from the channels below.
                let channels = [filters(level), filters(level + 1)];
                let up = format!("{path}.upsample.deconv");
                tensors.push(convolution(up, channels, level));
                tensors.extend(block(format!("{path}.blocks.0"), level));
            }
            if level < self.dsdepth.max(1) {
                let shape = vec![self.out_channels, filters(level), 1, 1, 1];
                tensors.push((format!("{path}.head.weight"), shape));
                tensors.push((format!("{path}.head.bias"), vec![self.out_channels]));
            }
        }
        tensors
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: &str = "network";

    fn config(blocks_down: &[usize], dsdepth: usize) -> ResidualUNetConfig {
        ResidualUNetConfig {
            in_channels: 2,
            out_channels: 3,
            init_filters: 4,
            blocks_down: blocks_down.to_vec(),
            dsdepth,
            scales: vec![[2, 2, 1]; blocks_down.len()],
        }
    }

    #[test]
    fn tensors_have_as_many_elements_as_the_network_has_parameters() {
        for (blocks, dsdepth) in [(&[1, 2, 2][..], 2), (&[1], 1), (&[2, 1], 0), (&[1; 5], 9)] {
            let config = config(blocks, dsdepth);
            let tensors = config.tensors("", NormTensors::Instance);
            let elements = tensors
                .iter()
                .map(|(_, shape)| shape.iter().product::<usize>());
            assert_eq!(elements.sum::<usize>() as u64, config.parameters());
        }
    }

    #[test]
    fn every_tensor_is_checked_before_a_network_is_built() {
        let config = config(&[1, 2], 2);
        for norm in [NormTensors::Instance, NormTensors::Batch] {
            let tensors = config.tensors("net.", norm);
            let check = |tensors: &[(String, Vec<usize>)]| {
                let shapes = tensors.iter();
                let shapes = shapes.map(|(name, shape)| (name.as_str(), shape.clone()));
                config.check_all(&shapes.collect(), "net.", norm, FAMILY)
            };
            assert_eq!(check(&tensors), Ok(()));
            for place in 0..tensors.len() {
                let mut other = tensors.clone();
                other[place].1[0] += 1;
                assert!(check(&other).is_err(), "{} may differ", other[place].0);
                let (missing, _) = other.remove(place);
                assert!(check(&other).is_err(), "{missing} may be missing");
            }
        }
        let wide = ResidualUNetConfig {
            init_filters: usize::MAX,
            ..config
        };
        let error = wide.check_all(&Shapes::default(), "", NormTensors::Instance, FAMILY);
        assert!(matches!(error, Err(ArchitectureError::Channels { .. })));
    }
}
