//! MetaImage: every form of a file is read as the same image, and invalid files give typed errors.

mod attacks;
mod forms;
#[path = "../metaimage_files/mod.rs"]
mod metaimage_files;
#[path = "../nrrd_files/mod.rs"]
mod nrrd_files;
