//! Families of networks, each in a folder: the module, and its arguments in MONAI. Hyperparameters and what follows
//! from them are in `vesal_network`.

pub mod dints;
pub mod segresnet2d;
pub mod segresnet_ds;
pub mod swinunetr;
