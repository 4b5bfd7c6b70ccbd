//! What a fuzzer feeds.

use crate::compressed::Wrapping;

/// A function of bytes with what a fuzzer needs to know about it.
pub struct Target {
    /// Its name, which is also that of its fuzzer and of its folder of inputs.
    pub name: &'static str,
    /// Takes bytes as the program would; what must hold of the result is asserted.
    pub run: fn(&[u8]),
    /// Well-formed inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What the bytes are compressed with, if they may be: mutations reach what is inside.
    pub wrapping: Option<Wrapping>,
}
