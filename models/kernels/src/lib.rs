//! The layers, the loss and the optimizer of training, each as one fused operation of a backend.
//!
//! [`BackendOps`] holds the operations of a backend without autodiff. Each has a default in Burn's own operations,
//! which the CPU and GPU backends override. Networks call [`DifferentiableOps`], which a plain backend computes and
//! [`Autodiff`](burn::backend::Autodiff) of one differentiates.
//!
//! **Layout**: activations are channels last, `[N, X, Y, Z, C]`; weights are as Burn and PyTorch store them,
//! `[K, C, X, Y, Z]`. Activations may be `f16` where the backend can; weights, statistics and gradients of weights are
//! `f32`.

mod autodiff;
mod backend_ops;
mod batch_norm;
mod differentiable_ops;
mod float_tensors;
mod geometry;
mod nonlinearity;
mod optimizer;
mod reduction;
mod reference;
mod resizing;
mod results;
mod row_gather;
mod transformer;
mod weighted;
mod without_gradients;

#[cfg(test)]
mod testing;

mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;

pub use backend_ops::BackendOps;
pub use batch_norm::BatchNormSettings;
pub use differentiable_ops::{
    DifferentiableOps, add_leaky_relu, batch_norm, conv, conv_transpose, dice_ce, dice_focal,
    instance_norm, leaky_relu,
};
pub use geometry::ConvGeometry;
pub use nonlinearity::Nonlinearity;
pub use optimizer::{AdamWStep, Moments, SgdStep, Velocity};
pub use reduction::Reduction;
pub use reference::downsample;
pub use resizing::{resize_linear, resizing_matrix};
pub use results::{
    Attended, AttentionGradients, BatchNormalized, NormGradients, Normalized, Scalars, VoxelLoss,
};
pub use row_gather::RowGather;
pub use transformer::{gather_rows, gelu, layer_norm, linear, window_attention};
pub use weighted::weighted_dice_ce;
