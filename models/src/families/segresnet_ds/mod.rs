//! SegResNetDS: a residual U-Net with deep supervision and kernels that follow anisotropic spacing.

pub(crate) mod monai;

use burn::tensor::backend::Backend;
use vesal_network::SegResNetDsConfig;

use crate::blocks::{InstanceNorm, ResidualUNet};

/// The network. Module paths equal the keys of MONAI's state dict.
///
/// **Shapes**: `[N, in_channels, X, Y, Z]` → `[N, out_channels, X, Y, Z]`.
///
/// **Source**: MONAI 1.6.1 `SegResNetDS` with `norm="INSTANCE"`, `act="relu"`, `upsample_mode="deconv"`.
pub type SegResNetDs<B> = ResidualUNet<B, InstanceNorm<B>>;

impl<B: Backend> SegResNetDs<B> {
    /// Builds the network with fresh weights (PyTorch's default initialization).
    pub(crate) fn new(config: &SegResNetDsConfig, device: &B::Device) -> Self {
        Self::with_config(&config.unet(), device)
    }
}
