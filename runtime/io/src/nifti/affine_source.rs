//! The fields that may state an affine.

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

impl AffineSource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sform => "sform",
            Self::Qform => "qform",
            Self::Pixdim => "pixdim",
        }
    }
}

impl fmt::Display for AffineSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
