//! Reads and writes medical image files. Untrusted bytes end here.
//!
//! Whatever a file holds, reading it gives data or a typed error: never a panic, and never an allocation that the
//! file itself does not back.

pub mod atomic;
pub mod dicom;
pub mod nifti;
mod positioned;
pub mod sniff;

/// No deflate stream expands more than so many times: 258 bytes from two bits.
const DEFLATE_EXPANSION_MAX: u64 = 1032;
