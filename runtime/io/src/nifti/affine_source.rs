//! The fields of a header that state an affine.

use std::fmt;

/// Which fields of a header state its affine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AffineSource {
    /// `srow_x`, `srow_y`, `srow_z`.
    Sform,
    /// Quaternion, offsets and `pixdim`.
    Qform,
    /// `pixdim` alone.
    Pixdim,
}

impl fmt::Display for AffineSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sform => "sform",
            Self::Qform => "qform",
            Self::Pixdim => "pixdim",
        })
    }
}

/// Which affine of a header counts where both are stated and contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Believe {
    /// That of the sform.
    Sform,
    /// That of the qform.
    Qform,
}
