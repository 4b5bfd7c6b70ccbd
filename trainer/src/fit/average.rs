//! Moving average of a network's weights.

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata, TensorPrimitive};
use vesal_models::Network;

/// The exponential moving average of the weights of all steps.
///
/// **Definition**: after step `t` from 1, `a ← d a + (1 - d) w` with `d = min(decay, t / (t + 9))`, so that the random
/// initial weights soon lose influence.
///
/// **Source**: Polyak and Juditsky 1992; the increasing decay is that of TensorFlow's `ExponentialMovingAverage`.
#[derive(Debug)]
pub struct Average<B: AutodiffBackend> {
    pub network: Network<B>,
    /// Number of averaged steps.
    pub steps: u32,
    decay: f64,
}

impl<B: AutodiffBackend> Average<B> {
    /// An average that covers `steps` steps.
    pub fn new(network: Network<B>, steps: u32, decay: f64) -> Self {
        Self {
            network,
            steps,
            decay,
        }
    }

    /// Adds the weights after a step, without waiting for the device.
    pub fn add(mut self, network: &Network<B>) -> Self {
        self.steps = self.steps.saturating_add(1);
        let steps = f64::from(self.steps);
        let decay = self.decay.min(steps / (steps + 9.0));
        let mut collector = WeightCollector {
            weights: Vec::new(),
        };
        AutodiffModule::valid(network).visit(&mut collector);
        let mut update = EmaUpdate::<B::InnerBackend> {
            weights: collector.weights.into_iter(),
            decay,
        };
        self.network = self.network.map(&mut update);
        self
    }
}

/// Collects the weights in the order of the network's parameters.
struct WeightCollector<B: Backend> {
    weights: Vec<FloatTensor<B>>,
}

impl<B: Backend> ModuleVisitor<B> for WeightCollector<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.weights.push(param.val().into_primitive().tensor());
    }
}

/// Moves the average toward the weights.
struct EmaUpdate<B: Backend> {
    weights: std::vec::IntoIter<FloatTensor<B>>,
    decay: f64,
}

impl<A: AutodiffBackend<InnerBackend = B>, B: Backend> ModuleMapper<A> for EmaUpdate<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(weights) = self.weights.next() else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        // Flattened, because backends may pad the rows of other tensors.
        let shape = weights.shape();
        let flat = |values| {
            let values = B::float_reshape(values, [shape.num_elements()].into());
            Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(values))
        };
        let own = flat(tensor.inner().into_primitive().tensor());
        let mixed = own.mul_scalar(self.decay) + flat(weights).mul_scalar(1.0 - self.decay);
        let mixed = Tensor::<B, D>::from_primitive(TensorPrimitive::Float(B::float_reshape(
            mixed.into_primitive().tensor(),
            shape.clone(),
        )));
        Param::from_mapped_value(id, Tensor::from_inner(mixed), mapper)
    }
}
