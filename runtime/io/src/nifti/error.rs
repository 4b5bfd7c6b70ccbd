//! Errors of NIfTI headers and of writing NIfTI files.

use std::path::{Path, PathBuf};

use vesal_files::atomic::AtomicError;

use crate::image::affine::AffineDefect;
use crate::image::error::{HeaderDefect, HeaderProblem, ImageError};
use crate::nifti::affine_source::AffineSource;

/// Name of the format.
pub(super) const NAME: &str = "NIfTI";

/// Why a NIfTI file cannot be written; the message names the file and the rule.
#[derive(Debug, thiserror::Error)]
pub enum NiftiError {
    /// The data do not fit the format.
    #[error("cannot write `{}` as NIfTI: {reason}", path.display())]
    Write {
        path: PathBuf,
        reason: NiftiWriteError,
    },
    /// The output cannot be put in its place.
    #[error(transparent)]
    Output(#[from] AtomicError),
}

impl NiftiError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Write {
                reason: NiftiWriteError::Name,
                ..
            } => Some("let the name end in `.nii.gz` or `.nii`"),
            Self::Write { .. } => None,
            Self::Output(reason) => reason.hint(),
        }
    }

    pub(super) fn write(path: &Path) -> impl Fn(NiftiWriteError) -> Self {
        move |reason| Self::Write {
            path: path.to_owned(),
            reason,
        }
    }
}

/// The error of a file whose header breaks a rule.
pub(super) fn header(path: &Path) -> impl Fn(NiftiHeaderError) -> ImageError + use<'_> {
    ImageError::header(path, NAME)
}

/// A rule of the format that a header breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NiftiHeaderError {
    /// The file ends within the header.
    #[error("the file has {found} bytes, the header alone takes {expected}")]
    TooShort {
        /// Bytes present.
        found: usize,
        /// Bytes of the header.
        expected: usize,
    },
    /// An Analyze 7.5 header.
    #[error("it is an Analyze 7.5 header, which states no affine; expected NIfTI-1 or NIfTI-2")]
    Analyze,
    /// No NIfTI magic, neither at byte 344 nor at byte 4.
    #[error("it has no NIfTI magic (`n+1` or `ni1` at byte 344, `n+2` or `ni2` at byte 4)")]
    NotNifti,
    /// The stated header size is none of the format's, in either byte order.
    #[error("`sizeof_hdr` is {found}, expected {expected} in either byte order")]
    Size {
        /// The stated size as a little-endian number.
        found: i32,
        /// The size that belongs to the magic.
        expected: i32,
    },
    /// The guard bytes of NIfTI-2 show a conversion of line endings.
    #[error(
        "its line-ending guard is {found:02x?}, expected [0d, 0a, 1a, 0a]: it was transferred as text"
    )]
    LineEndings {
        /// The four guard bytes.
        found: [u8; 4],
    },
    /// The number of dimensions is out of range.
    #[error("`dim[0]` states {found} dimensions, expected 1 to 7")]
    DimensionCount { found: i64 },
    /// An axis has no or a negative number of voxels.
    #[error("`dim[{axis}]` states {found} voxels, expected at least 1")]
    AxisLength {
        /// Index into `dim`, 1 is X.
        axis: usize,
        found: i64,
    },
    /// The number of voxel bytes exceeds 64 bits.
    #[error("its dimensions {shape:?} give more bytes than a 64-bit file can have")]
    Overflow { shape: Vec<u64> },
    /// The data type code is not in the standard.
    #[error("`datatype` is {code}, which is not a code of the standard")]
    UnknownDataType { code: i16 },
    /// A data type of the standard that is not a real number of at most 64 bits.
    #[error("its voxels are {name}; expected integers or real numbers of 8 to 64 bits")]
    UnsupportedDataType {
        /// The name of the type.
        name: &'static str,
    },
    /// The voxels cannot start at this offset.
    #[error("`vox_offset` is {found}, expected a whole number of at least {minimum}")]
    VoxelOffset {
        /// The stated byte offset.
        found: f64,
        /// The smallest offset behind the header.
        minimum: u64,
    },
    /// The scaling has a slope but no finite intercept.
    #[error("`scl_inter` is {intercept} with a `scl_slope` of {slope}, expected a finite number")]
    Intercept { slope: f64, intercept: f64 },
    /// Two affines are stated that contradict each other.
    #[error(
        "its sform and its qform contradict each other: they turn voxel axes by up to {degrees:.0} degrees against each \
         other{}{}",
        if *is_mirrored { ", one of them mirrors the image" } else { "" },
        if *swaps_sides { ", and left is right" } else { "" }
    )]
    Forms {
        /// Largest angle between directions of a voxel axis.
        degrees: f64,
        /// Whether one is right-handed and the other left-handed.
        is_mirrored: bool,
        /// Whether they disagree on where left is.
        swaps_sides: bool,
    },
    /// The affine that counts cannot be used.
    #[error("its affine (from {from}) is unusable: {defect}; its rows are {rows:?}")]
    Affine {
        /// The fields of the header that state it.
        from: AffineSource,
        defect: AffineDefect,
        /// The first three rows as stated; empty where the fields are not a matrix.
        rows: Vec<[f64; 4]>,
    },
}

impl HeaderDefect for NiftiHeaderError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Analyze => Some(
                "convert the original images to NIfTI with a tool that knows their orientation",
            ),
            Self::Forms { .. } => Some(
                "look at the image in a viewer that shows by which of them it goes, and mend the header: \
                 set the code of the form that is wrong to 0",
            ),
            Self::LineEndings { .. } => Some("copy the file again in binary mode"),
            _ => None,
        }
    }

    fn problem(&self) -> HeaderProblem {
        match self {
            Self::NotNifti => HeaderProblem::OtherFormat,
            Self::Forms { .. } => HeaderProblem::ContradictoryAffines,
            _ => HeaderProblem::Malformed,
        }
    }
}

/// Why data cannot be written as NIfTI-1.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NiftiWriteError {
    /// The name has no known ending.
    #[error("its name ends neither in `.nii` nor in `.nii.gz`")]
    Name,
    /// An axis is empty or longer than the format allows.
    #[error("axis {axis} of its shape {shape:?} has {found} entries, expected 1 to 32767")]
    AxisLength {
        /// Index into the shape.
        axis: usize,
        /// Entries along it.
        found: usize,
        /// `[X, Y, Z]` or `[X, Y, Z, C]`.
        shape: Vec<usize>,
    },
    /// A block of it does not fit.
    #[error("a block of {block:?} voxels at {start:?} does not lie within its {shape:?}")]
    Block {
        /// The first voxel `[X, Y, Z]`.
        start: [usize; 3],
        /// The shape `[K, X, Y, Z]` of the block.
        block: Box<[usize; 4]>,
        /// The shape `[K, X, Y, Z]` of the whole.
        shape: Box<[usize; 4]>,
    },
    /// The affine cannot be stored.
    #[error("its affine is unusable: {defect}")]
    Affine { defect: AffineDefect },
}
