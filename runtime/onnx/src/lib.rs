//! ONNX networks as data: their messages, a builder, and rewrites that make a network faster or smaller.
//!
//! [`Network::load`] is how a file of others comes in: what it gives has the operators of [`operators`] alone, and is all that
//! ONNX Runtime ever gets to see, encoded again. [`check::check`] is what the exporter's networks pass.
//!
//! [`Network`] decodes and encodes a file, without copying its weights more than once. Its rewrites give another network
//! or a [`Refusal`]: a graph that has anything a rewrite does not know is left as it is.
//!
//! | rewrite | what it changes | the function |
//! |---|---|---|
//! | [`Network::fix_batch`] | the free batch axis gets a size | stays the same, bit for bit |
//! | [`Network::half`] | weights and activations in 16-bit floats | rounded |
//! | [`Network::fuse_norm_relu`] | instance normalization and ReLU become one operator | stays the same, to rounding |
//! | [`Network::own_convolutions`] | convolutions become an operator of ours | stays the same, to rounding |
//! | [`Network::split_head`] | the last 1×1×1 convolution is taken off | the rest of it, and a linear map |
//!
//! [`Network::encode_mapped`] leaves weights where they are, in the file, for ONNX Runtime to map.
//!
//! Written here rather than taken from the ONNX package, because few operators need little of it and Rust runs wherever
//! the programs do.

mod builder;
pub mod check;
mod convolution;
mod graph;
mod load;
mod mapped;
mod memory;
mod network;
pub mod operators;
pub mod proto;
mod refusal;
mod rewrite;
mod weights;
mod wire;

pub use builder::{Axis, GraphBuilder, IR_VERSION, OPSET};
pub use check::CheckError;
pub use convolution::VolumeConvolution;
pub use network::{Network, NetworkError};
pub use prost::bytes::Bytes;
pub use refusal::{HeadProblem, Refusal};
pub use rewrite::{CONVOLUTION, DOMAIN, Head, Interface, NORM_RELU};
pub use wire::EncodingProblem;
