//! The layers, the loss and the optimizer of training, each as one fused operation of a backend.
//!
//! Burn's own operations stay the fallback: [`Kernels`] has a default for everything, written in them. A backend with
//! better ones overrides; [`Layers`] is what networks call, on a plain backend and, with gradients, on
//! [`Autodiff`](burn::backend::Autodiff) of one.
//!
//! **Layout**: activations are channels last, `[N, X, Y, Z, C]`; weights are as Burn and PyTorch store them,
//! `[K, C, X, Y, Z]`. Activations may be `f16` where the backend can; weights, statistics and gradients of weights are
//! `f32`.

mod autodiff;
mod geometry;
mod layers;
mod operations;
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

pub use geometry::ConvGeometry;
pub use layers::{Layers, Linearity, conv, conv_transpose, dice_ce, instance_norm};
pub use operations::Kernels;
pub use optimizer::{AdamWStep, Moments};
pub use reduction::Reduction;
pub use reference::downsample;
pub use results::{DiceCe, NormGradients, Normalized, Scalars};
pub use weighted::weighted_dice_ce;
