//! Networks as data: as plans, run records and exports state them, without building any.
//!
//! Each family is a module with its hyperparameters and what follows from them ([`Family`]), and one line in the
//! registry of [`NetworkConfig`].

mod config;
mod error;
mod family;
mod residual_unet;
mod segresnet2d;
mod segresnet_ds;
mod shapes;
mod swinunetr;

pub use config::NetworkConfig;
pub use error::{ArchitectureError, ConfigError, WindowSizeError};
pub use family::{Activations, Family};
pub use residual_unet::{ResidualUNetConfig, kernel_for_scale};
pub use segresnet_ds::SegResNetDsConfig;
pub use segresnet2d::SegResNet2dConfig;
pub use shapes::Shapes;
pub use swinunetr::{PatchMerging, ShiftedWindows, SwinUnetrConfig};
