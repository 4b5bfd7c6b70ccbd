//! Reads and writes medical image files. Untrusted bytes end here.
//!
//! Whatever a file holds, reading it gives data or a typed error: never a panic, and never an allocation that the
//! file itself does not back.

pub mod dicom;
pub mod image;
pub mod nifti;
pub mod nrrd;
mod positioned;
mod remarks;
pub mod sniff;

pub use remarks::Remarks;

/// Farthest from the origin that anything lies, and longest distance, in mm: no scanner is a kilometer long.
const FAR_MM: f64 = 1e6;

/// No deflate stream expands more than so many times: 258 bytes from two bits.
const DEFLATE_EXPANSION_MAX: u64 = 1032;
