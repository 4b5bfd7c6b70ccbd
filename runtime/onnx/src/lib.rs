//! ONNX networks as data: their messages, a builder, and rewrites that make a network faster or smaller.
//!
//! [`OnnxModel::load`] reads a foreign file: the network that it returns has the operators of [`ops`] alone, and only
//! that network, encoded again, is passed to ONNX Runtime. [`check::check`] checks the exporter's networks.
//!
//! [`OnnxModel`] decodes and encodes a file, without copying its weights more than once. Its rewrites return another
//! network or a [`RewriteError`]: a graph with parts unknown to a rewrite is left unchanged.
//!
//! | rewrite | what it changes | the function |
//! |---|---|---|
//! | [`OnnxModel::fix_batch`] | the free batch axis gets a size | stays the same, bit for bit |
//! | [`OnnxModel::half`] | weights and activations in 16-bit floats | rounded |
//! | [`OnnxModel::fuse_norms`] | instance normalization and a (leaky) ReLU become one operator | stays the same, to rounding |
//! | [`OnnxModel::fuse_attention`] | attention becomes a custom operator | stays the same, to rounding |
//! | [`OnnxModel::own_convolutions`] | convolutions become a custom operator | stays the same, to rounding |
//! | [`OnnxModel::split_head`] | the last 1×1×1 convolution is taken off | the rest of it, and a linear map |
//!
//! [`OnnxModel::encode_mapped`] leaves weights where they are, in the file, for ONNX Runtime to map.
//!
//! Implemented here rather than with the ONNX package, because only a small part is needed and no Python is required.

mod attention;
mod builder;
pub mod check;
mod convolution;
mod domain;
mod error;
mod graph;
mod inference;
mod limits;
mod load;
mod mapped;
mod memory;
mod model;
pub mod ops;
pub mod proto;
mod rewrite;
mod rewrite_error;
mod shape;
mod uploads;
mod weights;
mod wire;

pub use attention::AttentionSizes;
pub use builder::{AxisSize, GraphBuilder};
pub use convolution::VolumeConvolution;
pub use domain::{ATTENTION, CONVOLUTION, DOMAIN, NORM_LEAKY_RELU};
pub use error::{CheckError, NetworkError};
pub use limits::{IR_VERSION, NEWEST_OPSET, OPSET};
pub use model::OnnxModel;
pub use prost::bytes::Bytes;
pub use rewrite::{Head, Interface};
pub use rewrite_error::{HeadProblem, RewriteError};
pub use wire::EncodingProblem;
