//! From plans to networks.

#[path = "../dataset_on_disk/mod.rs"]
mod dataset_on_disk;
#[path = "../shared/mod.rs"]
mod shared;
#[path = "../work_dir/mod.rs"]
mod work_dir;

mod adamw;
mod fit;
mod golden_dints;
mod golden_losses;
mod golden_network;
mod golden_recipes;
mod golden_segresnet2d;
mod golden_swinunetr;
mod history;
mod initial_weights;
mod rounds;
mod sgd;
mod stages;
mod training_controls;
