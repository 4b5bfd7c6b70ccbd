//! Loading stored weights into a network: every parameter exactly once, with the right shape, and finite.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::ParamId;
use burn::tensor::backend::Backend;
use burn_store::{ModuleSnapshot, TensorSnapshot};
use thiserror::Error;
use vesal_models::Network;
use vesal_network::{ArchitectureError, ConfigError, NetworkConfig};
use vesal_weights::SafetensorsError;

pub use vesal_weights::StateDict;

/// Most names that a message lists.
const LISTED: usize = 5;

/// Why weights do not fit a network.
#[derive(Debug, Error)]
pub enum WeightsError {
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// A tensor that cannot be read as 32-bit floats.
    #[error("tensor `{tensor}` has elements of type {found}, expected floats")]
    Type { tensor: String, found: String },
    /// A tensor whose data cannot be read.
    #[error("tensor `{tensor}` cannot be read: {problem}")]
    Tensor {
        tensor: String,
        /// Error of the reader.
        problem: String,
    },
    /// The network's description is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tensors belong to another network.
    #[error("the weights belong to another network than the one described")]
    Architecture(#[from] ArchitectureError),
    /// Parameters without a tensor.
    #[error("the weights lack {count} parameters of the network: {}", list(names))]
    Missing {
        count: usize,
        /// The first of them.
        names: Vec<String>,
    },
    /// Tensors without a parameter.
    #[error(
        "the weights have {count} tensors that the network has no parameter for: {}",
        list(names)
    )]
    Unused {
        count: usize,
        /// The first of them.
        names: Vec<String>,
    },
    /// A tensor of another shape.
    #[error("tensor `{tensor}` has shape {found:?}, expected {expected:?}")]
    Shape {
        tensor: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    /// A tensor with an infinity or NaN.
    #[error("tensor `{tensor}` has a value that is infinite or not a number")]
    NotFinite { tensor: String },
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Reads the tensors of a safetensors file.
///
/// **Errors**: the bytes are not a safetensors file, or a tensor has no floats.
pub fn from_safetensors(bytes: &[u8]) -> Result<StateDict, WeightsError> {
    Ok(vesal_weights::from_safetensors(bytes)?)
}

/// Builds a network with these weights.
///
/// The description is compared with the tensors' shapes before anything is built, so that a wrong one costs no memory.
///
/// **Errors**: [`WeightsError`].
pub fn load<B: Backend>(
    config: &NetworkConfig,
    tensors: StateDict,
    device: &B::Device,
) -> Result<Network<B>, WeightsError> {
    config.validate()?;
    let shapes = tensors
        .iter()
        .map(|(name, data)| (name.as_str(), data.shape.to_vec()))
        .collect();
    config.check_shapes(&shapes)?;

    let mut network = vesal_models::init::<B>(config, device)?;
    let expected: BTreeMap<String, Vec<usize>> = config.tensors().into_iter().collect();
    let wanted: BTreeSet<&String> = expected.keys().collect();
    let found: BTreeSet<&String> = tensors.keys().collect();
    let first = |names: &[&&String]| {
        names
            .iter()
            .take(LISTED)
            .map(|name| name.to_string())
            .collect()
    };
    let missing: Vec<_> = wanted.difference(&found).collect();
    if !missing.is_empty() {
        return Err(WeightsError::Missing {
            count: missing.len(),
            names: first(&missing),
        });
    }
    let unused: Vec<_> = found.difference(&wanted).collect();
    if !unused.is_empty() {
        return Err(WeightsError::Unused {
            count: unused.len(),
            names: first(&unused),
        });
    }

    let mut snapshots = Vec::with_capacity(tensors.len());
    for (name, mut data) in tensors {
        let (found, expected) = (data.shape.to_vec(), &expected[&name]);
        // A family of 2-D networks takes its convolutions for 3-D ones of one voxel along Z.
        if found.len() == 4 && found.iter().chain(&[1]).eq(expected) {
            data.shape = expected.as_slice().into();
        } else if found != *expected {
            return Err(WeightsError::Shape {
                tensor: name,
                found,
                expected: expected.clone(),
            });
        }
        match data.as_slice::<f32>() {
            Ok(values) if values.iter().all(|value| value.is_finite()) => {}
            Ok(_) => return Err(WeightsError::NotFinite { tensor: name }),
            Err(_) => {
                return Err(WeightsError::Type {
                    tensor: name,
                    found: format!("{:?}", data.dtype),
                });
            }
        }
        let path = name.split('.').map(str::to_owned).collect();
        snapshots.push(TensorSnapshot::from_data(
            data,
            path,
            Vec::new(),
            ParamId::new(),
        ));
    }
    let applied = network.apply(snapshots, None, None, true);
    match applied.errors.first() {
        None => Ok(network),
        Some(error) => Err(WeightsError::Tensor {
            tensor: String::new(),
            problem: error.to_string(),
        }),
    }
}
