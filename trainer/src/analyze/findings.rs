//! What an analysis finds: cases that cannot be used, and what a person should look at.

use serde::{Deserialize, Serialize};
use vesal_files::VersionedDocument;

/// `findings.json`: everything that an analysis found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// Number of cases that were analyzed, those left out included.
    pub n_cases: usize,
    /// Number of cases that are left out; each has a finding of severity `error`.
    pub n_excluded: usize,
    /// Errors first, each in the datalist's order.
    pub findings: Vec<Finding>,
}

impl VersionedDocument for Findings {
    const FORMAT: &str = "vesal-findings";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 256 << 20;
}

impl Findings {
    /// A document of these findings about `n_cases` cases.
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

/// What becomes of the cases of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// They are left out.
    Error,
    Warning,
}

/// One thing that is wrong or odd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub kind: FindingKind,
    /// What becomes of its cases.
    pub severity: Severity,
    /// Names of the cases; empty where it is about files or labels of the whole dataset.
    pub cases: Vec<String>,
    /// What was found and what is expected, without the names of the cases.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// The files that it is about, relative to the data root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The labels that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<VoxelPosition>,
}

/// A voxel to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoxelPosition {
    /// The file, relative to the data root.
    pub file: String,
    /// Index `[X, Y, Z]` in the order of the file.
    pub voxel: [usize; 3],
}

impl Finding {
    /// A finding of this kind about one case.
    pub(super) fn about(case: &str, kind: FindingKind, message: String) -> Self {
        Self {
            cases: vec![case.to_owned()],
            ..Self::about_dataset(kind, message)
        }
    }

    /// A finding of this kind that no case stands for.
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
    /// A file of a case is not there.
    MissingFile,
    /// A file is no image that can be read.
    UnreadableFile,
    /// The datalist names an image but no label map, while other cases have one.
    ImageWithoutLabel,
    /// A label map without an image: in the datalist, or in the folder of the label maps.
    LabelWithoutImage,
    /// The label map is the image.
    LabelIsImage,
    /// Files of a case have different numbers of voxels.
    ShapeMismatch,
    /// Files of a case lie in different places.
    AffineMismatch,
    /// Label values that are no whole numbers.
    NonIntegerLabels,
    /// Label values below 0.
    NegativeLabels,
    /// Label values that the task does not name.
    UnexpectedLabels,
    /// Another number of channels than most cases have.
    ChannelCountDiffers,
    /// A channel with one intensity everywhere.
    ConstantImage,
    /// Intensities that are NaN or infinite.
    NonFiniteImage,
    /// The same voxels in the training and the validation part of a split.
    SameImageInTwoFolds,
    /// Files with the same voxels.
    DuplicateImages,
    /// One patient in the training and the validation part of a split.
    PatientInTwoFolds,
    /// A label map with background only.
    EmptyLabel,
    /// A label of the task that no case has.
    LabelNeverOccurs,
    /// sform and qform put the voxels in different places.
    SformQformDiffer,
    /// A header that does not say where the voxels are.
    UnknownOrientation,
    /// Other axis codes than most cases have.
    OrientationDiffers,
    /// A label on the other side of the body than in most cases.
    LeftRightDiffers,
    /// A physical size far from that of the other cases.
    OutlierSize,
    /// A spacing far from that of the other cases.
    OutlierSpacing,
    /// Intensities far from those of the other cases.
    OutlierIntensity,
    /// Voxels stored in another way than most cases have, or in a way that loses precision.
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

    /// What to do about it.
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
