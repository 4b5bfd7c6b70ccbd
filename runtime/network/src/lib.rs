//! Configurations of network families: hyperparameters and what follows from them, as data.
//!
//! Planners, run records and exports carry a [`NetworkConfig`]; the network itself is built from it by `vesal-models`, where
//! Burn is.

mod config;
mod segresnet_ds;

pub use config::{Activations, ConfigError, NetworkConfig};
pub use segresnet_ds::{SegResNetDsConfig, kernel_for_scale};
