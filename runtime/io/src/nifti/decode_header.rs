//! Decodes a header from the first bytes of a file.

use crate::nifti::affine_source::Believe;
use crate::nifti::error::HeaderError;
use crate::nifti::fields::{RawFields, minimum_offset};
use crate::nifti::header::{Header, NIFTI1_BYTES};
use crate::sniff::{Content, NiftiLayout, sniff_bytes};

impl Header {
    /// Checks the first bytes of a file; 348 are enough for NIfTI-1, 540 for NIfTI-2.
    ///
    /// **Errors**: the first rule that the header breaks.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        Self::decode_believing(bytes, None)
    }

    /// Checks as [`Header::decode`] does; sform and qform may contradict each other, and this one counts.
    ///
    /// **Errors**: as [`Header::decode`].
    pub fn decode_believing(bytes: &[u8], believe: Option<Believe>) -> Result<Self, HeaderError> {
        match sniff_bytes(bytes) {
            Content::Nifti { version, layout } => {
                RawFields::decode(bytes, version)?.check(version, layout, believe)
            }
            Content::Analyze => Err(HeaderError::Analyze),
            _ if bytes.len() < NIFTI1_BYTES => Err(HeaderError::TooShort {
                found: bytes.len(),
                expected: NIFTI1_BYTES,
            }),
            _ => Err(HeaderError::NotNifti),
        }
    }

    /// The same header for voxels that follow it in its own file.
    pub(super) fn into_single(self) -> Result<Self, HeaderError> {
        let layout = NiftiLayout::Single;
        let minimum = minimum_offset(self.version, layout);
        if self.voxel_offset < minimum {
            return Err(HeaderError::VoxelOffset {
                found: self.voxel_offset as f64,
                minimum,
            });
        }
        Ok(Self { layout, ..self })
    }
}
