//! Why an image file cannot be read.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why an image file cannot be read; the message names the file and the rule.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The system cannot read the file.
    #[error("cannot read `{}`: {reason}", path.display())]
    Io { path: PathBuf, reason: io::Error },
    /// The path leads to a directory, a device or a pipe.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The compressed stream is damaged.
    #[error("the compressed stream of `{}` is damaged: {reason}", path.display())]
    Compression { path: PathBuf, reason: io::Error },
    /// The other file of a pair is absent.
    #[error("`{}` is half of a pair, and the other half is absent: looked for {}", path.display(), list(looked_for))]
    HalfMissing {
        /// The file that exists.
        path: PathBuf,
        /// Possible paths of the other file.
        looked_for: Vec<PathBuf>,
    },
    /// The header breaks a rule of its format.
    #[error("cannot read the {format} header of `{}`: {reason}", path.display())]
    Header {
        path: PathBuf,
        /// Name of the format.
        format: &'static str,
        reason: Box<dyn HeaderDefect>,
    },
    /// The voxels do not fit the header, or not the requested kind.
    #[error("cannot read the voxels of `{}`: {reason}", path.display())]
    Voxels { path: PathBuf, reason: VoxelError },
    /// The values are not labels.
    #[error("`{}` is not a label map: {reason}", path.display())]
    Labels { path: PathBuf, reason: LabelError },
}

/// A rule of a format that a header breaks.
pub trait HeaderDefect: Error + Send + Sync + 'static {
    /// A remedy for the user.
    fn hint(&self) -> Option<&'static str> {
        None
    }

    /// Its meaning independent of the format.
    fn problem(&self) -> HeaderProblem {
        HeaderProblem::Malformed
    }
}

impl dyn HeaderDefect {
    /// The rule as the type of a format; `None` for another format.
    pub fn downcast_ref<T: HeaderDefect>(&self) -> Option<&T> {
        let error: &(dyn Error + 'static) = self;
        error.downcast_ref()
    }
}

/// Meaning of a defect of a header, independent of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderProblem {
    /// The file has no supported format.
    OtherFormat,
    /// Two affines are stated that contradict each other.
    ContradictoryAffines,
    /// A rule of the format is broken.
    Malformed,
}

impl ImageError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Header { reason, .. } => reason.hint(),
            Self::Voxels {
                reason: VoxelError::Frames { .. },
                ..
            } => Some("store each frame in a file of its own"),
            Self::Compression { .. }
            | Self::Voxels {
                reason: VoxelError::Truncated { .. },
                ..
            } => Some("copy or export the file again: it is incomplete or damaged"),
            _ => None,
        }
    }

    /// The defect of the header, if there is one.
    pub fn header_problem(&self) -> Option<HeaderProblem> {
        match self {
            Self::Header { reason, .. } => Some(reason.problem()),
            _ => None,
        }
    }

    /// The file that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::NotAFile { path }
            | Self::Compression { path, .. }
            | Self::HalfMissing { path, .. }
            | Self::Header { path, .. }
            | Self::Voxels { path, .. }
            | Self::Labels { path, .. } => path,
        }
    }

    /// The error of a failed read: damage reported by the decoder, or an error of the system.
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
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

    pub(crate) fn header<E: HeaderDefect>(path: &Path, format: &'static str) -> impl Fn(E) -> Self {
        move |reason| Self::Header {
            path: path.to_owned(),
            format,
            reason: Box::new(reason),
        }
    }

    pub(crate) fn voxels(path: &Path) -> impl Fn(VoxelError) -> Self {
        move |reason| Self::Voxels {
            path: path.to_owned(),
            reason,
        }
    }
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
        /// Voxel bytes present.
        found: u64,
        /// Voxel bytes by the header.
        expected: u64,
    },
    /// The compressed file is too small for the voxels of its header.
    #[error(
        "its {compressed} compressed bytes cannot hold the {expected} bytes that its header states"
    )]
    Implausible {
        /// Length of the file.
        compressed: u64,
        /// Bytes up to the last voxel by the header.
        expected: u64,
    },
    /// The file continues too long after its last voxel.
    #[error(
        "it goes on for more than {allowed} bytes after the {expected} voxel bytes that its header states"
    )]
    TooLong {
        /// Voxel bytes by the header.
        expected: u64,
        /// Accepted trailing bytes.
        allowed: u64,
    },
    /// A voxel that is stored as text is not a number.
    #[error("its voxel {voxel} is not a number of type {data_type}")]
    NoNumber {
        /// Its position in the order of the file, from 0.
        voxel: u64,
        /// Name of the type.
        data_type: &'static str,
    },
    /// The machine has not enough memory.
    #[error("this machine cannot provide the {bytes} bytes of memory that they need")]
    OutOfMemory { bytes: u64 },
}

/// Why values are not labels.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{count} of {voxels} voxels are not whole numbers from 0 to 65535, the first is {first} at voxel {at:?}"
)]
pub struct LabelError {
    /// Voxels whose value is not a label.
    pub count: usize,
    pub voxels: usize,
    /// The first such value in the order of the file.
    pub first: f64,
    /// Its index `[X, Y, Z]`.
    pub at: [usize; 3],
}

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect::<Vec<_>>()
        .join(", ")
}
