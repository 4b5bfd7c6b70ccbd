//! The images that a result refers to.

use std::collections::BTreeSet;
use std::fmt;

use vesal_volume::Geometry;

use crate::Remarks;
use crate::dicom::assessment::{Assessment, Grade};
use crate::dicom::content_digest::ContentDigest;
use crate::dicom::error::DicomError;
use crate::dicom::patient::PatientDigest;
use crate::dicom::slice::Slice;
use crate::dicom::stack::frames_differ;
use crate::dicom::stack_finding::StackFinding;
use crate::dicom::tag::Tag;
use crate::dicom::write::copied::CopiedAttributes;
use crate::dicom::write::uid::digest;

/// The images that a result refers to: a series and its slices, its patient and study, and further series.
///
/// Patient and study are used only for written files.
#[derive(Clone)]
pub struct SourceImages {
    pub(super) study: String,
    pub(super) series: String,
    pub(super) series_number: Option<i64>,
    pub(super) modality: String,
    /// `None` where the images state none.
    pub(super) frame_of_reference: Option<String>,
    /// Grade of the series whose grid results lie on.
    grade: Grade,
    /// The worst grade of all series.
    pub(super) worst: Grade,
    /// Whether another series lies in another frame of reference.
    pub(super) frames_differ: bool,
    /// Whether images may be missing.
    pub(super) incomplete: bool,
    pub(super) grid: Geometry,
    /// The frames of the series in the order of its slices.
    pub(super) frames: Vec<SourceFrame>,
    /// Other series that the result was made of, with their studies.
    pub(super) others: Vec<OtherSeries>,
    pub(super) copied: CopiedAttributes,
    /// The patient of each series.
    patients: Vec<PatientDigest>,
    /// The content of each series' slices.
    contents: Vec<ContentDigest>,
}

impl fmt::Debug for SourceImages {
    /// Series and number of slices: nothing of the patient.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("series", &self.series)
            .field("grade", &self.grade)
            .field("frames", &self.frames.len())
            .finish_non_exhaustive()
    }
}

/// A frame of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceFrame {
    pub class: String,
    pub instance: String,
    /// From 1; `None` where the instance is a single image.
    pub number: Option<u32>,
}

impl SourceFrame {
    fn of(slice: &Slice) -> Self {
        Self {
            class: slice.class().to_owned(),
            instance: slice.instance().to_owned(),
            number: (slice.image.header.frames.len() > 1).then_some(slice.frame_number() as u32),
        }
    }
}

/// A further series of the input.
#[derive(Clone)]
pub(super) struct OtherSeries {
    pub study: String,
    pub series: String,
    pub frames: Vec<SourceFrame>,
}

impl SourceImages {
    /// The series whose grid a result is predicted on, and the digest of its slices when they were read; the header of
    /// its first slice is read again.
    ///
    /// **Errors**: [`DicomError::Refused`] for a stack without a volume; [`DicomError::OtherPatient`] where that header
    /// now names another patient; otherwise the error of the file.
    pub fn of(assessment: &Assessment, content: ContentDigest) -> Result<Self, DicomError> {
        let grid = assessment.grid()?;
        let Some(first) = assessment.slices().first() else {
            return Err(DicomError::Refused {
                series: assessment.series.clone(),
                reason: StackFinding::NoDepth,
            });
        };
        let header = &first.image.header;
        let copied = CopiedAttributes::read(first).map_err(|reason| DicomError::Header {
            path: first.path().to_owned(),
            reason,
        })?;
        if PatientDigest::count([header.patient, copied.patient()]) > 1 {
            return Err(DicomError::OtherPatient {
                series: header.series.clone(),
                first: header.series.clone(),
            });
        }
        Ok(Self {
            study: header.study.clone(),
            series: header.series.clone(),
            series_number: header.series_number,
            modality: header.modality.clone(),
            frame_of_reference: header.frame_of_reference.clone(),
            grade: assessment.grade(),
            worst: assessment.grade(),
            frames_differ: false,
            incomplete: false,
            grid,
            frames: assessment.slices().iter().map(SourceFrame::of).collect(),
            others: Vec::new(),
            copied,
            patients: vec![header.patient],
            contents: vec![content],
        })
    }

    /// The same with a further series, from which other channels of the input were read, and the digest of its slices.
    ///
    /// **Errors**: [`DicomError::Refused`] for a stack without a volume; [`DicomError::OtherPatient`].
    pub fn and(mut self, further: &Assessment, content: ContentDigest) -> Result<Self, DicomError> {
        further.layout()?;
        for slice in further.slices().iter().take(1) {
            let header = &slice.image.header;
            self.patients.push(header.patient);
            if PatientDigest::count(self.patients.iter().copied()) > 1 {
                return Err(DicomError::OtherPatient {
                    series: further.series.clone(),
                    first: self.series,
                });
            }
            self.frames_differ |= frames_differ(
                self.frame_of_reference.as_deref(),
                header.frame_of_reference.as_deref(),
            );
            self.worst = self.worst.max(further.grade());
            self.contents.push(content);
            self.others.push(OtherSeries {
                study: header.study.clone(),
                series: further.series.clone(),
                frames: further.slices().iter().map(SourceFrame::of).collect(),
            });
        }
        Ok(self)
    }

    /// Marks the input as possibly incomplete, which every result states.
    pub fn incomplete(mut self) -> Self {
        self.incomplete = true;
        self
    }

    /// The remarks of results.
    pub fn remarks(&self) -> Remarks {
        Remarks {
            incomplete: self.incomplete,
            grade: Some(self.worst),
            frames_differ: self.frames_differ,
        }
    }

    /// The frames of the planes; `None` where the grid's planes are not the slices of the series.
    pub(super) fn planes(&self) -> Option<&[SourceFrame]> {
        let [_, _, planes] = self.grid.shape;
        (self.grade == Grade::Ok && self.frames.len() == planes).then_some(self.frames.as_slice())
    }

    /// Digest of all input of the result.
    pub(super) fn digest(&self) -> [u8; 32] {
        let frames = |frames: &[SourceFrame]| -> Vec<String> {
            frames
                .iter()
                .map(|frame| format!("{} {}", frame.instance, frame.number.unwrap_or(0)))
                .collect()
        };
        let mut texts = vec![self.study.clone(), self.series.clone()];
        texts.extend(frames(&self.frames));
        for other in &self.others {
            texts.extend([other.study.clone(), other.series.clone()]);
            texts.extend(frames(&other.frames));
        }
        texts.push(format!("{:?} {:?}", self.grid, self.incomplete));
        texts.push(format!("{} {}", self.grade, self.worst));
        let texts = texts.into_iter().map(String::into_bytes);
        let contents = self.contents.iter().map(|content| content.0.to_vec());
        digest(texts.chain(contents).chain(self.copied.content()))
    }

    /// All series, this one first: study, series, and the class and UID of each instance once.
    pub(super) fn all_series(&self) -> Vec<SeriesInstances<'_>> {
        let own = (&self.study, &self.series, &self.frames);
        let others = self.others.iter();
        std::iter::once(own)
            .chain(others.map(|other| (&other.study, &other.series, &other.frames)))
            .map(|(study, series, frames)| {
                let mut seen = BTreeSet::new();
                let instances = frames
                    .iter()
                    .filter(|frame| seen.insert(&frame.instance))
                    .map(|frame| (frame.class.as_str(), frame.instance.as_str()))
                    .collect();
                SeriesInstances {
                    study,
                    series,
                    instances,
                }
            })
            .collect()
    }
}

/// A series and its instances.
pub(super) struct SeriesInstances<'a> {
    pub study: &'a str,
    pub series: &'a str,
    /// Class and UID of each.
    pub instances: Vec<(&'a str, &'a str)>,
}

impl From<Tag> for dicom_core::Tag {
    fn from(Tag(group, element): Tag) -> Self {
        Self(group, element)
    }
}
