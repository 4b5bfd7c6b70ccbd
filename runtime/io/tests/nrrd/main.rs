//! NRRD: every form of a file is read as the same image in NIfTI, and invalid files give typed errors.

mod attacks;
mod forms;
#[path = "../nrrd_files/mod.rs"]
mod nrrd_files;
mod parts;
