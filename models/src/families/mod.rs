//! Families of networks, each in a folder of its own: the module and how MONAI describes it. What follows from
//! hyperparameters alone is in `vesal_network`.

pub mod segresnet_ds;
