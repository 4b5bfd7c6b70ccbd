//! NIfTI: reading valid and invalid files, and writing.

#[path = "../synthetic/mod.rs"]
mod synthetic;

mod affines;
mod attack_headers;
mod attack_voxels;
mod forms;
mod probability_file;
mod read;
mod real_files;
mod voxels;
mod write;
