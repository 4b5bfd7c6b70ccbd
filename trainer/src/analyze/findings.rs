//! Findings of an analysis: cases that cannot be used, and peculiarities that a person should check.

use serde::{Deserialize, Serialize};
use vesal_files::VersionedDocument;

/// `findings.json`: all findings of an analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// Number of analyzed cases, those left out included.
    pub n_cases: usize,
    /// Number of cases that are left out; each has a finding of severity `error`.
    pub n_excluded: usize,
    /// Errors first, each group in the datalist's order.
    pub findings: Vec<Finding>,
}

impl VersionedDocument for Findings {
    const FORMAT: &str = "vesal-findings";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 256 << 20;
}

impl Findings {
    pub fn new(n_cases: usize, findings: Vec<Finding>) -> Self {
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        let mut excluded: Vec<_> = errors.flat_map(|finding| &finding.cases).collect();
        excluded.sort_unstable();
        excluded.dedup();
        Self {
            n_cases,
            n_excluded: excluded.len(),
            findings,
        }
    }
}

/// The consequence of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The cases are left out.
    Error,
    Warning,
}

/// One defect or peculiarity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub kind: FindingKind,
    pub severity: Severity,
    /// Names of the cases; empty where the finding is about files or labels of the whole dataset.
    pub cases: Vec<String>,
    /// What was found and what is expected, without the names of the cases.
    pub message: String,
    /// Advice on how to correct it.
    pub hint: String,
    /// Files that the finding is about, relative to the data root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Labels that the finding is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<VoxelPosition>,
}

/// A voxel to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoxelPosition {
    /// Path relative to the data root.
    pub file: String,
    /// Index `[X, Y, Z]` in the order of the file.
    pub voxel: [usize; 3],
}

impl Finding {
    /// A finding about one case.
    pub(super) fn about(case: &str, kind: FindingKind, message: String) -> Self {
        Self {
            cases: vec![case.to_owned()],
            ..Self::about_dataset(kind, message)
        }
    }

    /// A finding about the whole dataset.
    pub(super) fn about_dataset(kind: FindingKind, message: String) -> Self {
        Self {
            kind,
            severity: Severity::Warning,
            cases: Vec::new(),
            message,
            hint: kind.hint().to_owned(),
            files: Vec::new(),
            labels: Vec::new(),
            position: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A file of a case does not exist.
    MissingFile,
    /// A file cannot be read as an image.
    UnreadableFile,
    /// The datalist names an image but no label map, while other cases have one.
    ImageWithoutLabel,
    /// A label map without an image: in the datalist, or in the folder of the label maps.
    LabelWithoutImage,
    /// The same file is given as image and as label map.
    LabelIsImage,
    /// Files of a case have different numbers of voxels.
    ShapeMismatch,
    /// Files of a case occupy different places in the world.
    AffineMismatch,
    /// Label values that are not whole numbers.
    NonIntegerLabels,
    /// Label values below 0.
    NegativeLabels,
    /// Label values that the task does not name.
    UnexpectedLabels,
    /// Another number of channels than in most cases.
    ChannelCountDiffers,
    /// A channel with the same intensity everywhere.
    ConstantImage,
    /// Intensities that are NaN or infinite.
    NonFiniteImage,
    /// The same voxels in the training and the validation part of a split.
    SameImageInTwoFolds,
    /// Files with the same voxels.
    DuplicateImages,
    /// The same patient in the training and the validation part of a split.
    PatientInTwoFolds,
    /// A label map with background only.
    EmptyLabel,
    /// A label of the task that no case has.
    LabelNeverOccurs,
    /// A label of the task that only cases of one fold have: the training that holds them out never sees it.
    LabelInOneFold,
    /// sform and qform map the voxels to different places.
    SformQformDiffer,
    /// A header without the position of the voxels.
    UnknownOrientation,
    /// Other axis codes than in most cases.
    OrientationDiffers,
    /// A label on the other side of the body than in most cases.
    LeftRightDiffers,
    /// A physical size far from that of the other cases.
    OutlierSize,
    /// A spacing far from that of the other cases.
    OutlierSpacing,
    /// Intensities far from those of the other cases.
    OutlierIntensity,
    /// Another type of stored voxels than in most cases, or one that loses precision.
    UnusualVoxelType,
}

impl FindingKind {
    /// The kind in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::MissingFile => "missing file",
            Self::UnreadableFile => "unreadable file",
            Self::ImageWithoutLabel => "image without label",
            Self::LabelWithoutImage => "label without image",
            Self::LabelIsImage => "label map is the image",
            Self::ShapeMismatch => "shapes differ within a case",
            Self::AffineMismatch => "places differ within a case",
            Self::NonIntegerLabels => "labels are no whole numbers",
            Self::NegativeLabels => "negative labels",
            Self::UnexpectedLabels => "labels without a name",
            Self::ChannelCountDiffers => "another number of channels",
            Self::ConstantImage => "constant image",
            Self::NonFiniteImage => "NaN or infinite voxels",
            Self::SameImageInTwoFolds => "same image in two folds",
            Self::DuplicateImages => "duplicate images",
            Self::PatientInTwoFolds => "one patient in two folds",
            Self::EmptyLabel => "empty label map",
            Self::LabelNeverOccurs => "label never occurs",
            Self::LabelInOneFold => "label in one fold only",
            Self::SformQformDiffer => "sform and qform differ",
            Self::UnknownOrientation => "unknown orientation",
            Self::OrientationDiffers => "orientation differs",
            Self::LeftRightDiffers => "left and right differ",
            Self::OutlierSize => "outlier in size",
            Self::OutlierSpacing => "outlier in spacing",
            Self::OutlierIntensity => "outlier in intensity",
            Self::UnusualVoxelType => "unusual voxel type",
        }
    }

    /// Advice for findings of this kind.
    pub fn hint(self) -> &'static str {
        match self {
            Self::MissingFile => {
                "correct the path in the datalist, or set `dataroot` (--dataroot DIR)"
            }
            Self::UnreadableFile => "copy or export the file again as NIfTI",
            Self::ImageWithoutLabel => {
                "add \"label\" to the item in the datalist, or list the case under \"testing\""
            }
            Self::LabelWithoutImage => {
                "add the image and list both in the datalist, or remove the label map"
            }
            Self::LabelIsImage => "name the label map under \"label\" in the datalist",
            Self::ShapeMismatch => {
                "look whether the files belong to one case; draw or export the label map on the image's grid"
            }
            Self::AffineMismatch => {
                "look at both in a viewer; where the voxels match, copy the affine of the image"
            }
            Self::NonIntegerLabels => {
                "resample label maps with nearest neighbors, and store integers"
            }
            Self::NegativeLabels => "map the values to 0 (background), 1, 2, ...",
            Self::UnexpectedLabels => "name the labels in `class_names`, or map them to 0",
            Self::ChannelCountDiffers => "list the same channels in the same order for every case",
            Self::ConstantImage => "export the image again, or take it out of the datalist",
            Self::NonFiniteImage => {
                "replace the voxels by numbers, such as the background's intensity"
            }
            Self::SameImageInTwoFolds => {
                "keep one of them, or give both the same `fold` in the datalist"
            }
            Self::DuplicateImages => "keep one of them",
            Self::PatientInTwoFolds => {
                "give all cases of a patient the same `fold` in the datalist"
            }
            Self::EmptyLabel => "check that nothing is to be segmented in the image",
            Self::LabelNeverOccurs => {
                "take its name out of `class_names`, or add cases that have it"
            }
            Self::LabelInOneFold => {
                "the network of that fold cannot learn it: give cases that have it different `fold`s in the datalist"
            }
            Self::SformQformDiffer => {
                "look at the image in a viewer; the sform counts, correct it if the qform is right"
            }
            Self::UnknownOrientation => {
                "convert the original images again with a tool that writes sform or qform"
            }
            Self::OrientationDiffers => {
                "nothing, if the orientation is right: images are turned to RAS; compare in a viewer"
            }
            Self::LeftRightDiffers => {
                "compare with another case in a viewer: the image, its affine or its labels may be mirrored"
            }
            Self::OutlierSize | Self::OutlierSpacing => {
                "check that the image shows the same as the others"
            }
            Self::OutlierIntensity => {
                "check the modality, the scaling of the intensities and what the image shows"
            }
            Self::UnusualVoxelType => "export the image again with the settings of the others",
        }
    }
}
