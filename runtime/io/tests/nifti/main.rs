//! NIfTI: what is read of files, good and bad ones, and what is written.

#[path = "../synthetic/mod.rs"]
mod synthetic;

mod attack_headers;
mod attack_voxels;
mod forms;
mod probability_file;
mod read;
mod real_files;
mod write;
