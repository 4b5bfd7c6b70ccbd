//! What the shapes of a state dict say about the network that it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use vesal_network::{NetworkConfig, SegResNetDsConfig};

/// Tensor shapes by parameter path.
pub type Shapes<'a> = BTreeMap<&'a str, Vec<usize>>;

/// Why no network can be told from tensor shapes, or another one than described.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ArchitectureError {
    /// A tensor that every network of the family has.
    #[error("there is no tensor `{tensor}`, expected the weights of a SegResNetDS")]
    Missing {
        /// The tensor.
        tensor: String,
    },
    /// A convolution without five axes.
    #[error(
        "tensor `{tensor}` has shape {found:?}, expected 5 axes of at least 1: a 3-D convolution"
    )]
    NoConvolution {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A level without twice the filters of the one before.
    #[error(
        "tensor `{tensor}` has {found:?} filters, expected {expected} of each: twice those of the level before"
    )]
    Filters {
        /// The tensor.
        tensor: String,
        /// Filters out and in.
        found: [usize; 2],
        /// Filters of the level.
        expected: usize,
    },
    /// Kernels that follow no spacing.
    #[error(
        "the kernels {found:?} by level follow from no spacing, expected 1 or 3 per axis, growing with the level"
    )]
    Kernels {
        /// Kernels of each level, finest first.
        found: Vec<[usize; 3]>,
    },
    /// The description contradicts the tensors.
    #[error("the network's description has {field} {described}, its weights have {found}")]
    Contradiction {
        /// Which hyperparameter.
        field: &'static str,
        /// As described.
        described: String,
        /// As the tensors have it.
        found: String,
    },
}

/// Tells the network from the shapes of its tensors. A resolution is told up to what kernels and strides depend on.
///
/// A network so told is not much larger than its tensors: what decides about its size is looked at in every block.
///
/// **Errors**: [`ArchitectureError`].
pub fn infer(shapes: &Shapes<'_>) -> Result<NetworkConfig, ArchitectureError> {
    let convolution = |tensor: &str| -> Result<[usize; 5], ArchitectureError> {
        let found = shapes
            .get(tensor)
            .ok_or_else(|| ArchitectureError::Missing {
                tensor: tensor.into(),
            })?;
        <[usize; 5]>::try_from(found.as_slice())
            .ok()
            .filter(|shape| !shape.contains(&0))
            .ok_or_else(|| ArchitectureError::NoConvolution {
                tensor: tensor.into(),
                found: found.clone(),
            })
    };
    let [init_filters, in_channels, ..] = convolution("encoder.conv_init.weight")?;

    let mut blocks_down = Vec::new();
    let mut kernels = Vec::new();
    loop {
        let level = blocks_down.len();
        let blocks = members(shapes, &format!("encoder.layers.{level}.blocks."));
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
        });
    }

    let decoder = (blocks_down.len() - 1).max(1);
    let [out_channels, ..] = convolution(&format!("up_layers.{}.head.weight", decoder - 1))?;
    let dsdepth = (0..decoder)
        .filter(|layer| shapes.contains_key(format!("up_layers.{layer}.head.weight").as_str()))
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
    Ok(NetworkConfig::SegresnetDs(config))
}

/// Compares a description with what the tensors say.
///
/// **Errors**: [`ArchitectureError::Contradiction`] for the first hyperparameter that differs.
pub fn compare(described: &NetworkConfig, found: &NetworkConfig) -> Result<(), ArchitectureError> {
    let (NetworkConfig::SegresnetDs(described), NetworkConfig::SegresnetDs(found)) =
        (described, found);
    let heads = |config: &SegResNetDsConfig| {
        config
            .dsdepth
            .max(1)
            .min(config.blocks_down.len().saturating_sub(1).max(1))
    };
    let fields = [
        (
            "in_channels",
            described.in_channels.to_string(),
            found.in_channels.to_string(),
        ),
        (
            "out_channels",
            described.out_channels.to_string(),
            found.out_channels.to_string(),
        ),
        (
            "init_filters",
            described.init_filters.to_string(),
            found.init_filters.to_string(),
        ),
        (
            "blocks_down",
            format!("{:?}", described.blocks_down),
            format!("{:?}", found.blocks_down),
        ),
        (
            "deep supervision heads",
            heads(described).to_string(),
            heads(found).to_string(),
        ),
        (
            "kernels by level",
            format!("{:?}", kernels_of(described)),
            format!("{:?}", kernels_of(found)),
        ),
    ];
    match fields
        .into_iter()
        .find(|(_, described, found)| described != found)
    {
        None => Ok(()),
        Some((field, described, found)) => Err(ArchitectureError::Contradiction {
            field,
            described,
            found,
        }),
    }
}

/// Number of different indices that follow a prefix: 0, 1, … without a gap.
fn members(shapes: &Shapes<'_>, prefix: &str) -> usize {
    let indices: BTreeSet<usize> = shapes
        .range(prefix..)
        .take_while(|(name, _)| name.starts_with(prefix))
        .filter_map(|(name, _)| name[prefix.len()..].split('.').next()?.parse().ok())
        .collect();
    (0..).take_while(|index| indices.contains(index)).count()
}

fn kernels_of(config: &SegResNetDsConfig) -> Vec<[usize; 3]> {
    config
        .scales()
        .into_iter()
        .map(|scale| scale.map(|s| if s == 1 { 1 } else { 3 }))
        .collect()
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

    fn config(levels: usize, dsdepth: usize, resolution: Option<[f64; 3]>) -> NetworkConfig {
        NetworkConfig::SegresnetDs(SegResNetDsConfig {
            in_channels: 2,
            out_channels: 3,
            init_filters: 4,
            blocks_down: [1, 2, 3, 1, 1][..levels].to_vec(),
            dsdepth,
            resolution,
        })
    }

    fn shapes_of(config: &NetworkConfig) -> BTreeMap<String, Vec<usize>> {
        use burn_store::ModuleSnapshot;
        let network = vesal_models::init::<burn_flex::Flex>(config, &Default::default()).unwrap();
        let parameters = network.collect(None, None, true);
        parameters
            .iter()
            .map(|p| (p.full_path(), p.shape.to_vec()))
            .collect()
    }

    #[test]
    fn a_network_is_told_from_its_own_shapes() {
        let resolutions = [
            None,
            Some([0.6, 0.6, 3.0]),
            Some([1.0, 2.0, 5.0]),
            Some([1.0, 1.0, 1.0]),
            Some([5.0, 1.0, 0.1]),
        ];
        for levels in 1..=5 {
            for dsdepth in [0, 1, 2, 4] {
                for resolution in resolutions {
                    let config = config(levels, dsdepth, resolution);
                    let shapes = shapes_of(&config);
                    let shapes = shapes
                        .iter()
                        .map(|(name, shape)| (name.as_str(), shape.clone()))
                        .collect();
                    let inferred =
                        infer(&shapes).unwrap_or_else(|error| panic!("{config:?}: {error}"));
                    assert_eq!(compare(&config, &inferred), Ok(()));
                    assert_eq!(config.shape_factor(), inferred.shape_factor());
                    assert_eq!(shapes_of(&inferred), shapes_of(&config));
                }
            }
        }
    }

    #[test]
    fn another_description_is_a_contradiction() {
        let found = config(3, 2, None);
        for (other, expected) in [
            (config(4, 2, None), "blocks_down"),
            (config(3, 1, None), "deep supervision heads"),
            (config(3, 2, Some([1.0, 1.0, 2.0])), "kernels by level"),
        ] {
            let error = compare(&other, &found).unwrap_err();
            assert!(
                matches!(error, ArchitectureError::Contradiction { field, .. } if field == expected),
                "{error}"
            );
        }
    }

    #[test]
    fn foreign_weights_and_odd_kernels_are_refused() {
        let foreign = Shapes::from([("conv1.weight", vec![8, 1, 3, 3, 3])]);
        assert!(matches!(
            infer(&foreign),
            Err(ArchitectureError::Missing { .. })
        ));
        let shapes = shapes_of(&config(2, 1, None));
        let mut shapes: Shapes<'_> = shapes
            .iter()
            .map(|(name, shape)| (name.as_str(), shape.clone()))
            .collect();
        shapes.insert(
            "encoder.layers.0.blocks.0.conv1.weight",
            vec![4, 4, 5, 3, 3],
        );
        assert!(matches!(
            infer(&shapes),
            Err(ArchitectureError::Kernels { .. })
        ));
        shapes.insert("encoder.conv_init.weight", vec![4, 2]);
        assert!(matches!(
            infer(&shapes),
            Err(ArchitectureError::NoConvolution { .. })
        ));
    }
}
