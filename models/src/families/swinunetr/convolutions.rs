//! Blocks of convolutions.

use burn::module::Module;
use burn::nn::conv::{Conv3d, Conv3dConfig, ConvTranspose3d, ConvTranspose3dConfig};
use burn::tensor::backend::Backend;

use crate::blocks::{InstanceNorm, conv};
use crate::ops::NetworkOps;

/// Factor of negative activations.
const SLOPE: f32 = 0.01;

/// A convolution at the path at which MONAI has it.
#[derive(Module, Debug)]
pub(super) struct SwinConvolution<B: Backend> {
    conv: Conv3d<B>,
}

impl<B: Backend> SwinConvolution<B> {
    fn new(channels: [usize; 2], kernel: usize, device: &B::Device) -> Self {
        Self {
            conv: conv(channels, [kernel; 3], [1; 3], device),
        }
    }

    /// A map of the channels of each voxel.
    pub fn with_bias(channels: [usize; 2], device: &B::Device) -> Self {
        Self {
            conv: Conv3dConfig::new(channels, [1; 3]).init(device),
        }
    }

    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        ops.conv(&self.conv, x)
    }
}

/// `lrelu(norm(conv2(lrelu(norm(conv1(x))))) + x)`, where `x` passes a convolution of one voxel and a norm if the number of
/// channels changes; norms are instance norms without weights.
///
/// **Source**: MONAI 1.6.1 `UnetResBlock`.
#[derive(Module, Debug)]
struct ResidualBlock<B: Backend> {
    conv1: SwinConvolution<B>,
    conv2: SwinConvolution<B>,
    conv3: Option<SwinConvolution<B>>,
    channels: usize,
}

impl<B: Backend> ResidualBlock<B> {
    fn new([inputs, outputs]: [usize; 2], device: &B::Device) -> Self {
        Self {
            conv1: SwinConvolution::new([inputs, outputs], 3, device),
            conv2: SwinConvolution::new([outputs; 2], 3, device),
            conv3: (inputs != outputs).then(|| SwinConvolution::new([inputs, outputs], 1, device)),
            channels: outputs,
        }
    }

    fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        let norm = InstanceNorm::without_weights(self.channels);
        let y = self.conv1.run(ops, x.clone());
        let y = ops.norm_leaky_relu(&norm, y, SLOPE);
        let y = self.conv2.run(ops, y);
        let y = ops.instance_norm(&norm, y);
        let x = match &self.conv3 {
            Some(conv) => {
                let x = conv.run(ops, x);
                ops.instance_norm(&norm, x)
            }
            None => x,
        };
        ops.add_leaky_relu(y, x, SLOPE)
    }
}

/// A residual block between encoder and decoder.
///
/// **Source**: MONAI 1.6.1 `UnetrBasicBlock`.
#[derive(Module, Debug)]
pub(super) struct EncoderBlock<B: Backend> {
    layer: ResidualBlock<B>,
}

impl<B: Backend> EncoderBlock<B> {
    pub fn new(channels: [usize; 2], device: &B::Device) -> Self {
        Self {
            layer: ResidualBlock::new(channels, device),
        }
    }

    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        self.layer.run(ops, x)
    }
}

/// Doubles each axis, joins what the encoder saw at that resolution, and ends in a residual block.
///
/// **Source**: MONAI 1.6.1 `UnetrUpBlock`.
#[derive(Module, Debug)]
pub(super) struct DecoderBlock<B: Backend> {
    transp_conv: UpConvolution<B>,
    conv_block: ResidualBlock<B>,
}

/// A transposed convolution at the path at which MONAI has it.
#[derive(Module, Debug)]
struct UpConvolution<B: Backend> {
    conv: ConvTranspose3d<B>,
}

impl<B: Backend> DecoderBlock<B> {
    pub fn new([coarse, fine]: [usize; 2], device: &B::Device) -> Self {
        let up = ConvTranspose3dConfig::new([coarse, fine], [2; 3])
            .with_stride([2; 3])
            .with_bias(false);
        Self {
            transp_conv: UpConvolution {
                conv: up.init(device),
            },
            conv_block: ResidualBlock::new([2 * fine, fine], device),
        }
    }

    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value, skip: O::Value) -> O::Value {
        let x = ops.conv_transpose(&self.transp_conv.conv, x);
        let x = ops.concat(vec![x, skip], 1);
        self.conv_block.run(ops, x)
    }
}
