//! Networks as data: what plans, run records and exports state, without any network being built.
//!
//! Each family is a module with its hyperparameters and what follows from them ([`Family`]), and one line in the
//! registry of [`NetworkConfig`].

mod config;
mod error;
mod family;
mod segresnet_ds;
mod shapes;

pub use config::NetworkConfig;
pub use error::{ArchitectureError, ConfigError};
pub use family::{Activations, Family};
pub use segresnet_ds::{SegResNetDsConfig, kernel_for_scale};
pub use shapes::Shapes;
