//! From a task to plans: good and defective datasets, their analysis, and plans.

#[path = "../broken/mod.rs"]
mod broken;
#[path = "../dataset_on_disk/mod.rs"]
mod dataset_on_disk;
#[path = "../../../runtime/io/tests/metaimage_files/mod.rs"]
mod metaimage_files;
#[path = "../../../runtime/io/tests/nrrd_files/mod.rs"]
mod nrrd_files;
#[path = "../raw_nifti/mod.rs"]
mod raw_nifti;
#[path = "../shared/mod.rs"]
mod shared;

mod analysis;
mod auto3dseg_tasks;
mod bad_cases;
mod broken_datasets;
mod chosen_algorithms;
mod command_line;
mod folders;
mod golden_autoscale;
mod golden_datastats;
mod golden_planner;
mod golden_rounds;
mod golden_segresnet2d;
mod initial_weights;
mod layers;
mod planner;
mod planner_settings;
mod report;
mod settings_documents;
mod template;
