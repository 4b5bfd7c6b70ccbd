//! Initialization and copies of networks.

use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use vesal_models::Network;
use vesal_network::{ConfigError, NetworkConfig};

/// Builds a network with random weights from the seed.
pub fn initialize<B: AutodiffBackend>(
    config: &NetworkConfig,
    seed: u64,
    device: &B::Device,
) -> Result<Network<B>, ConfigError> {
    // The generator belongs to the whole process; concurrent trainings must not draw from it at the same time.
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _drawing = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    B::seed(device, seed);
    let network = copy_to(vesal_models::init(config, device)?, device);
    B::memory_cleanup(device);
    Ok(network)
}

/// Copies a network to a device.
pub fn copy_to<B: AutodiffBackend>(network: Network<B>, device: &B::Device) -> Network<B> {
    network.map(&mut Copy { device })
}

/// Copies weights into memory without padding between rows; lazily initialized weights are drawn first.
struct Copy<'a, D> {
    device: &'a D,
}

impl<B: Backend> ModuleMapper<B> for Copy<'_, B::Device> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.shape();
        let mut data = tensor.into_data();
        data.shape = [shape.num_elements()].into();
        let weights = Tensor::<B, 1>::from_data(data, self.device).reshape(shape);
        Param::from_mapped_value(id, weights.require_grad(), mapper)
    }
}
