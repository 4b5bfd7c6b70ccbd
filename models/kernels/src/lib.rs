//! The layers, the loss and the optimizer of training, each as one fused operation of a backend.
//!
//! Burn's own operations stay the fallback: [`BackendOps`] has a default for everything, written in them. A backend with
//! better ones overrides; [`DifferentiableOps`] is what networks call, on a plain backend and, with gradients, on
//! [`Autodiff`](burn::backend::Autodiff) of one.
//!
//! **Layout**: activations are channels last, `[N, X, Y, Z, C]`; weights are as Burn and PyTorch store them,
//! `[K, C, X, Y, Z]`. Activations may be `f16` where the backend can; weights, statistics and gradients of weights are
//! `f32`.

mod autodiff;
mod backend_ops;
mod differentiable_ops;
mod geometry;
mod nonlinearity;
mod optimizer;
mod reduction;
mod reference;
mod results;
mod weighted;

#[cfg(test)]
mod testing;

mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;

pub use backend_ops::BackendOps;
pub use differentiable_ops::{DifferentiableOps, conv, conv_transpose, dice_ce, instance_norm};
pub use geometry::ConvGeometry;
pub use nonlinearity::Nonlinearity;
pub use optimizer::{AdamWStep, Moments};
pub use reduction::Reduction;
pub use reference::downsample;
pub use results::{DiceCe, NormGradients, Normalized, Scalars};
pub use weighted::weighted_dice_ce;
