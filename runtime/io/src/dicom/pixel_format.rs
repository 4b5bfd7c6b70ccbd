//! Storage format of pixels.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelFormat {
    /// Bits of a pixel in memory: 8, 16 or 32.
    pub allocated: u32,
    /// Significant bits.
    pub stored: u32,
    /// Index of the highest significant bit, from 0.
    pub high: u32,
    /// Whether values are in two's complement.
    pub signed: bool,
}
