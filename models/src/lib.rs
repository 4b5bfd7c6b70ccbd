//! Segmentation networks in Burn, each written once.
//!
//! A network describes its forward pass over [`NetworkOps`]: run with [`Eager`](ops::Eager) it computes Burn tensors,
//! run with the exporter's lowering it writes an ONNX graph. So the trained and the deployed network cannot differ.

pub mod blocks;
pub mod families;
pub mod monai;
mod network;
pub mod ops;
mod segmentation;

pub use network::{Network, init};
pub use ops::NetworkOps;
pub use segmentation::{Heads, SegmentationNetwork};
