//! Defects that make a case unusable.

use std::io::ErrorKind;
use std::path::Path;

use thiserror::Error;
use vesal_cases::FilesError;
use vesal_io::image::{HeaderProblem, ImageError};
use vesal_volume::GridDifference;
use vesal_volume::geometry::GeometryError;

use super::findings::{Finding, FindingKind, Severity, VoxelPosition};

/// Why a case is left out.
#[derive(Debug, Error)]
pub enum CaseAnalysisError {
    /// The datalist names no label map.
    #[error("the datalist names no label for it")]
    NoLabel,
    /// The datalist names no image.
    #[error("the datalist names the label map `{label}` without an image")]
    NoImage { label: String },
    /// The label map is one of the images.
    #[error("`{file}` is both its image and its label map")]
    LabelIsImage { file: String },
    /// Files do not exist.
    #[error("{} not there{}", list(missing), also(present))]
    Missing {
        /// Files that do not exist.
        missing: Vec<String>,
        /// Files of the case that exist.
        present: Vec<String>,
    },
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A header gives no usable grid.
    #[error("`{file}` has no usable grid")]
    Geometry { file: String, source: GeometryError },
    /// Two files have different numbers of voxels.
    #[error("`{file}` has the shape {found:?}, expected {expected:?} as `{first}` has")]
    Shape {
        file: String,
        /// Shape of the file in voxels.
        found: [usize; 3],
        /// First image of the case.
        first: String,
        /// Shape of the first image.
        expected: [usize; 3],
    },
    /// Two files occupy different places in the world.
    #[error(
        "`{file}` lies up to {found_mm:.3} mm away from `{first}`, expected at most {allowed_mm:.3} mm"
    )]
    Place {
        file: String,
        /// Largest distance between corresponding corners in mm.
        found_mm: f64,
        /// First image of the case.
        first: String,
        /// The tolerance in mm.
        allowed_mm: f64,
    },
    /// Intensities are NaN or infinite.
    #[error("`{file}` has {voxels} voxels that are NaN or infinite, the first at {at:?}")]
    NonFinite {
        file: String,
        voxels: usize,
        /// Index of the first such voxel.
        at: [usize; 3],
    },
    #[error("`{file}` has the intensity {value} everywhere")]
    Constant { file: String, value: f32 },
    /// Label values that the task does not name.
    #[error("`{file}` has the labels {found:?}, expected {named:?}, which the task names")]
    Labels {
        file: String,
        /// Values without a name.
        found: Vec<u16>,
        /// Values with a name, 0 included.
        named: Vec<u16>,
        /// Index of the first voxel with such a label.
        at: [usize; 3],
    },
    /// The number of channels differs from that of most cases.
    #[error("it has {found} channels, expected {expected} as most cases have")]
    Channels {
        /// Channels of this case.
        found: usize,
        /// Channels of most cases.
        expected: usize,
    },
    /// The same voxels occur in a case of another fold.
    #[error(
        "its images have the voxels of case `{first}`, but it is in fold {fold} and that one in fold {first_fold}"
    )]
    OtherFold {
        files: Vec<String>,
        fold: usize,
        /// The case that is kept.
        first: String,
        /// Fold of the case that is kept.
        first_fold: usize,
    },
}

fn list(files: &[String]) -> String {
    let names: Vec<_> = files.iter().map(|file| format!("`{file}`")).collect();
    let verb = if files.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

fn also(present: &[String]) -> String {
    match present {
        [] => String::new(),
        present => format!(", {}", list(present)),
    }
}

impl CaseAnalysisError {
    /// Translates an error about files below `dataroot`.
    pub(super) fn of(error: FilesError, dataroot: &Path) -> Self {
        let (path, first, difference) = match error {
            FilesError::Image(error) => return Self::Image(error),
            FilesError::Grid {
                path,
                first,
                difference,
            } => (path, first, difference),
        };
        let [file, first] = [path, first].map(|path| relative(&path, dataroot));
        match difference {
            GridDifference::Shape { found, expected } => Self::Shape {
                file,
                found,
                first,
                expected,
            },
            GridDifference::Place { found_mm, limit_mm } => Self::Place {
                file,
                found_mm,
                first,
                allowed_mm: limit_mm,
            },
        }
    }

    pub fn kind(&self) -> FindingKind {
        match self {
            Self::NoLabel => FindingKind::ImageWithoutLabel,
            Self::NoImage { .. } => FindingKind::LabelWithoutImage,
            Self::LabelIsImage { .. } => FindingKind::LabelIsImage,
            Self::Missing { .. } => FindingKind::MissingFile,
            Self::Image(error) => image_kind(error),
            Self::Geometry { .. } => FindingKind::UnreadableFile,
            Self::Shape { .. } => FindingKind::ShapeMismatch,
            Self::Place { .. } => FindingKind::AffineMismatch,
            Self::NonFinite { .. } => FindingKind::NonFiniteImage,
            Self::Constant { .. } => FindingKind::ConstantImage,
            Self::Labels { .. } => FindingKind::UnexpectedLabels,
            Self::Channels { .. } => FindingKind::ChannelCountDiffers,
            Self::OtherFold { .. } => FindingKind::SameImageInTwoFolds,
        }
    }

    /// The finding, with paths relative to `dataroot`.
    pub fn finding(&self, case: &str, dataroot: &Path) -> Finding {
        let kind = self.kind();
        let hint = match self {
            Self::Image(error) if kind == FindingKind::UnreadableFile => error.hint(),
            Self::Image(_) if kind == FindingKind::SformQformDiffer => Some(
                "look at the image in a viewer that shows by which of them it goes, and store the right one as both; \
                 until then the case is left out",
            ),
            _ => None,
        };
        Finding {
            severity: Severity::Error,
            hint: hint.unwrap_or(kind.hint()).to_owned(),
            files: self.files(dataroot),
            labels: match self {
                Self::Labels { found, .. } => found.clone(),
                _ => Vec::new(),
            },
            position: self.position(dataroot),
            ..Finding::about(case, kind, self.message(dataroot))
        }
    }

    /// The error and its causes on one line, without the path of `dataroot`.
    pub fn message(&self, dataroot: &Path) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text.replace(&format!("{}/", dataroot.display()), "")
    }

    fn files(&self, dataroot: &Path) -> Vec<String> {
        match self {
            Self::NoLabel | Self::Channels { .. } => Vec::new(),
            Self::NoImage { label: file }
            | Self::LabelIsImage { file }
            | Self::Geometry { file, .. }
            | Self::NonFinite { file, .. }
            | Self::Constant { file, .. }
            | Self::Labels { file, .. } => vec![file.clone()],
            Self::Missing { missing, .. } => missing.clone(),
            Self::Image(error) => vec![relative(error.path(), dataroot)],
            Self::Shape { file, first, .. } | Self::Place { file, first, .. } => {
                vec![file.clone(), first.clone()]
            }
            Self::OtherFold { files, .. } => files.clone(),
        }
    }

    fn position(&self, dataroot: &Path) -> Option<VoxelPosition> {
        let (file, voxel) = match self {
            Self::NonFinite { file, at, .. } | Self::Labels { file, at, .. } => (file.clone(), *at),
            Self::Image(ImageError::Labels { path, reason }) => {
                (relative(path, dataroot), reason.at)
            }
            _ => return None,
        };
        Some(VoxelPosition { file, voxel })
    }
}

fn relative(path: &Path, dataroot: &Path) -> String {
    let inner = path.strip_prefix(dataroot).unwrap_or(path);
    inner.to_string_lossy().into_owned()
}

fn image_kind(error: &ImageError) -> FindingKind {
    if error.header_problem() == Some(HeaderProblem::ContradictoryAffines) {
        return FindingKind::SformQformDiffer;
    }
    match error {
        ImageError::HalfMissing { .. } => FindingKind::MissingFile,
        ImageError::Io { reason, .. } if reason.kind() == ErrorKind::NotFound => {
            FindingKind::MissingFile
        }
        ImageError::Labels { reason, .. } => {
            let first = reason.first;
            if first.fract() != 0.0 || !first.is_finite() {
                FindingKind::NonIntegerLabels
            } else if first < 0.0 {
                FindingKind::NegativeLabels
            } else {
                FindingKind::UnexpectedLabels
            }
        }
        _ => FindingKind::UnreadableFile,
    }
}
