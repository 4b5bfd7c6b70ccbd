//! A fuzz target.

use crate::compressed::Wrapping;

/// A function of bytes, with metadata for fuzzers.
pub struct Target {
    /// Its name, which is also that of its fuzzer and of its folder of inputs.
    pub name: &'static str,
    /// Processes bytes as the program would, and asserts invariants of the result.
    pub run: fn(&[u8]),
    /// Well-formed seeds.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Compression of the bytes, so that mutations reach the content.
    pub wrapping: Option<Wrapping>,
}
