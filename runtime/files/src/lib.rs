//! Files: atomic writes, digests, documents.
//!
//! [`atomic`] writes them whole or not at all, [`regular`] refuses pipes and devices, [`digest`] computes digests,
//! [`document`] reads and writes JSON with a format and a version, [`yaml`] bounds YAML before it is decoded.

pub mod atomic;
pub mod digest;
pub mod document;
pub mod regular;
pub mod yaml;

pub use atomic::{AtomicDirectory, AtomicError, AtomicFile};
pub use document::{DocumentError, VersionedDocument};
