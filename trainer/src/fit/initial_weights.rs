//! Weights from a file as the start of a training: all but the last layer.

use std::collections::BTreeMap;
use std::io;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use thiserror::Error;
use vesal_files::digest;
use vesal_models::Network;
use vesal_network::NetworkConfig;
use vesal_weights::WeightsFileError;

use crate::train_plan::InitialWeights;

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
            Self::Digest(_) | Self::NotFinite { .. } => None,
        }
    }
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Replaces all weights of a network but those of its last layers by those of a file. Where the file's network has one input
/// channel, every channel gets its weights.
///
/// **Errors**: [`InitialWeightsError`]; every other difference is one.
///
/// **Source**: Auto3DSeg's swinunetr, `use_pretrain`.
pub fn start_from<B: AutodiffBackend>(
    file: &InitialWeights,
    config: &NetworkConfig,
    network: Network<B>,
    device: &B::Device,
) -> Result<Network<B>, InitialWeightsError> {
    if digest::sha256_file(&file.path)?.1 != file.sha256 {
        return Err(InitialWeightsError::Changed);
    }
    let mut tensors = vesal_weights::read(&file.path)?;
    tensors.retain(|tensor, _| !config.is_head(tensor));
    let mut expected = Shapes::default();
    network.visit(&mut expected);
    let mut expected = expected.found;
    expected.retain(|tensor, _| !config.is_head(tensor));

    let family = config.family();
    let absent = |names: &mut dyn Iterator<Item = &String>| {
        let names: Vec<_> = names.cloned().collect();
        (
            names.len(),
            names.into_iter().take(LISTED).collect::<Vec<_>>(),
        )
    };
    let (count, names) = absent(&mut expected.keys().filter(|name| !tensors.contains_key(*name)));
    if count > 0 {
        let missing = InitialWeightsError::Missing {
            family,
            count,
            names,
        };
        return Err(missing);
    }
    let (count, names) = absent(&mut tensors.keys().filter(|name| !expected.contains_key(*name)));
    if count > 0 {
        return Err(InitialWeightsError::Unused {
            family,
            count,
            names,
        });
    }
    let mut values = BTreeMap::new();
    for (tensor, data) in tensors {
        let shape = &expected[&tensor];
        let fitted = fit(&data, shape, config.in_channels());
        let fitted = fitted.ok_or_else(|| InitialWeightsError::Shape {
            tensor: tensor.clone(),
            found: data.shape.to_vec(),
            expected: shape.clone(),
        })?;
        if fitted.iter().any(|value| !value.is_finite()) {
            return Err(InitialWeightsError::NotFinite { tensor });
        }
        values.insert(tensor, fitted);
    }
    let mut replace = Replace {
        modules: Vec::new(),
        values,
        device,
    };
    Ok(network.map(&mut replace))
}

/// The values of a tensor in the shape of a parameter.
fn fit(data: &TensorData, shape: &[usize], in_channels: usize) -> Option<Vec<f32>> {
    let values = data.as_slice::<f32>().ok()?;
    let found = data.shape.to_vec();
    // A family of 2-D networks takes its convolutions for 3-D ones of one voxel along Z.
    if found == shape || found.len() == 4 && found.iter().chain(&[1]).eq(shape) {
        return Some(values.to_vec());
    }
    let [outputs, channels, kernel @ ..] = shape else {
        return None;
    };
    if *channels != in_channels || found.get(..2)? != [*outputs, 1] {
        return None;
    }
    let same =
        found[2..] == *kernel || found.len() == 4 && found[2..].iter().chain(&[1]).eq(kernel);
    let size = kernel.iter().product::<usize>().max(1);
    let repeated = values
        .chunks(size)
        .flat_map(|filter| filter.repeat(in_channels));
    same.then(|| repeated.collect())
}

/// Collects the shapes of all parameters.
#[derive(Default)]
struct Shapes {
    modules: Vec<String>,
    found: BTreeMap<String, Vec<usize>>,
}

impl<B: Backend> ModuleVisitor<B> for Shapes {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.modules.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.modules.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let shape = param.shape().to_vec();
        self.found.insert(self.modules.join("."), shape);
    }
}

/// Replaces parameters by values.
struct Replace<'a, D> {
    modules: Vec<String>,
    values: BTreeMap<String, Vec<f32>>,
    device: &'a D,
}

impl<B: AutodiffBackend> ModuleMapper<B> for Replace<'_, B::Device> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.modules.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.modules.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(values) = self.values.remove(&self.modules.join(".")) else {
            return param;
        };
        let (id, tensor, mapper) = param.consume();
        let (shape, count) = (tensor.shape(), values.len());
        // Flattened, because backends may pad the rows of other tensors.
        let flat = TensorData::new(values, [count]);
        let weights = Tensor::<B::InnerBackend, 1>::from_data(flat, self.device).reshape(shape);
        let weights = Tensor::from_inner(weights).set_require_grad(tensor.is_require_grad());
        Param::from_mapped_value(id, weights, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(shape: &[usize]) -> TensorData {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|value| value as f32).collect();
        TensorData::new(values, shape.to_vec())
    }

    #[test]
    fn one_channel_is_repeated_and_nothing_else() {
        let repeated = fit(&data(&[2, 1, 1, 1, 2]), &[2, 3, 1, 1, 2], 3);
        let expected = [0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3].map(|value| value as f32);
        assert_eq!(repeated, Some(expected.to_vec()));
        assert_eq!(fit(&data(&[2, 2, 1, 1, 2]), &[2, 3, 1, 1, 2], 3), None);
        assert_eq!(fit(&data(&[2, 1, 1, 1, 2]), &[2, 3, 1, 1, 2], 4), None);
        assert_eq!(fit(&data(&[3, 1, 1, 1, 2]), &[2, 3, 1, 1, 2], 3), None);
        assert_eq!(fit(&data(&[4]), &[5], 5), None);
    }

    #[test]
    fn planar_kernels_have_one_voxel_along_z() {
        let expected: Vec<f32> = (0..8).map(|value| value as f32).collect();
        assert_eq!(
            fit(&data(&[1, 2, 2, 2]), &[1, 2, 2, 2, 1], 2),
            Some(expected)
        );
        let repeated = fit(&data(&[1, 1, 2, 1]), &[1, 2, 2, 1, 1], 2);
        assert_eq!(repeated, Some(vec![0., 1., 0., 1.]));
    }
}
