//! Stems: from the image to the nodes, and from the nodes to the output.

use burn::module::Module;
use burn::nn::conv::Conv3d;
use burn::tensor::backend::Backend;
use vesal_network::DintsConfig;

use super::cell::double;
use crate::blocks::{InstanceNorm, NamedModules, conv};
use crate::ops::NetworkOps;

/// Name of the sequence of layers that a stem is.
const SEQUENCE: &str = "mod";

/// A layer without weights, which only has a place in a sequence.
#[derive(Module, Clone, Debug)]
pub(super) struct Unweighted;

/// Resizes the image, convolves it, and halves the voxels by a second convolution.
///
/// **Source**: MONAI 1.6.1 `DiNTS.stem_down`.
pub(super) type StemDown<B> = NamedModules<(
    Unweighted,
    Conv3d<B>,
    InstanceNorm<B>,
    Unweighted,
    Conv3d<B>,
    InstanceNorm<B>,
)>;

/// Convolves a node and doubles its voxels.
///
/// **Source**: MONAI 1.6.1 `DiNTS.stem_up`.
pub(super) type StemUp<B> = NamedModules<(Unweighted, Conv3d<B>, InstanceNorm<B>)>;

impl<B: Backend> StemDown<B> {
    /// The stem that leads to a node.
    pub(super) fn to(node: usize, config: &DintsConfig, device: &B::Device) -> Self {
        let [fine, coarse] = [node, node + 1].map(|halvings| config.width(halvings));
        let layers = (
            Unweighted,
            conv([config.in_channels, fine], [3; 3], [1; 3], device),
            InstanceNorm::new(fine, device),
            Unweighted,
            conv([fine, coarse], [3; 3], [2; 3], device),
            InstanceNorm::new(coarse, device),
        );
        Self::one(SEQUENCE, layers)
    }

    /// Interprets the stem of a node.
    pub(super) fn run<O: NetworkOps<B>>(
        &self,
        ops: &mut O,
        node: usize,
        image: O::Value,
    ) -> O::Value {
        let (_, conv1, norm1, _, conv2, norm2) = self.single();
        let (_, space) = ops.shape(&image).volume();
        let x = ops.resize_linear(image, space.map(|size| size >> node));
        let x = ops.conv(conv1, x);
        let x = ops.norm_relu(norm1, x);
        let x = ops.conv(conv2, x);
        ops.instance_norm(norm2, x)
    }
}

impl<B: Backend> StemUp<B> {
    /// The stem that leads from a node.
    pub(super) fn from(node: usize, config: &DintsConfig, device: &B::Device) -> Self {
        let [fine, coarse] = [node, node + 1].map(|halvings| config.width(halvings));
        let layers = (
            Unweighted,
            conv([coarse, fine], [3; 3], [1; 3], device),
            InstanceNorm::new(fine, device),
        );
        Self::one(SEQUENCE, layers)
    }

    /// Interprets the stem of a node.
    pub(super) fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        let (_, conv, norm) = self.single();
        let x = ops.relu(x);
        let x = ops.conv(conv, x);
        let x = ops.instance_norm(norm, x);
        double(ops, x)
    }
}
