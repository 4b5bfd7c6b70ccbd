//! Segmentation networks in Burn, each written once.
//!
//! A network describes its forward pass over [`NetworkOps`]: run with [`Eager`] it computes Burn tensors, run with the
//! exporter's lowering it writes an ONNX graph. What is trained and what is deployed cannot drift apart.

pub mod blocks;
pub mod families;
pub mod monai;
mod network;
mod ops;

pub use network::{Network, init};
pub use ops::{Eager, Heads, NetworkOps, SegmentationNetwork};
