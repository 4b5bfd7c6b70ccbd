//! Weights from a file as the start of a training: all but the last layer.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use vesal_files::digest;
use vesal_models::Network;
use vesal_network::NetworkConfig;

use crate::initial_weights::{InitialWeightsError, WeightPlacement, placements};
use crate::train_plan::InitialWeights;

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
    let shapes = tensors.iter();
    let shapes = shapes.map(|(name, data)| (name.clone(), data.shape.to_vec()));
    let placements = placements(&shapes.collect(), config)?;
    let mut values = BTreeMap::new();
    for (tensor, placement) in placements {
        let found = tensors
            .remove(&tensor)
            .and_then(|data| place(data, placement));
        let found = found.filter(|values| values.iter().all(|value| value.is_finite()));
        let Some(found) = found else {
            return Err(InitialWeightsError::NotFinite { tensor });
        };
        values.insert(tensor, found);
    }
    let mut replace = Replace {
        modules: Vec::new(),
        values,
        device,
    };
    Ok(network.map(&mut replace))
}

/// The values of a parameter; none where the tensor has no 32-bit floats.
fn place(data: TensorData, placement: WeightPlacement) -> Option<Vec<f32>> {
    match placement {
        WeightPlacement::Same => data.into_vec::<f32>().ok(),
        WeightPlacement::Repeated { channels } => {
            let kernel = data.shape.iter().skip(2).product::<usize>().max(1);
            let filters = data.as_slice::<f32>().ok()?.chunks(kernel);
            Some(filters.flat_map(|filter| filter.repeat(channels)).collect())
        }
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

    #[test]
    fn every_channel_gets_the_weights_of_the_only_one() {
        let data = |shape: &[usize]| {
            let count = shape.iter().product::<usize>();
            let values: Vec<f32> = (0..count).map(|value| value as f32).collect();
            TensorData::new(values, shape.to_vec())
        };
        let channels = 3;
        let repeated = place(
            data(&[2, 1, 1, 1, 2]),
            WeightPlacement::Repeated { channels },
        );
        let expected = [0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3].map(|value| value as f32);
        assert_eq!(repeated, Some(expected.to_vec()));
        assert_eq!(
            place(data(&[3]), WeightPlacement::Same),
            Some(vec![0., 1., 2.])
        );
    }
}
