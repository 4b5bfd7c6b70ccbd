//! AdamW over all parameters of a network at once.

use std::collections::HashMap;

use burn::module::{AutodiffModule, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata, TensorPrimitive};
use vesal_kernels::{AdamWStep, BackendOps, Moments};

use crate::algorithms::Optimizer;

/// Moments of a parameter: running means of its gradient and of the squared gradient.
pub type State<B> = [FloatTensor<B>; 2];

/// AdamW, see [`Optimizer::AdamW`].
#[derive(Debug)]
pub struct AdamW<B: BackendOps> {
    /// States of the parameters that had a gradient.
    pub states: HashMap<ParamId, State<B>>,
    pub time: u32,
    betas: [f32; 2],
    epsilon: f32,
    weight_decay: f32,
    max_norm: Option<f32>,
}

impl<B: BackendOps> AdamW<B> {
    /// An optimizer before its first step; `max_norm` limits the norm of all gradients together.
    pub fn new(optimizer: Optimizer, weight_decay: f64, max_norm: Option<f64>) -> Self {
        let Optimizer::AdamW { betas, epsilon } = optimizer;
        Self {
            states: HashMap::new(),
            time: 0,
            betas,
            epsilon,
            weight_decay: weight_decay as f32,
            max_norm: max_norm.map(|norm| norm as f32),
        }
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
            ids: Vec::new(),
            moments: Vec::new(),
            blank: None,
        };
        let network = network.map(&mut collector);
        let GradientCollector { ids, moments, .. } = collector;
        self.time += 1;
        let step = AdamWStep {
            rate: rate as f32,
            betas: self.betas,
            epsilon: self.epsilon,
            decay: self.weight_decay,
            time: self.time,
            gradient_factor,
            max_norm: self.max_norm,
        };
        let guard = (guarded || self.max_norm.is_some()).then(|| {
            let gradients: Vec<_> = moments
                .iter()
                .map(|moments| moments.gradient.clone())
                .collect();
            B::squared_norm(&gradients)
        });
        let updated = B::adamw(moments, step, guard.clone());
        let mut weights = HashMap::with_capacity(ids.len());
        for (id, [values, first, second]) in ids.into_iter().zip(updated) {
            weights.insert(id, values);
            self.states.insert(id, [first, second]);
        }
        let network = network.map(&mut ParameterUpdater { weights });
        let guard = guard.map(|guard| Tensor::from_primitive(TensorPrimitive::Float(guard)));
        (network, guard)
    }

    /// Uncounts a step that changed nothing.
    pub fn undo(&mut self) {
        self.time = self.time.saturating_sub(1);
    }
}

/// Takes the parameters out of a network, so that no other reference exists and they are updated in place.
struct GradientCollector<'a, A: AutodiffBackend, B: Backend> {
    gradients: GradientsParams,
    states: &'a mut HashMap<ParamId, State<B>>,
    ids: Vec<ParamId>,
    moments: Vec<Moments<B>>,
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
        let [first, second] = self.states.remove(&id).unwrap_or_else(|| {
            let (shape, device) = (weights.shape(), B::float_device(&weights));
            // Flattened, because backends may pad the rows of other tensors.
            let zeros = || {
                let flat = Tensor::<B, 1>::zeros([shape.num_elements()], &device);
                B::float_reshape(flat.into_primitive().tensor(), shape.clone())
            };
            [zeros(), zeros()]
        });
        self.ids.push(id);
        self.moments.push(Moments {
            weights,
            gradient: gradient.into_primitive().tensor(),
            first,
            second,
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
