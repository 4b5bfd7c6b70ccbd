//! NRRD: every form of a file reads as the same image in NIfTI, and what is none gives a typed error.

mod attacks;
mod forms;
#[path = "../nrrd_files/mod.rs"]
mod nrrd_files;
mod parts;
