//! Editions of NIfTI by their magic.

/// Bytes of a NIfTI-1 header.
pub(super) const NIFTI1_BYTES: usize = 348;
/// Bytes of a NIfTI-2 header.
pub(super) const NIFTI2_BYTES: usize = 540;

/// An edition of the NIfTI format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NiftiVersion {
    /// NIfTI-1, with a header of 348 bytes.
    Nifti1,
    /// NIfTI-2, with a header of 540 bytes.
    Nifti2,
}

/// Where the voxels of a NIfTI header are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NiftiLayout {
    /// In the same file (`.nii`).
    Single,
    /// In a second file (`.hdr` and `.img`).
    Pair,
}

/// Where voxels may start: a single file has four bytes behind its header, which announce extensions.
pub(super) fn minimum_offset(version: NiftiVersion, layout: NiftiLayout) -> u64 {
    match (layout, version) {
        (NiftiLayout::Pair, _) => 0,
        (NiftiLayout::Single, NiftiVersion::Nifti1) => NIFTI1_BYTES as u64 + 4,
        (NiftiLayout::Single, NiftiVersion::Nifti2) => NIFTI2_BYTES as u64 + 4,
    }
}

/// The edition that the magic of a header states; `None` where there is none.
pub(super) fn magic(head: &[u8]) -> Option<(NiftiVersion, NiftiLayout)> {
    match head.get(344..348) {
        Some(b"n+1\0") => return Some((NiftiVersion::Nifti1, NiftiLayout::Single)),
        Some(b"ni1\0") => return Some((NiftiVersion::Nifti1, NiftiLayout::Pair)),
        _ => {}
    }
    match head.get(4..8) {
        Some(b"n+2\0") => Some((NiftiVersion::Nifti2, NiftiLayout::Single)),
        Some(b"ni2\0") => Some((NiftiVersion::Nifti2, NiftiLayout::Pair)),
        _ => None,
    }
}

/// Whether bytes without a magic are an Analyze 7.5 header, a predecessor of NIfTI without an affine.
pub(super) fn is_analyze(head: &[u8]) -> bool {
    head.len() >= 348 && (head.starts_with(&[0x5c, 1, 0, 0]) || head.starts_with(&[0, 0, 1, 0x5c]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_heads_have_no_magic() {
        assert_eq!(magic(&[]), None);
        assert!(!is_analyze(&[0x5c, 1, 0, 0]));
        let mut analyze = [0; 348];
        analyze[..4].copy_from_slice(&348_i32.to_be_bytes());
        assert!(is_analyze(&analyze) && magic(&analyze).is_none());
    }
}
