//! The images that a structure set was drawn on.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dicom::dataset::{Longest, VALUE_BYTES_MAX, Visitor};
use crate::dicom::error::{DicomError, DicomHeaderError};
use crate::dicom::patient::{self, PatientDigest, PatientReader};
use crate::dicom::stack::Stack;
use crate::dicom::structures::{Classed, visit};
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::text;

/// Where the referenced series of a structure set are (PS3.3 C.8.8.5).
const SERIES: [Tag; 3] = [
    tag::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
    tag::RT_REFERENCED_STUDY_SEQUENCE,
    tag::RT_REFERENCED_SERIES_SEQUENCE,
];

/// Where the referenced images of a series are.
const IMAGES: [Tag; 4] = [SERIES[0], SERIES[1], SERIES[2], tag::CONTOUR_IMAGE_SEQUENCE];

/// The images that a structure set was drawn on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StructureReferences {
    /// The series; empty where the set does not state them.
    pub series: Vec<ReferencedSeries>,
    /// UIDs of the frames of reference of its regions.
    pub frames_of_reference: BTreeSet<String>,
    /// The patient of the images.
    patient: PatientDigest,
}

/// A series that a structure set was drawn on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferencedSeries {
    /// UID of the series.
    pub series: String,
    /// UIDs of its images; empty where the set does not state them.
    pub instances: BTreeSet<String>,
}

impl StructureReferences {
    /// Whether the set and a stack name the same patient.
    pub fn is_of_patient_of(&self, stack: &Stack) -> bool {
        let images = stack.images().map(|image| image.header.patient);
        PatientDigest::count(images.chain([self.patient])) == 1
    }

    /// The stacks that the set was drawn on, as positions in `stacks`.
    ///
    /// **Definition**: the stacks of its series; if any of these has slices that the set names, only such stacks. UIDs
    /// of slices alone do not decide, because copies of a series often get new ones. A set that names no series may
    /// have been drawn on all stacks in its frames of reference.
    pub fn stacks(&self, stacks: &[Stack]) -> Vec<usize> {
        let of = |is_of: &dyn Fn(&Stack) -> bool| -> Vec<usize> {
            let found = stacks.iter().enumerate().filter(|(_, stack)| is_of(stack));
            found.map(|(index, _)| index).collect()
        };
        if self.series.is_empty() {
            return of(&|stack| {
                let frame_of_reference = stack.frame_of_reference();
                frame_of_reference.is_some_and(|uid| self.frames_of_reference.contains(uid))
            });
        }
        let mut found = Vec::new();
        for referenced in &self.series {
            let of_series = |stack: &Stack| referenced.series == stack.series();
            let named = of(&|stack| {
                let mut slices = stack.slices().iter();
                of_series(stack)
                    && slices.any(|slice| referenced.instances.contains(slice.instance()))
            });
            found.extend(if named.is_empty() {
                of(&of_series)
            } else {
                named
            });
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Reads the images that the structure set of a file was drawn on, without its contours.
///
/// **Errors**: [`DicomError::Io`], and [`DicomError::Header`] for a file that is not a structure set, or whose header
/// is damaged.
pub fn read_structure_references(
    path: impl AsRef<Path>,
) -> Result<StructureReferences, DicomError> {
    let mut found = ReferencesVisitor::default();
    visit(path.as_ref(), &mut found)?;
    let mut references = found.references;
    references.patient = found.patient.patient();
    references.series.retain(|series| !series.series.is_empty());
    Ok(references)
}

#[derive(Default)]
struct ReferencesVisitor {
    class: Option<String>,
    patient: PatientReader,
    references: StructureReferences,
}

impl Classed for ReferencesVisitor {
    fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }
}

impl Visitor for ReferencesVisitor {
    fn enters(&self, path: &[Tag], sequence: Tag) -> bool {
        (path.is_empty() && sequence == tag::STRUCTURE_SET_ROI_SEQUENCE)
            || (IMAGES.starts_with(path) && IMAGES.get(path.len()) == Some(&sequence))
    }

    fn begins(&mut self, path: &[Tag]) -> Result<(), DicomHeaderError> {
        // One item without a series is enough.
        let last = self.references.series.last();
        if path == SERIES && last.is_none_or(|last| *last != ReferencedSeries::default()) {
            self.references.series.push(ReferencedSeries::default());
        }
        Ok(())
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        match path {
            [] => tag == tag::SOP_CLASS_UID || PatientReader::wants(tag),
            [tag::STRUCTURE_SET_ROI_SEQUENCE] => tag == tag::REFERENCED_FRAME_OF_REFERENCE_UID,
            path if path == SERIES => tag == tag::SERIES_INSTANCE_UID,
            path if path == IMAGES => tag == tag::REFERENCED_SOP_INSTANCE_UID,
            _ => false,
        }
    }

    fn longest(&self, tag: Tag) -> Longest {
        Longest::Refused(if PatientReader::wants(tag) {
            patient::BYTES_MAX
        } else {
            VALUE_BYTES_MAX
        })
    }

    fn value(&mut self, path: &[Tag], tag: Tag, value: Vec<u8>) -> Result<(), DicomHeaderError> {
        if path.is_empty() && PatientReader::wants(tag) {
            self.patient.take(tag, &value);
            return Ok(());
        }
        let value = text(&value);
        let series = self.references.series.last_mut();
        match (path, series) {
            ([], _) => self.class = Some(value),
            ([tag::STRUCTURE_SET_ROI_SEQUENCE], _) => {
                self.references.frames_of_reference.insert(value);
            }
            (path, Some(series)) if path == SERIES => series.series = value,
            (_, Some(series)) => {
                series.instances.insert(value);
            }
            _ => {}
        }
        Ok(())
    }
}
