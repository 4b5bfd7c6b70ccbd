//! Every operation in Burn's own operations: the fallback of all backends, and the reference for tests of kernels.

mod attention;
mod convolution;
mod gather;
mod layer_norm;
mod linear;
mod loss;
mod normalization;
mod optimizer;
mod resize;
mod tensors;

pub use attention::{APART, window_attention, window_attention_gradient};
pub use convolution::{conv, conv_input_gradient, conv_weight_gradient};
pub use gather::{gather_rows, gather_rows_gradient};
pub use layer_norm::{gelu, gelu_gradient, layer_norm, layer_norm_gradient};
pub use linear::{linear, linear_input_gradient, linear_weight_gradient};
pub use loss::{
    FOCAL_SMOOTH_NUMERATOR, SMOOTH_DENOMINATOR, dice_ce, dice_ce_gradient, dice_focal,
    dice_focal_gradient, downsample, one_hot,
};
pub use normalization::{
    batch_norm_inference, bias_gradient, instance_norm, instance_norm_gradient,
    leaky_relu_gradient, leaky_relu_sum, update_running,
};
pub use optimizer::{adamw, read_scalars, sgd, squared_norm};
pub use resize::{resize_linear, resize_linear_gradient};
pub use tensors::{join_cases, single};
