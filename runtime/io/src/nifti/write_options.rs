//! How NIfTI files are written.

use ::nifti::XForm;

use crate::Remarks;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether an existing file may be replaced.
    pub overwrite: bool,
    /// Which world the affine leads to: the `space` of the header that the grid comes from. Unknown is written as
    /// aligned, because readers would otherwise ignore the affine.
    pub space: XForm,
    /// Text of the header's description after the program's name.
    pub remarks: Remarks,
}

impl Default for WriteOptions {
    /// Replaces nothing; the world is aligned to another file's.
    fn default() -> Self {
        Self {
            overwrite: false,
            space: XForm::AlignedAnat,
            remarks: Remarks::NONE,
        }
    }
}
