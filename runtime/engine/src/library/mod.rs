//! ONNX Runtime's library: finding it, and loading it once per process.

mod binary;
mod error;
pub mod installed;
#[allow(
    unsafe_code,
    reason = "asking a C library for its version, and keeping it quiet"
)]
mod load;
mod places;

pub use self::error::LibraryError;
pub use self::load::{Runtime, load, runtime};
pub use self::places::{
    FoundLibrary, LibraryOrigin, LibrarySearch, cache_directory, find, library_in,
};
pub use crate::release::MIN_VERSION;
