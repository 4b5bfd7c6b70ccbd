//! Segmentation networks in Burn, each written once.
//!
//! A network describes its forward pass over [`NetworkOps`]: run with [`Eager`] it computes Burn tensors, run with the
//! exporter's lowering it writes an ONNX graph. What is trained and what is deployed cannot drift apart.

pub mod blocks;
mod config;
mod ops;
pub mod segresnet_ds;

pub use config::{ConfigError, NetworkConfig};
pub use ops::{Eager, Heads, NetworkOps, SegmentationNetwork};
pub use segresnet_ds::{Activations, SegResNetDs, SegResNetDsConfig};
