//! Reads and writes medical image files. Untrusted bytes are parsed here and nowhere else.
//!
//! Whatever a file holds, reading it gives data or a typed error: never a panic, and never an allocation out of
//! proportion to the file.

pub mod dicom;
pub mod image;
pub mod metaimage;
pub mod nifti;
pub mod nrrd;
mod positioned;
mod remarks;
pub mod sniff;

pub use remarks::Remarks;

/// Largest coordinate and distance in mm: a kilometer, more than any scanner has.
const FAR_MM: f64 = 1e6;

/// Largest expansion factor of a deflate stream: 258 bytes from two bits.
const DEFLATE_EXPANSION_MAX: u64 = 1032;
