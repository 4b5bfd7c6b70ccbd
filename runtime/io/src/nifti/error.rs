//! Why a NIfTI file cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

use crate::nifti::affine_defect::AffineDefect;
use crate::nifti::affine_source::AffineSource;
use vesal_files::atomic::AtomicError;

/// Why a NIfTI file cannot be read or written; the message names the file and the rule.
#[derive(Debug, thiserror::Error)]
pub enum NiftiError {
    /// The system cannot read the file.
    #[error("cannot read `{}`: {reason}", path.display())]
    Io { path: PathBuf, reason: io::Error },
    /// The path leads to a directory, a device or a pipe.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The gzip stream is damaged.
    #[error("the gzip stream of `{}` is damaged: {reason}", path.display())]
    Compression { path: PathBuf, reason: io::Error },
    /// Half of a `.hdr`/`.img` pair is absent.
    #[error("`{}` is half of a pair, and the other half is absent: looked for {}", path.display(), list(looked_for))]
    HalfMissing {
        /// The half that exists.
        path: PathBuf,
        /// Where the other half may be.
        looked_for: Vec<PathBuf>,
    },
    /// The header breaks a rule of the format.
    #[error("cannot read the NIfTI header of `{}`: {reason}", path.display())]
    Header { path: PathBuf, reason: HeaderError },
    /// The voxels do not fit the header, or not what was asked for.
    #[error("cannot read the voxels of `{}`: {reason}", path.display())]
    Voxels { path: PathBuf, reason: VoxelError },
    /// The values are no labels.
    #[error("`{}` is not a label map: {reason}", path.display())]
    Labels { path: PathBuf, reason: LabelError },
    /// The data do not fit the format.
    #[error("cannot write `{}` as NIfTI: {reason}", path.display())]
    Write { path: PathBuf, reason: WriteError },
    /// The output cannot be put in its place.
    #[error(transparent)]
    Output(#[from] AtomicError),
}

impl NiftiError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Header {
                reason: HeaderError::Analyze,
                ..
            } => Some(
                "convert the original images to NIfTI with a tool that knows their orientation",
            ),
            Self::Header {
                reason: HeaderError::Forms { .. },
                ..
            } => Some(
                "look at the image in a viewer that shows by which of them it goes, and mend the header: \
                 set the code of the form that is wrong to 0",
            ),
            Self::Header {
                reason: HeaderError::LineEndings { .. },
                ..
            } => Some("copy the file again in binary mode"),
            Self::Voxels {
                reason: VoxelError::Frames { .. },
                ..
            } => Some("store each frame in a file of its own"),
            Self::Compression { .. }
            | Self::Voxels {
                reason: VoxelError::Truncated { .. },
                ..
            } => Some("copy or export the file again: it is incomplete or damaged"),
            Self::Write {
                reason: WriteError::Name,
                ..
            } => Some("let the name end in `.nii.gz` or `.nii`"),
            Self::Output(reason) => reason.hint(),
            _ => None,
        }
    }

    /// The file, where the error is about one that is read or whose data do not fit.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::NotAFile { path }
            | Self::Compression { path, .. }
            | Self::HalfMissing { path, .. }
            | Self::Header { path, .. }
            | Self::Voxels { path, .. }
            | Self::Labels { path, .. }
            | Self::Write { path, .. } => Some(path),
            Self::Output(_) => None,
        }
    }

    /// The error of a failed read: damage if the decoder reports it, otherwise an error of the system.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |reason| {
            let path = path.to_owned();
            match reason.kind() {
                io::ErrorKind::InvalidInput
                | io::ErrorKind::InvalidData
                | io::ErrorKind::UnexpectedEof => Self::Compression { path, reason },
                _ => Self::Io { path, reason },
            }
        }
    }

    pub(super) fn header(path: &Path) -> impl Fn(HeaderError) -> Self {
        move |reason| Self::Header {
            path: path.to_owned(),
            reason,
        }
    }

    pub(super) fn voxels(path: &Path) -> impl Fn(VoxelError) -> Self {
        move |reason| Self::Voxels {
            path: path.to_owned(),
            reason,
        }
    }

    pub(super) fn write(path: &Path) -> impl Fn(WriteError) -> Self {
        move |reason| Self::Write {
            path: path.to_owned(),
            reason,
        }
    }
}

/// Which rule of the format a header breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// The file ends within the header.
    #[error("the file has {found} bytes, the header alone takes {expected}")]
    TooShort {
        /// Bytes that are there.
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
    /// The number of voxel bytes is beyond any machine.
    #[error("its dimensions {shape:?} give more bytes than a 64-bit file can have")]
    Overflow { shape: Vec<u64> },
    /// The data type code is not in the standard.
    #[error("`datatype` is {code}, which is not a code of the standard")]
    UnknownDataType { code: i16 },
    /// A data type of the standard that is no real number of at most 64 bits.
    #[error("its voxels are {name}; expected integers or real numbers of 8 to 64 bits")]
    UnsupportedDataType { name: &'static str },
    /// The offset of the voxels lies within the header.
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
        /// Which fields of the header state it.
        from: AffineSource,
        defect: AffineDefect,
        /// The first three rows as stated; empty where the fields give no matrix.
        rows: Vec<[f64; 4]>,
    },
}

/// Why voxels cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VoxelError {
    /// More than one frame where one is expected.
    #[error("its shape {shape:?} has {frames} frames, expected one")]
    Frames {
        shape: Vec<usize>,
        /// Product of the dimensions after the third.
        frames: usize,
    },
    /// More than one dimension after the third has several entries.
    #[error(
        "its shape {shape:?} has several dimensions after the third, expected one for the channels"
    )]
    ChannelAxes { shape: Vec<usize> },
    /// The voxels need more memory than the caller allows.
    #[error("its voxels need {needed} bytes, the limit is {limit} bytes")]
    TooLarge {
        /// Bytes, as stored or as decoded, whichever is more.
        needed: u64,
        limit: u64,
    },
    /// The file ends before its last voxel.
    #[error("it ends after {found} of {expected} voxel bytes")]
    Truncated {
        /// Voxel bytes that are there.
        found: u64,
        /// Voxel bytes by the header.
        expected: u64,
    },
    /// The compressed file is so small that it cannot hold what its header states.
    #[error(
        "its {compressed} compressed bytes cannot hold the {expected} bytes that its header states"
    )]
    Implausible {
        /// Length of the file.
        compressed: u64,
        /// Bytes up to the last voxel by the header.
        expected: u64,
    },
    /// The file goes on long after its last voxel.
    #[error(
        "it goes on for more than {allowed} bytes after the {expected} voxel bytes that its header states"
    )]
    TooLong {
        /// Voxel bytes by the header.
        expected: u64,
        /// Trailing bytes that are let pass.
        allowed: u64,
    },
    /// The machine has not enough memory.
    #[error("this machine cannot provide the {bytes} bytes of memory that they need")]
    OutOfMemory { bytes: u64 },
}

/// Why values are no labels.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{count} of {voxels} voxels are not whole numbers from 0 to 65535, the first is {first} at voxel {at:?}"
)]
pub struct LabelError {
    /// Voxels whose value is no label.
    pub count: usize,
    /// All voxels.
    pub voxels: usize,
    /// The first such value in the order of the file.
    pub first: f64,
    /// Its index `[X, Y, Z]`.
    pub at: [usize; 3],
}

/// Why data cannot be written as NIfTI-1.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// The ending of the name is none of NIfTI.
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
    /// A part of it does not fit.
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

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect::<Vec<_>>()
        .join(", ")
}
