//! A cell: resampling, then an operation.

use burn::module::Module;
use burn::nn::conv::Conv3d;
use burn::tensor::backend::Backend;
use vesal_network::{CellRate, DintsCell, DintsConfig};

use super::layers::{ConvNorm, Rectifiable};
use crate::blocks::{InstanceNorm, conv};
use crate::ops::NetworkOps;

/// A way from a node to one of the next block.
///
/// **Source**: MONAI 1.6.1 `Cell`.
#[derive(Module, Debug)]
pub(super) struct Cell<B: Backend> {
    preprocess: Resampling<B>,
    op: Operations<B>,
    #[module(skip)]
    pub place: DintsCell,
}

/// What changes voxels and channels; nothing where the cell leads to the same node.
///
/// **Source**: MONAI 1.6.1 `ActiConvNormBlock` behind an upsampling, and `FactorizedReduceBlock`.
#[derive(Module, Debug)]
struct Resampling<B: Backend> {
    /// Of twice the voxels.
    conv: Option<Conv3d<B>>,
    /// Of the voxels of even indices, to half of the channels.
    conv_1: Option<Conv3d<B>>,
    /// Of those of odd indices, to the other half.
    conv_2: Option<Conv3d<B>>,
    norm: Option<InstanceNorm<B>>,
}

/// The operation; none that changes nothing.
#[derive(Module, Debug)]
struct Operations<B: Backend> {
    ops: Vec<ConvNorm<B>>,
}

impl<B: Backend> Cell<B> {
    pub fn new(config: &DintsConfig, place: DintsCell, device: &B::Device) -> Self {
        let [from, to] = [place.path.from, place.path.to].map(|node| config.width(node + 1));
        let [up, down] = [CellRate::Up, CellRate::Down].map(|rate| place.path.rate() == rate);
        let single =
            |outputs: usize, stride: usize| conv([from, outputs], [1; 3], [stride; 3], device);
        let kernels = place.operation.kernels();
        Self {
            preprocess: Resampling {
                conv: up.then(|| single(to, 1)),
                conv_1: down.then(|| single(to / 2, 2)),
                conv_2: down.then(|| single(to - to / 2, 1)),
                norm: (up || down).then(|| InstanceNorm::new(to, device)),
            },
            op: Operations {
                ops: (!kernels.is_empty())
                    .then(|| ConvNorm::new([to; 2], kernels, device))
                    .into_iter()
                    .collect(),
            },
            place,
        }
    }

    /// Interprets the cell.
    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, node: &mut Rectifiable<O::Value>) -> O::Value {
        let resampled = self.preprocess.run(ops, node);
        match (self.op.ops.first(), resampled, &self.preprocess.norm) {
            (Some(operation), Some(x), Some(norm)) => {
                let x = ops.norm_relu(norm, x);
                operation.run(ops, x)
            }
            (None, Some(x), Some(norm)) => ops.instance_norm(norm, x),
            (Some(operation), ..) => {
                let x = node.rectified(ops);
                operation.run(ops, x)
            }
            (None, ..) => node.value.clone(),
        }
    }
}

impl<B: Backend> Resampling<B> {
    /// Everything but the normalization; none where there is nothing.
    fn run<O: NetworkOps<B>>(
        &self,
        ops: &mut O,
        node: &mut Rectifiable<O::Value>,
    ) -> Option<O::Value> {
        if let Some(conv) = &self.conv {
            let x = double(ops, node.value.clone());
            let x = ops.relu(x);
            return Some(ops.conv(conv, x));
        }
        let (even, odd) = (self.conv_1.as_ref()?, self.conv_2.as_ref()?);
        let x = node.rectified(ops);
        let odd_voxels = ops.subsample(x.clone(), 1, 2);
        let halves = vec![ops.conv(even, x), ops.conv(odd, odd_voxels)];
        Some(ops.concat(halves, 1))
    }
}

/// Twice the voxels along each axis, by interpolation.
pub(super) fn double<B: Backend, O: NetworkOps<B>>(ops: &mut O, x: O::Value) -> O::Value {
    let (_, space) = ops.shape(&x).volume();
    ops.resize_linear(x, space.map(|size| 2 * size))
}
