//! Devices of a training, and sums over them.

use std::collections::HashMap;

use burn::module::{AutodiffModule, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};
use vesal_kernels::Reduction;

use super::{FitError, TrainDevice};

/// One device of a training.
#[derive(Debug)]
pub struct Rank<B: AutodiffBackend> {
    pub name: TrainDevice,
    pub device: B::Device,
    /// Its part of the sums over all devices; `None` for a single device.
    pub reduction: Option<Box<dyn Reduction<B::InnerBackend>>>,
}

/// All devices of a training.
#[derive(Debug)]
pub struct Ranks<B: AutodiffBackend> {
    /// The device that also validates, and whose state is kept.
    pub first: Rank<B>,
    pub others: Vec<Rank<B>>,
}

impl<B: AutodiffBackend> Ranks<B> {
    pub fn only(name: TrainDevice, device: B::Device) -> Self {
        Self {
            first: Rank {
                name,
                device,
                reduction: None,
            },
            others: Vec::new(),
        }
    }

    /// Checks that a step has a patch for each device.
    ///
    /// **Errors**: [`FitError::Shares`].
    pub fn check_shares(&self, patches: usize) -> Result<(), FitError> {
        let devices = 1 + self.others.len();
        if devices > patches {
            return Err(FitError::Shares { patches, devices });
        }
        Ok(())
    }
}

impl<B: AutodiffBackend> Rank<B> {
    /// Submits all operations so far to the device, without waiting.
    pub fn flush(&self) {
        if let Some(reduction) = &self.reduction {
            reduction.flush();
        }
    }

    /// Waits until all operations so far are submitted to the device, but not until they are finished.
    pub fn wait_for_launches(&self) {
        if let Some(reduction) = &self.reduction {
            reduction.wait_for_launches();
        }
    }

    /// Sums the loss and all gradients over all devices.
    pub fn sum<N: AutodiffModule<B>>(
        &self,
        network: &N,
        loss: Tensor<B::InnerBackend, 1>,
        mut gradients: GradientsParams,
    ) -> (Tensor<B::InnerBackend, 1>, GradientsParams) {
        let Some(reduction) = &self.reduction else {
            return (loss, gradients);
        };
        let mut own = GradientsToSum::<B::InnerBackend> {
            gradients: &mut gradients,
            ids: Vec::new(),
            tensors: Vec::new(),
        };
        network.visit(&mut own);
        let GradientsToSum {
            ids, mut tensors, ..
        } = own;
        tensors.push(loss.into_primitive().tensor());
        let mut sums = reduction.sum(tensors);
        let loss = sums.pop().map(float).expect("a sum for each tensor");
        network.visit(&mut SummedGradients::<B::InnerBackend> {
            sums: ids.into_iter().zip(sums).collect(),
            gradients: &mut gradients,
        });
        (loss, gradients)
    }
}

/// Takes out the gradients in the order of the network's parameters.
struct GradientsToSum<'a, B: Backend> {
    gradients: &'a mut GradientsParams,
    ids: Vec<ParamId>,
    tensors: Vec<FloatTensor<B>>,
}

impl<A: AutodiffBackend<InnerBackend = B>, B: Backend> ModuleVisitor<A> for GradientsToSum<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if let Some(gradient) = self.gradients.remove::<B, D>(param.id) {
            self.ids.push(param.id);
            self.tensors.push(gradient.into_primitive().tensor());
        }
    }
}

/// Replaces the gradients by their sums.
struct SummedGradients<'a, B: Backend> {
    sums: HashMap<ParamId, FloatTensor<B>>,
    gradients: &'a mut GradientsParams,
}

impl<A: AutodiffBackend<InnerBackend = B>, B: Backend> ModuleVisitor<A> for SummedGradients<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if let Some(sum) = self.sums.remove(&param.id) {
            self.gradients.register::<B, D>(param.id, float(sum));
        }
    }
}

fn float<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}
