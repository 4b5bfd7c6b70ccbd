//! The operations of networks.

mod constant;
mod convolution;
mod eager;
mod network_ops;
mod shape;
mod value;
mod window_attention;

pub use constant::{Constant, Indices};
pub use convolution::{conv_shape, conv_transpose_shape};
pub use eager::Eager;
pub use network_ops::NetworkOps;
pub use shape::Shape;
pub use value::EagerValue;
pub use vesal_kernels::resizing_matrix;
pub use window_attention::{AttentionRegions, WindowAttention};
