//! Layers and blocks that networks share.

mod batch_norm;
mod instance_norm;
mod layer_norm;
mod linear;
mod named;
mod norm;
mod residual;
mod residual_unet;
mod running_statistic;
mod upsample;

pub use batch_norm::BatchNorm;
pub use instance_norm::InstanceNorm;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use named::NamedModules;
pub use norm::Norm;
pub use residual::ResidualBlock;
pub use residual_unet::ResidualUNet;
pub use running_statistic::RunningStatistic;
pub use upsample::UpSample;
pub use vesal_kernels::Nonlinearity;

use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, Conv3dConfig};
use burn::tensor::backend::Backend;

/// A convolution without bias that keeps the shape at stride 1.
pub(crate) fn conv<B: Backend>(
    channels: [usize; 2],
    kernel: [usize; 3],
    stride: [usize; 3],
    device: &B::Device,
) -> Conv3d<B> {
    let [x, y, z] = kernel.map(|k| k / 2);
    Conv3dConfig::new(channels, kernel)
        .with_stride(stride)
        .with_padding(PaddingConfig3d::Explicit(x, y, z))
        .with_bias(false)
        .init(device)
}
