//! Every operation in Burn's own operations: the fallback of all backends, and the reference for tests of kernels.

mod convolution;
mod loss;
mod normalization;
mod optimizer;
mod tensors;

pub use convolution::{conv, conv_input_gradient, conv_weight_gradient};
pub use loss::{
    FOCAL_SMOOTH_NUMERATOR, SMOOTH_DENOMINATOR, dice_ce, dice_ce_gradient, dice_focal,
    dice_focal_gradient, downsample, one_hot,
};
pub use normalization::{
    batch_norm_inference, bias_gradient, instance_norm, instance_norm_gradient,
    leaky_relu_gradient, leaky_relu_sum, update_running,
};
pub use optimizer::{adamw, read_scalars, sgd, squared_norm};
pub use tensors::{join_cases, single};
