//! The volume of a stack, and how reliable its geometry is.

use std::fmt;

use vesal_volume::Geometry;

use crate::dicom::error::DicomError;
use crate::dicom::slice::Slice;
use crate::dicom::stack_finding::StackFinding;
use crate::dicom::stack_layout::StackLayout;

/// How to treat slices that are unevenly spaced or tilted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    #[default]
    Strict,
    /// Resample onto an even, rectangular grid, by the positions of the slices.
    Resample,
}

/// Grade of the geometry of a volume.
///
/// Of several volumes, the greatest (worst) grade counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Its voxels are those of the scanner.
    Ok,
    /// Its voxels are interpolated between those of the scanner.
    Resampled,
    Refused,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Resampled => "resampled",
            Self::Refused => "refused",
        })
    }
}

/// The volume of a stack, or why there is none.
#[derive(Debug, Clone)]
pub struct Assessment {
    pub(super) series: String,
    pub(super) findings: Vec<StackFinding>,
    pub(super) slices: Vec<Slice>,
    /// Layout of the slices in the volume, or why there is no volume.
    pub(super) outcome: Result<StackLayout, StackFinding>,
}

impl Assessment {
    /// The error of a stack without a volume.
    pub(super) fn refused(series: &str, findings: Vec<StackFinding>, reason: StackFinding) -> Self {
        Self {
            series: series.to_owned(),
            findings,
            slices: Vec::new(),
            outcome: Err(reason),
        }
    }

    /// Grade of the volume.
    pub fn grade(&self) -> Grade {
        if self.outcome.is_err() {
            Grade::Refused
        } else if self.findings.iter().any(StackFinding::needs_resampling) {
            Grade::Resampled
        } else {
            Grade::Ok
        }
    }

    /// Why there is no volume; `None` where there is one.
    pub fn refusal(&self) -> Option<&StackFinding> {
        self.outcome.as_ref().err()
    }

    /// The other findings, such as why a volume is resampled.
    pub fn findings(&self) -> &[StackFinding] {
        &self.findings
    }

    /// The slices from first to last along the normal, without copies; empty for a refused stack.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// Layout of the slices in the volume.
    ///
    /// **Errors**: [`DicomError::Refused`] where there is no volume.
    pub(super) fn layout(&self) -> Result<&StackLayout, DicomError> {
        self.outcome.as_ref().map_err(|reason| DicomError::Refused {
            series: self.series.clone(),
            reason: reason.clone(),
        })
    }

    /// The grid of the volume.
    ///
    /// **Errors**: [`DicomError::Refused`] where there is no volume.
    pub fn grid(&self) -> Result<Geometry, DicomError> {
        Ok(self.layout()?.target)
    }

    /// The grid of the volume; `None` where there is none.
    pub fn geometry(&self) -> Option<Geometry> {
        self.outcome.as_ref().ok().map(|layout| layout.target)
    }
}
