//! SegResNetDS in two dimensions: a volume plane by plane, with batch normalization.

pub(crate) mod monai;

use burn::module::Module;
use burn::tensor::backend::Backend;
use vesal_network::SegResNet2dConfig;

use crate::blocks::{BatchNorm, ResidualUNet};
use crate::ops::NetworkOps;
use crate::segmentation::{Heads, SegmentationNetwork};

/// The network. Module paths equal the keys of Auto3DSeg's state dict; the weights of its 2-D convolutions are those of
/// 3-D ones with one voxel along Z.
///
/// **Shapes**: `[N, in_channels, X, Y, Z]` → `[N, out_channels, X, Y, Z]`.
///
/// **Source**: MONAI 1.6.1 `SegResNetDS` with `spatial_dims=2`, `norm="BATCH"`, `act="relu"`, `upsample_mode="deconv"`, on
/// the planes of all cases as one batch (Auto3DSeg's `WrappedModel2D`). A batch normalization of all planes is that of the
/// volumes.
#[derive(Module, Debug)]
pub struct SegResNet2d<B: Backend> {
    net: ResidualUNet<B, BatchNorm<B>>,
}

impl<B: Backend> SegResNet2d<B> {
    /// Builds the network with fresh weights (PyTorch's default initialization).
    pub(crate) fn new(config: &SegResNet2dConfig, device: &B::Device) -> Self {
        Self {
            net: ResidualUNet::with_config(&config.unet(), device),
        }
    }
}

impl<B: Backend> SegmentationNetwork<B> for SegResNet2d<B> {
    fn run<O: NetworkOps<B>>(&self, ops: &mut O, input: O::Value, heads: Heads) -> Vec<O::Value> {
        self.net.run(ops, input, heads)
    }

    fn shape_factor(&self) -> [usize; 3] {
        self.net.shape_factor()
    }
}
