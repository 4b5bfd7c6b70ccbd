//! Limits of a manifest.

/// File name inside a bundle.
pub const FILE_NAME: &str = "manifest.json";
/// Largest number of networks.
pub const MAX_MEMBERS: usize = 256;
/// Largest number of files.
pub const MAX_FILES: usize = 1024;
/// Largest file of a bundle in bytes; ONNX itself ends at 2 GiB.
pub const MAX_ENTRY_BYTES: u64 = 1 << 31;

/// Longest version in characters.
pub const MAX_VERSION_CHARACTERS: usize = 64;
