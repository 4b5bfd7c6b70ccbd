//! Inference of hyperparameters from the shapes of a state dict.

use super::config::{SegResNetDsConfig, kernel_for_scale};
use crate::error::ArchitectureError;
use crate::family::Family;
use crate::shapes::Shapes;

/// Infers the hyperparameters. A resolution is inferred up to what kernels and strides depend on.
pub(super) fn infer(shapes: &Shapes<'_>) -> Result<SegResNetDsConfig, ArchitectureError> {
    let convolution = |tensor: &str| shapes.convolution(tensor, SegResNetDsConfig::NAME);
    let [init_filters, in_channels, ..] = convolution("encoder.conv_init.weight")?;

    let mut blocks_down = Vec::new();
    let mut kernels = Vec::new();
    loop {
        let level = blocks_down.len();
        let blocks = shapes.members(&format!("encoder.layers.{level}.blocks."));
        if blocks == 0 {
            break;
        }
        let mut kernel = None;
        for block in 0..blocks {
            for conv in ["conv1", "conv2"] {
                let tensor = format!("encoder.layers.{level}.blocks.{block}.{conv}.weight");
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
            tensor: "encoder.layers.0.blocks.0.conv1.weight".into(),
            family: SegResNetDsConfig::NAME,
        });
    }

    let decoder = (blocks_down.len() - 1).max(1);
    let [out_channels, ..] = convolution(&format!("up_layers.{}.head.weight", decoder - 1))?;
    let dsdepth = (0..decoder)
        .filter(|layer| shapes.contains(&format!("up_layers.{layer}.head.weight")))
        .count();
    let mut config = SegResNetDsConfig {
        in_channels,
        out_channels,
        init_filters,
        blocks_down,
        dsdepth,
        resolution: None,
    };
    config.resolution = resolution(&kernels);
    if kernels_of(&config) != kernels {
        return Err(ArchitectureError::Kernels { found: kernels });
    }
    Ok(config)
}

/// Facts inferred from tensor shapes.
pub(super) fn facts(config: &SegResNetDsConfig) -> Vec<(&'static str, String)> {
    let decoder = config.blocks_down.len().saturating_sub(1).max(1);
    let heads = config.dsdepth.max(1).min(decoder);
    vec![
        ("in_channels", config.in_channels.to_string()),
        ("out_channels", config.out_channels.to_string()),
        ("init_filters", config.init_filters.to_string()),
        ("blocks_down", format!("{:?}", config.blocks_down)),
        ("deep supervision heads", heads.to_string()),
        ("kernels by level", format!("{:?}", kernels_of(config))),
    ]
}

fn kernels_of(config: &SegResNetDsConfig) -> Vec<[usize; 3]> {
    config.scales().into_iter().map(kernel_for_scale).collect()
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
