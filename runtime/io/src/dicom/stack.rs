//! Stacks: slices that may be one volume.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dicom::assessment::{Assessment, Policy};
use crate::dicom::compare::Allowance;
use crate::dicom::distinguishing_key::DistinguishingKey;
use crate::dicom::error::DicomError;
use crate::dicom::patient::PatientDigest;
use crate::dicom::pixels::{Image, is_plausible};
use crate::dicom::slice::Slice;
use crate::dicom::slice_order::SliceOrder;
use crate::dicom::stack_finding::StackFinding;
use crate::dicom::stack_layout::StackLayout;

/// Slices of one study, series, frame of reference, shape, pixel spacing and orientation; never empty.
#[derive(Debug, Clone)]
pub struct Stack {
    pub(super) slices: Vec<Slice>,
    pub(super) distinguishing_keys: Vec<(DistinguishingKey, String)>,
    /// Disjoint lists of files, shared between stacks.
    pub(super) unread: Vec<Arc<[PathBuf]>>,
    /// [`StackFinding::SplitSeries`] where the series has several stacks.
    pub(super) split_series: Option<StackFinding>,
    /// Number of stacks that were found together, including this one.
    pub(super) found_with: usize,
}

impl Stack {
    fn first(&self) -> &Image {
        &self.slices[0].image
    }

    /// UID of the study.
    pub fn study(&self) -> &str {
        &self.first().header.study
    }

    /// UID of the series.
    pub fn series(&self) -> &str {
        &self.first().header.series
    }

    /// UID of the frame of reference: stacks that share one are aligned with each other.
    pub fn frame_of_reference(&self) -> Option<&str> {
        self.first().header.frame_of_reference.as_deref()
    }

    /// Modality, such as `CT`, `MR`, `PT`.
    pub fn modality(&self) -> &str {
        &self.first().header.modality
    }

    /// Series Description. Free text that may name the patient: for selection, not for reports.
    pub fn description(&self) -> Option<&str> {
        self.first().header.description.as_deref()
    }

    pub fn series_number(&self) -> Option<i64> {
        self.first().header.series_number
    }

    /// Columns and rows of a slice.
    pub fn columns_and_rows(&self) -> [usize; 2] {
        [self.first().header.columns, self.first().header.rows]
    }

    /// The slices in the order of their files; [`Assessment::slices`] has them in the order of the volume.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// The keys and values that distinguish this stack from others of its series with slices at the same positions:
    /// phases, echoes, b-values, acquisitions. Empty where there are no such stacks.
    pub fn distinguishing_keys(&self) -> &[(DistinguishingKey, String)] {
        &self.distinguishing_keys
    }

    /// Unusable files that may be slices of this stack, by path: those of its series, and those of unknown series
    /// beside its slices or named by the same DICOMDIR.
    pub fn unread(&self) -> Vec<&Path> {
        let files = self.unread.iter().flat_map(|files| files.iter());
        let mut files: Vec<&Path> = files.map(PathBuf::as_path).collect();
        files.sort_unstable();
        files
    }

    /// Determines the volume of the slices under a policy, and grades it.
    ///
    /// Slices are sorted by their position along the normal of their planes; instance numbers, file names and stated
    /// thickness do not count, except for the depth of a single slice.
    ///
    /// **Definition**: the volume's axes are columns, rows, and slices along the normal, which is right-handed with
    /// them; an axial image has orientation LPS. Evenly spaced positions give the step between slices, which may be
    /// tilted; positions within [`StackFinding::UnevenSpacing`]'s tolerance count as even. Deviations are
    /// [`StackFinding`]s, of which [`Policy::Strict`] refuses those that need resampling.
    ///
    /// Slices at one position are compared by their stored bytes. Only copies that are compressed differently are
    /// decoded, one at a time, within limits by the size of their files, see [`StackFinding::Uncompared`].
    ///
    /// **Errors**: [`DicomError`] where slices at the same position cannot be read to be compared.
    pub fn assess(&self, policy: Policy) -> Result<Assessment, DicomError> {
        let mut findings: Vec<StackFinding> = self.split_series.iter().cloned().collect();
        // The lists are sorted.
        if let Some(first) = self.unread.iter().filter_map(|files| files.first()).min() {
            let reason = StackFinding::Unread {
                files: self.unread.iter().map(|files| files.len()).sum(),
                first: first.clone(),
            };
            return Ok(Assessment::refused(self.series(), findings, reason));
        }
        if let Some(reason) = self.patients().or_else(|| self.implausible()) {
            return Ok(Assessment::refused(self.series(), findings, reason));
        }
        let order = match SliceOrder::of(&self.slices, self.comparing())? {
            Ok(order) => order,
            Err(reason) => return Ok(Assessment::refused(self.series(), findings, reason)),
        };
        if order.dropped > 0 {
            findings.push(StackFinding::Copies {
                slices: order.dropped,
            });
        }
        if let Some(reason) = same_instance(&order.slices) {
            return Ok(Assessment::refused(self.series(), findings, reason));
        }
        let layout = match StackLayout::of(&order.slices, &mut findings) {
            Ok(layout) => layout,
            Err(reason) => return Ok(Assessment::refused(self.series(), findings, reason)),
        };
        let must = findings.iter().position(StackFinding::needs_resampling);
        match (must, policy) {
            (Some(index), Policy::Strict) => {
                let reason = findings.remove(index);
                Ok(Assessment::refused(self.series(), findings, reason))
            }
            _ => Ok(Assessment {
                series: self.series().to_owned(),
                findings,
                slices: order.slices,
                outcome: Ok(layout),
            }),
        }
    }
}

impl Stack {
    pub(super) fn images(&self) -> impl Iterator<Item = &Image> {
        let mut seen = HashSet::new();
        let images = self.slices.iter().map(|slice| &*slice.image);
        images.filter(move |image| seen.insert(std::ptr::from_ref(*image)))
    }

    /// The allowance for comparing slices, by the sizes of the files; the size of a file is divided among its frames.
    fn comparing(&self) -> Allowance {
        let of_slice = |slice: &Slice| slice.image.bytes / slice.image.header.frames.len() as u64;
        let bytes = self.slices.iter().map(of_slice).sum();
        Allowance::new(bytes, self.found_with)
    }

    /// The finding that the files name several patients.
    fn patients(&self) -> Option<StackFinding> {
        let patients = patients([self]);
        (patients > 1).then_some(StackFinding::Patients { patients })
    }

    /// The finding that the files are too small for their pixels.
    fn implausible(&self) -> Option<StackFinding> {
        let slices = self.slices.iter();
        let expected = slices
            .map(|slice| slice.image.header.frame_bytes())
            .fold(0, u64::saturating_add);
        let found = self
            .images()
            .map(|image| image.bytes)
            .fold(0, u64::saturating_add);
        (!is_plausible(found, expected)).then_some(StackFinding::Implausible { found, expected })
    }
}

/// The finding that several files have the same SOP Instance UID.
fn same_instance(slices: &[Slice]) -> Option<StackFinding> {
    let mut files: BTreeMap<&str, BTreeSet<&Path>> = BTreeMap::new();
    for slice in slices {
        files
            .entry(slice.instance())
            .or_default()
            .insert(slice.path());
    }
    let instances = files.values().filter(|files| files.len() > 1).count();
    (instances > 0).then_some(StackFinding::SameInstance { instances })
}

/// Whether two series may lie in different frames of reference: they differ, or the first states none.
pub fn frames_differ(first: Option<&str>, other: Option<&str>) -> bool {
    first.is_none() || first != other
}

/// Number of patients that the headers of these stacks name: stacks of more than one must not be mixed.
///
/// **Definition**: patients are compared by name, ID, issuer of the ID and date of birth. Names and IDs must be equal
/// apart from padding and character set; the other two may be absent but must not contradict each other.
pub fn patients<'a>(stacks: impl IntoIterator<Item = &'a Stack>) -> usize {
    let images = stacks.into_iter().flat_map(Stack::images);
    PatientDigest::count(images.map(|image| image.header.patient))
}
