//! Steps of an optimizer over all parameters of a network at once.

use std::collections::HashMap;

use burn::module::{AutodiffModule, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata, TensorPrimitive};
use vesal_kernels::{AdamWStep, BackendOps, Moments, SgdStep, Velocity};

use crate::algorithms::Optimizer;

/// What the optimizer keeps of a parameter, in the order of [`Optimizer::state_names`]: tensors of its shape.
pub type State<B> = Vec<FloatTensor<B>>;

/// An optimizer of all parameters of a network.
#[derive(Debug)]
pub struct GradientDescent<B: BackendOps> {
    /// States of the parameters that had a gradient.
    pub states: HashMap<ParamId, State<B>>,
    /// Number of steps.
    pub time: u32,
    optimizer: Optimizer,
    weight_decay: f32,
    max_norm: Option<f32>,
}

impl<B: BackendOps> GradientDescent<B> {
    /// An optimizer before its first step; `max_norm` limits the norm of all gradients together.
    pub fn new(optimizer: Optimizer, weight_decay: f64, max_norm: Option<f64>) -> Self {
        Self {
            states: HashMap::new(),
            time: 0,
            optimizer,
            weight_decay: weight_decay as f32,
            max_norm: max_norm.map(|norm| norm as f32),
        }
    }

    /// Names of the tensors of a [`State`].
    pub fn state_names(&self) -> &'static [&'static str] {
        self.optimizer.state_names()
    }

    /// Performs a step with gradients of the loss times `1 / gradient_factor`.
    ///
    /// With `guarded`, or a limited norm, the step changes nothing if any gradient is infinite or NaN. The returned sum
    /// of squared gradients shows whether the step has to be [undone](Self::undo).
    pub fn step<A, N>(
        &mut self,
        rate: f64,
        network: N,
        gradients: GradientsParams,
        gradient_factor: f32,
        guarded: bool,
    ) -> (N, Option<Tensor<B, 1>>)
    where
        A: AutodiffBackend<InnerBackend = B>,
        N: AutodiffModule<A>,
    {
        let mut collector = GradientCollector::<A, B> {
            gradients,
            states: &mut self.states,
            tensors: self.optimizer.state_names().len(),
            ids: Vec::new(),
            collected: Vec::new(),
            blank: None,
        };
        let network = network.map(&mut collector);
        let GradientCollector { ids, collected, .. } = collector;
        self.time += 1;
        let guard = (guarded || self.max_norm.is_some()).then(|| {
            let gradients: Vec<_> = collected
                .iter()
                .map(|parameter| parameter.gradient.clone())
                .collect();
            B::squared_norm(&gradients)
        });
        let updated = self.update(collected, rate as f32, gradient_factor, guard.clone());
        let mut weights = HashMap::with_capacity(ids.len());
        for (id, (values, state)) in ids.into_iter().zip(updated) {
            weights.insert(id, values);
            self.states.insert(id, state);
        }
        let network = network.map(&mut ParameterUpdater { weights });
        let guard = guard.map(|guard| Tensor::from_primitive(TensorPrimitive::Float(guard)));
        (network, guard)
    }

    /// Weights and states after a step.
    fn update(
        &self,
        parameters: Vec<Collected<B>>,
        rate: f32,
        gradient_factor: f32,
        guard: Option<FloatTensor<B>>,
    ) -> Vec<(FloatTensor<B>, State<B>)> {
        let (decay, max_norm) = (self.weight_decay, self.max_norm);
        match self.optimizer {
            Optimizer::AdamW { betas, epsilon } => {
                let step = AdamWStep {
                    rate,
                    betas,
                    epsilon,
                    decay,
                    time: self.time,
                    gradient_factor,
                    max_norm,
                };
                let moments = parameters.into_iter().map(|mut parameter| {
                    let [first, second] = parameter.state();
                    Moments {
                        weights: parameter.weights,
                        gradient: parameter.gradient,
                        first,
                        second,
                    }
                });
                let updated = B::adamw(moments.collect(), step, guard).into_iter();
                updated
                    .map(|[weights, first, second]| (weights, vec![first, second]))
                    .collect()
            }
            Optimizer::Sgd { momentum } => {
                let step = SgdStep {
                    rate,
                    momentum,
                    decay,
                    gradient_factor,
                    max_norm,
                };
                let velocities = parameters.into_iter().map(|mut parameter| {
                    let [velocity] = parameter.state();
                    Velocity {
                        weights: parameter.weights,
                        gradient: parameter.gradient,
                        velocity,
                    }
                });
                let updated = B::sgd(velocities.collect(), step, guard).into_iter();
                updated
                    .map(|[weights, velocity]| (weights, vec![velocity]))
                    .collect()
            }
        }
    }

    /// Uncounts a step that changed nothing.
    pub fn undo(&mut self) {
        self.time = self.time.saturating_sub(1);
    }
}

/// A parameter with its gradient and its state.
struct Collected<B: Backend> {
    weights: FloatTensor<B>,
    gradient: FloatTensor<B>,
    state: State<B>,
}

impl<B: Backend> Collected<B> {
    /// Takes the state, without which no other reference to its tensors exists.
    fn state<const N: usize>(&mut self) -> [FloatTensor<B>; N] {
        let state = std::mem::take(&mut self.state);
        state
            .try_into()
            .unwrap_or_else(|_| unreachable!("as many tensors as `state_names`"))
    }
}

/// Takes the parameters out of a network, so that no other reference exists and they are updated in place.
struct GradientCollector<'a, A: AutodiffBackend, B: Backend> {
    gradients: GradientsParams,
    states: &'a mut HashMap<ParamId, State<B>>,
    /// Number of tensors in a state.
    tensors: usize,
    ids: Vec<ParamId>,
    collected: Vec<Collected<B>>,
    blank: Option<Tensor<A, 1>>,
}

impl<A: AutodiffBackend<InnerBackend = B>, B: BackendOps> ModuleMapper<A>
    for GradientCollector<'_, A, B>
{
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove::<B, D>(id) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let device = tensor.device();
        let weights = tensor.inner().into_primitive().tensor();
        let state = self.states.remove(&id).unwrap_or_else(|| {
            let (shape, device) = (weights.shape(), B::float_device(&weights));
            // Flattened, because backends may pad the rows of other tensors.
            let zeros = || {
                let flat = Tensor::<B, 1>::zeros([shape.num_elements()], &device);
                B::float_reshape(flat.into_primitive().tensor(), shape.clone())
            };
            (0..self.tensors).map(|_| zeros()).collect()
        });
        self.ids.push(id);
        self.collected.push(Collected {
            weights,
            gradient: gradient.into_primitive().tensor(),
            state,
        });
        let blank = self
            .blank
            .get_or_insert_with(|| Tensor::zeros([1], &device))
            .clone();
        Param::from_mapped_value(id, blank.reshape([1; D]), mapper)
    }
}

/// Puts the updated parameters back.
struct ParameterUpdater<B: Backend> {
    weights: HashMap<ParamId, FloatTensor<B>>,
}

impl<A: AutodiffBackend<InnerBackend = B>, B: Backend> ModuleMapper<A> for ParameterUpdater<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.weights.remove(&id) {
            Some(weights) => {
                let weights = Tensor::<B, D>::from_primitive(TensorPrimitive::Float(weights));
                Tensor::from_inner(weights).require_grad()
            }
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}
