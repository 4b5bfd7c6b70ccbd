//! The shape of a compressed frame.

use crate::dicom::codec::error::CodecError;

/// The shape of a frame by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dicom) struct FrameShape {
    pub columns: usize,
    pub rows: usize,
}

impl FrameShape {
    pub fn pixels(self) -> usize {
        self.columns * self.rows
    }

    /// Checks the shape that compressed bytes state.
    pub fn check(self, columns: usize, rows: usize) -> Result<(), CodecError> {
        if (columns, rows) == (self.columns, self.rows) {
            Ok(())
        } else {
            Err(CodecError::Shape {
                found: [columns, rows],
                expected: [self.columns, self.rows],
            })
        }
    }
}
