//! How pixels are stored.

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelFormat {
    /// Bits of a pixel in memory: 8, 16 or 32.
    pub allocated: u32,
    /// Bits of them that count.
    pub stored: u32,
    /// The highest of these, from 0.
    pub high: u32,
    /// Whether they are a two's complement.
    pub signed: bool,
}
