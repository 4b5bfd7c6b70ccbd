//! Stacks: the slices that may make one volume.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vesal_volume::Geometry;

use crate::dicom::compare::Allowance;
use crate::dicom::error::DicomError;
use crate::dicom::finding::Finding;
use crate::dicom::frame::Frame;
use crate::dicom::key::Key;
use crate::dicom::layout::{Layout, Order};
use crate::dicom::patient::patients;
use crate::dicom::pixels::{Image, is_plausible};

/// One frame of an image file.
#[derive(Debug, Clone)]
pub struct Slice {
    pub(super) image: Arc<Image>,
    pub(super) frame: usize,
}

impl Slice {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.image.path
    }

    /// UID of the instance.
    pub fn instance(&self) -> &str {
        &self.image.header.instance
    }

    /// UID of the instance's class.
    pub fn class(&self) -> &str {
        &self.image.header.class
    }

    /// Number of the frame in its file, from 1.
    pub fn frame_number(&self) -> usize {
        self.frame + 1
    }

    pub(super) fn place(&self) -> &Frame {
        self.image.header.frames.get(self.frame)
    }

    /// The value of a key.
    pub(super) fn key(&self, key: Key) -> Option<&str> {
        self.image.header.frames.key(self.frame, key)
    }
}

/// Slices of one study, series, frame of reference, shape, pixel spacing and orientation; never empty.
#[derive(Debug, Clone)]
pub struct Stack {
    pub(super) slices: Vec<Slice>,
    pub(super) told_apart_by: Vec<(Key, String)>,
    /// Lists that stacks share; no file is in two of them.
    pub(super) unread: Vec<Arc<[PathBuf]>>,
    /// That there are other stacks of the series, where nothing tells them apart but what no series should differ in.
    pub(super) torn: Option<Finding>,
    /// How many stacks were found together, this one among them.
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

    /// What made the images, such as `CT`, `MR`, `PT`.
    pub fn modality(&self) -> &str {
        &self.first().header.modality
    }

    /// Description of the series, as the operator or the scanner put it: for choosing, not for reports.
    pub fn description(&self) -> Option<&str> {
        self.first().header.description.as_deref()
    }

    /// Number of the series.
    pub fn series_number(&self) -> Option<i64> {
        self.first().header.series_number
    }

    /// Columns and rows of a slice.
    pub fn columns_and_rows(&self) -> [usize; 2] {
        [self.first().header.columns, self.first().header.rows]
    }

    /// The slices in the order of their files; that of the volume is [`Assessment::slices`].
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// What tells this stack from others of its series that have slices at the same places: phases, echoes, b-values,
    /// acquisitions. Empty where there are none.
    pub fn told_apart_by(&self) -> &[(Key, String)] {
        &self.told_apart_by
    }

    /// Files that cannot be used, in which slices of this stack may be: of its series; where their series is unknown,
    /// beside its slices or named by the same DICOMDIR. By path.
    pub fn unread(&self) -> Vec<&Path> {
        let files = self.unread.iter().flat_map(|files| files.iter());
        let mut files: Vec<&Path> = files.map(PathBuf::as_path).collect();
        files.sort_unstable();
        files
    }

    /// Says what volume the slices make under a policy, and how far it is to be trusted.
    ///
    /// Slices are sorted by their position along the normal of their planes; neither numbers nor names of files count,
    /// nor does a stated thickness, except for the depth of a lone slice.
    ///
    /// **Definition**: the volume's axes are columns, rows, and slices along the normal, which is right-handed with
    /// them; so an axial image has orientation LPS. Positions that lie evenly give the step between slices, tilted as
    /// it may be; positions within [`Finding::UnevenSpacing`]'s tolerance count as even. What does not is told as
    /// [`Findings`](Finding), of which [`Policy::Strict`] refuses those that need resampling.
    ///
    /// Slices at one place are compared by what is stored of them. Only where copies are compressed in different ways
    /// they are decoded, one at a time, and only as many and as large as their files justify, see
    /// [`Finding::Uncompared`].
    ///
    /// **Errors**: [`DicomError`] where slices at the same place cannot be read to be compared.
    pub fn assess(&self, policy: Policy) -> Result<Assessment, DicomError> {
        let mut findings: Vec<Finding> = self.torn.iter().cloned().collect();
        // The lists are sorted.
        if let Some(first) = self.unread.iter().filter_map(|files| files.first()).min() {
            let reason = Finding::Unread {
                files: self.unread.iter().map(|files| files.len()).sum(),
                first: first.clone(),
            };
            return Ok(Assessment::refused(self, findings, reason));
        }
        if let Some(reason) = self.patients().or_else(|| self.implausible()) {
            return Ok(Assessment::refused(self, findings, reason));
        }
        let order = match Order::of(&self.slices, self.comparing())? {
            Ok(order) => order,
            Err(reason) => return Ok(Assessment::refused(self, findings, reason)),
        };
        if order.dropped > 0 {
            findings.push(Finding::Copies {
                slices: order.dropped,
            });
        }
        if let Some(reason) = same_instance(&order.slices) {
            return Ok(Assessment::refused(self, findings, reason));
        }
        let layout = match Layout::of(&order.slices, &mut findings) {
            Ok(layout) => layout,
            Err(reason) => return Ok(Assessment::refused(self, findings, reason)),
        };
        let must = findings.iter().position(Finding::needs_resampling);
        match (must, policy) {
            (Some(index), Policy::Strict) => {
                let reason = findings.remove(index);
                Ok(Assessment::refused(self, findings, reason))
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
    /// The files.
    pub(super) fn images(&self) -> impl Iterator<Item = &Image> {
        let mut seen = HashSet::new();
        let images = self.slices.iter().map(|slice| &*slice.image);
        images.filter(move |image| seen.insert(std::ptr::from_ref(*image)))
    }

    /// What comparing slices may take: by the bytes of the files, each shared among all its frames.
    fn comparing(&self) -> Allowance {
        let of_slice = |slice: &Slice| slice.image.bytes / slice.image.header.frames.len() as u64;
        let bytes = self.slices.iter().map(of_slice).sum();
        Allowance::new(bytes, self.found_with)
    }

    /// That the files name several patients.
    fn patients(&self) -> Option<Finding> {
        let patients = patients([self]);
        (patients > 1).then_some(Finding::Patients { patients })
    }

    /// That the files cannot hold the pixels.
    fn implausible(&self) -> Option<Finding> {
        let slices = self.slices.iter();
        let expected = slices
            .map(|slice| slice.image.header.frame_bytes())
            .fold(0, u64::saturating_add);
        let found = self
            .images()
            .map(|image| image.bytes)
            .fold(0, u64::saturating_add);
        (!is_plausible(found, expected)).then_some(Finding::Implausible { found, expected })
    }
}

/// That several files call themselves the same instance.
fn same_instance(slices: &[Slice]) -> Option<Finding> {
    let mut files: BTreeMap<&str, BTreeSet<&Path>> = BTreeMap::new();
    for slice in slices {
        files
            .entry(slice.instance())
            .or_default()
            .insert(slice.path());
    }
    let instances = files.values().filter(|files| files.len() > 1).count();
    (instances > 0).then_some(Finding::SameInstance { instances })
}

/// What to do with slices that do not lie evenly and straight behind each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Refuse them.
    #[default]
    Strict,
    /// Resample them by their true positions onto an even, rectangular grid.
    Resample,
}

/// Whether nothing says that two series lie in the same place: their frames of reference differ, or the first has none.
pub fn frames_differ(first: Option<&str>, other: Option<&str>) -> bool {
    first.is_none() || first != other
}

/// How far a volume is to be trusted.
///
/// Of several volumes the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Its voxels are those of the scanner.
    Ok,
    /// Its voxels are interpolated between those of the scanner.
    Resampled,
    /// There is no volume.
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

/// What volume a stack makes.
#[derive(Debug, Clone)]
pub struct Assessment {
    pub(super) series: String,
    findings: Vec<Finding>,
    slices: Vec<Slice>,
    /// How the slices make a volume, or why they make none.
    pub(super) outcome: Result<Layout, Finding>,
}

impl Assessment {
    fn refused(stack: &Stack, findings: Vec<Finding>, reason: Finding) -> Self {
        Self {
            series: stack.series().to_owned(),
            findings,
            slices: Vec::new(),
            outcome: Err(reason),
        }
    }

    /// How far the volume is to be trusted.
    pub fn grade(&self) -> Grade {
        if self.outcome.is_err() {
            Grade::Refused
        } else if self.findings.iter().any(Finding::needs_resampling) {
            Grade::Resampled
        } else {
            Grade::Ok
        }
    }

    /// Why there is no volume; `None` where there is one.
    pub fn refusal(&self) -> Option<&Finding> {
        self.outcome.as_ref().err()
    }

    /// What else is noteworthy; why a volume is resampled, above all.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The slices from first to last along the normal, copies left out; none of a refused stack.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// How the slices make a volume.
    ///
    /// **Errors**: [`DicomError::Refused`] where they make none.
    pub(super) fn layout(&self) -> Result<&Layout, DicomError> {
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
