//! Segmentation networks in Burn, each written once.
//!
//! A network describes its forward pass over [`NetworkOps`]: run with [`Eager`] it computes Burn tensors, run with the
//! exporter's lowering it writes an ONNX graph. What is trained and what is deployed cannot drift apart.

pub mod blocks;
mod ops;
pub mod segresnet_ds;

pub use ops::{Eager, Heads, NetworkOps, SegmentationNetwork};
pub use segresnet_ds::SegResNetDs;

use burn::tensor::backend::Backend;
use vesal_network::{ConfigError, NetworkConfig};

/// Builds a network with fresh weights.
///
/// **Errors**: as [`NetworkConfig::validate`].
pub fn init<B: Backend>(
    config: &NetworkConfig,
    device: &B::Device,
) -> Result<SegResNetDs<B>, ConfigError> {
    config.validate()?;
    match config {
        NetworkConfig::SegresnetDs(config) => Ok(SegResNetDs::new(config, device)),
    }
}
