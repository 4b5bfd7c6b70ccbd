//! Which files of weights a training can start from: those of its network, but for the last layer.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use thiserror::Error;
use vesal_files::digest;
use vesal_network::NetworkConfig;
use vesal_weights::{StateDictChoice, WeightsFileError, WeightsHeader};

/// Most names that a message lists.
const LISTED: usize = 5;

/// Why a file of weights is no start of a training.
#[derive(Debug, Error)]
pub enum InitialWeightsError {
    #[error("it cannot be read")]
    Digest(#[from] io::Error),
    #[error("it is not what it was when the training was planned")]
    Changed,
    #[error(transparent)]
    File(#[from] WeightsFileError),
    /// Weights of another network.
    #[error("it lacks {count} tensors of the {family} to train: {}", list(names))]
    Missing {
        family: &'static str,
        count: usize,
        /// The first of them.
        names: Vec<String>,
    },
    #[error(
        "it has {count} tensors that the {family} to train has not: {}",
        list(names)
    )]
    Unused {
        family: &'static str,
        count: usize,
        /// The first of them.
        names: Vec<String>,
    },
    #[error("its tensor `{tensor}` has shape {found:?}, expected {expected:?}")]
    Shape {
        tensor: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("its tensor `{tensor}` has a value that is infinite or not a number")]
    NotFinite { tensor: String },
}

impl InitialWeightsError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Changed => Some("plan again"),
            Self::File(error) => error.hint(),
            Self::Missing { .. } | Self::Unused { .. } => Some(
                "plan an algorithm of that network alone with `--algorithms`, or without the weights with `--set init_weights=`",
            ),
            Self::Shape { .. } => Some(
                "plan a network of the same sizes, for example with `--set network#init_filters=N`, or without the weights with `--set init_weights=`",
            ),
            Self::Digest(_) => {
                Some("`--set init_weights=FILE`, or `--set init_weights=` for random weights")
            }
            Self::NotFinite { .. } => None,
        }
    }
}

fn list(names: &[String]) -> String {
    let quoted = names
        .iter()
        .map(|name| format!("`{}`", name.escape_debug()));
    quoted.collect::<Vec<_>>().join(", ")
}

/// How a tensor of a file becomes a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeightPlacement {
    /// With its values in their order.
    Same,
    /// The weights of its one channel for each of these.
    Repeated { channels: usize },
}

/// A file of weights that suits a network.
#[derive(Debug)]
pub(crate) struct FittingFile {
    pub sha256: String,
    /// Where its weights are, if it has others.
    pub choice: Option<StateDictChoice>,
}

/// Checks a file of weights against the network to train, without reading its values.
///
/// **Errors**: as [`placements`], and the file is unusable.
pub(crate) fn check(
    path: &Path,
    config: &NetworkConfig,
) -> Result<FittingFile, InitialWeightsError> {
    let (_, sha256) = digest::sha256_file(path)?;
    let WeightsHeader { shapes, choice } = vesal_weights::read_header(path)?;
    placements(&shapes, config)?;
    Ok(FittingFile { sha256, choice })
}

/// How each tensor of a file becomes a parameter; those of last layers are left out.
///
/// **Errors**: a name on one side only, or a shape that neither is the parameter's nor has one channel of an image where it has
/// several.
pub(crate) fn placements(
    found: &BTreeMap<String, Vec<usize>>,
    config: &NetworkConfig,
) -> Result<BTreeMap<String, WeightPlacement>, InitialWeightsError> {
    let parameters: BTreeMap<_, _> = config.tensors().into_iter().collect();
    let family = config.family();
    let absent = |these: &BTreeMap<String, _>, there: &BTreeMap<String, _>| {
        let names = these.keys().filter(|name| !config.is_head(name));
        let names: Vec<_> = names.filter(|name| !there.contains_key(*name)).collect();
        let first = names.iter().take(LISTED).map(|name| name.to_string());
        (names.len(), first.collect::<Vec<_>>())
    };
    let (count, names) = absent(&parameters, found);
    if count > 0 {
        return Err(InitialWeightsError::Missing {
            family,
            count,
            names,
        });
    }
    let (count, names) = absent(found, &parameters);
    if count > 0 {
        return Err(InitialWeightsError::Unused {
            family,
            count,
            names,
        });
    }
    let body = found.iter().filter(|(name, _)| !config.is_head(name));
    let placed = body.map(|(tensor, shape)| {
        let expected = &parameters[tensor];
        let placement = placement(shape, expected, config.reads_image(tensor));
        let placement = placement.ok_or_else(|| InitialWeightsError::Shape {
            tensor: tensor.clone(),
            found: shape.clone(),
            expected: expected.clone(),
        })?;
        Ok((tensor.clone(), placement))
    });
    placed.collect()
}

/// How a tensor of one shape becomes a parameter of another one, if it does.
fn placement(found: &[usize], expected: &[usize], reads_image: bool) -> Option<WeightPlacement> {
    // A family of 2-D networks takes its convolutions for 3-D ones of one voxel along Z.
    let equal = |found: &[usize]| {
        found == expected || found.len() == 4 && found.iter().chain(&[1]).eq(expected)
    };
    if equal(found) {
        return Some(WeightPlacement::Same);
    }
    let channels = *expected.get(1)?;
    let mut whole = found.to_vec();
    let one = whole.get_mut(1).filter(|found| **found == 1)?;
    *one = channels;
    (reads_image && equal(&whole)).then_some(WeightPlacement::Repeated { channels })
}

#[cfg(test)]
mod tests {
    use vesal_network::{
        DintsArchitecture, DintsConfig, PatchMerging, SegResNet2dConfig, SegResNetDsConfig,
        SwinUnetrConfig,
    };

    use super::*;

    /// A small network of each family.
    fn networks(in_channels: usize) -> [NetworkConfig; 4] {
        [
            SegResNetDsConfig {
                in_channels,
                out_channels: 2,
                init_filters: 4,
                blocks_down: vec![1, 1],
                dsdepth: 1,
                resolution: None,
            }
            .into(),
            SegResNet2dConfig {
                in_channels,
                out_channels: 2,
                init_filters: 4,
                blocks_down: vec![1, 1],
                dsdepth: 1,
            }
            .into(),
            DintsConfig {
                in_channels,
                out_channels: 2,
                filters: 4,
                architecture: DintsArchitecture::default(),
            }
            .into(),
            SwinUnetrConfig {
                in_channels,
                out_channels: 2,
                feature_size: 12,
                patch_merging: PatchMerging::Monai15,
            }
            .into(),
        ]
    }

    fn shapes(config: &NetworkConfig) -> BTreeMap<String, Vec<usize>> {
        config.tensors().into_iter().collect()
    }

    #[test]
    fn what_reads_the_image_depends_on_its_channels_and_nothing_else_does() {
        for (one, three) in networks(1).iter().zip(networks(3)) {
            let (found, expected) = (shapes(one), shapes(&three));
            let placed = placements(&found, &three).unwrap();
            let mut repeated = 0;
            for (tensor, placement) in placed {
                let reads = three.reads_image(&tensor);
                assert_eq!(found[&tensor] != expected[&tensor], reads, "{tensor}");
                let channels = 3;
                let expected = match reads {
                    true => WeightPlacement::Repeated { channels },
                    false => WeightPlacement::Same,
                };
                assert_eq!(placement, expected, "{tensor}");
                repeated += usize::from(reads);
            }
            assert!(repeated > 0, "{}", three.family());
        }
    }

    #[test]
    fn one_channel_is_repeated_for_convolutions_of_the_image_alone() {
        let channels = 3;
        let repeated = Some(WeightPlacement::Repeated { channels });
        let placed = |found: &[usize]| placement(found, &[2, 3, 1, 1, 2], true);
        assert_eq!(placed(&[2, 1, 1, 1, 2]), repeated);
        assert_eq!(placed(&[2, 3, 1, 1, 2]), Some(WeightPlacement::Same));
        for other in [
            &[2, 2, 1, 1, 2][..],
            &[3, 1, 1, 1, 2],
            &[2, 1, 1, 1],
            &[2],
            &[],
        ] {
            assert_eq!(placed(other), None, "{other:?}");
        }
        // As many channels as the image has, elsewhere in the network.
        assert_eq!(placement(&[2, 1, 1, 1, 2], &[2, 3, 1, 1, 2], false), None);
        assert_eq!(placement(&[4], &[5], true), None);
    }

    #[test]
    fn planar_kernels_have_one_voxel_along_z() {
        let placed = |found: &[usize]| placement(found, &[1, 2, 2, 2, 1], true);
        assert_eq!(placed(&[1, 2, 2, 2]), Some(WeightPlacement::Same));
        let channels = 2;
        assert_eq!(
            placed(&[1, 1, 2, 2]),
            Some(WeightPlacement::Repeated { channels })
        );
    }

    #[test]
    fn weights_of_another_family_are_missing() {
        let networks = networks(1);
        for (at, config) in networks.iter().enumerate() {
            let other = shapes(&networks[(at + 1) % networks.len()]);
            let error = placements(&other, config).unwrap_err();
            assert!(
                matches!(&error, InitialWeightsError::Missing { names, .. } if names.len() == LISTED),
                "{error}"
            );
        }
    }
}
