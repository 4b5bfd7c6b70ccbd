//! Files as every part of Vesal keeps them.
//!
//! [`atomic`] writes them whole or not at all, [`regular`] reads no pipes and devices, [`digest`] tells two contents apart,
//! [`document`] reads and writes JSON that names its format and version, [`yaml`] bounds YAML before it is decoded.

pub mod atomic;
pub mod digest;
pub mod document;
pub mod regular;
pub mod yaml;

pub use atomic::{AtomicDirectory, AtomicError, AtomicFile};
pub use document::{DocumentError, VersionedDocument};
