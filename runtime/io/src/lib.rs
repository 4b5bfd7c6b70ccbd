//! Reads and writes medical image files. Untrusted bytes end here.

pub mod atomic;
pub mod nifti;
