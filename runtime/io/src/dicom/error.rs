//! Why DICOM files cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use vesal_volume::geometry::GeometryError;
use vesal_volume::resample::ResampleError;

use crate::dicom::codec::CodecError;
use crate::dicom::stack_finding::StackFinding;
use crate::dicom::tag::Tag;

/// Why a series cannot be read; the message names the file and the rule, and no value that identifies a patient.
#[derive(Debug, thiserror::Error)]
pub enum DicomError {
    /// The system cannot read a file or folder.
    #[error("cannot read `{}`: {reason}", path.display())]
    Io { path: PathBuf, reason: io::Error },
    /// Neither file nor folder: a pipe, a device or the like.
    #[error("`{}` is not a regular file", path.display())]
    Irregular { path: PathBuf },
    /// The header breaks a rule of the format, or has changed since it was scanned.
    #[error("cannot read the DICOM header of `{}`: {reason}", path.display())]
    Header {
        path: PathBuf,
        reason: DicomHeaderError,
    },
    /// The pixels do not fit the header.
    #[error("cannot read frame {frame} of `{}`: {reason}", path.display())]
    Pixels {
        path: PathBuf,
        /// The frame, from 1.
        frame: usize,
        reason: PixelError,
    },
    /// The slices are no volume under the policy.
    #[error("series {series} is refused: {reason}")]
    Refused {
        /// UID of the series.
        series: String,
        reason: StackFinding,
    },
    /// The volume needs more memory than the caller allows.
    #[error("the voxels of series {series} need {needed} bytes, the limit is {limit} bytes")]
    TooLarge {
        /// UID of the series.
        series: String,
        /// Bytes of the volume as `f32`.
        needed: u64,
        limit: u64,
    },
    /// The machine has not enough memory.
    #[error("this machine cannot provide the {bytes} bytes of memory that series {series} needs")]
    OutOfMemory {
        /// UID of the series.
        series: String,
        bytes: u64,
    },
    /// Series of different patients are combined.
    #[error("series {series} names another patient than series {first}")]
    OtherPatient {
        /// UID of the series.
        series: String,
        /// UID of the series before it; the same where its files changed while they were read.
        first: String,
    },
    /// The slices cannot be resampled onto an even grid.
    #[error("cannot resample series {series}: {reason}")]
    Resample {
        /// UID of the series.
        series: String,
        reason: ResampleError,
    },
}

impl DicomError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { reason, .. } => reason.hint(),
            Self::Pixels { .. } => {
                Some("send or export the series again: it is incomplete or damaged")
            }
            Self::Irregular { .. } => Some("give a file or a folder"),
            Self::Header { reason, .. } => reason.hint(),
            Self::OtherPatient { .. } => Some("give only the files of one patient"),
            _ => None,
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |reason| Self::Io {
            path: path.to_owned(),
            reason,
        }
    }

    pub(super) fn header(path: &Path) -> impl Fn(DicomHeaderError) -> Self {
        move |reason| Self::Header {
            path: path.to_owned(),
            reason,
        }
    }

    /// The file, where the error is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::Irregular { path }
            | Self::Header { path, .. }
            | Self::Pixels { path, .. } => Some(path),
            _ => None,
        }
    }
}

/// A rule that a header breaks; positions are bytes of the file, of a deflated data set bytes once inflated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DicomHeaderError {
    /// The system cannot read on.
    #[error("the system cannot read it: {kind}")]
    Io { kind: io::ErrorKind },
    /// No `DICM` after a preamble of 128 bytes, nor a data set without both.
    #[error("it has no `DICM` at byte 128")]
    NotDicom,
    /// The file is empty, or has only zeros in place of preamble and `DICM`.
    #[error("it is empty or begins with zeros alone")]
    Blank,
    /// The file ends within an element.
    #[error("it ends within an element, after byte {at}")]
    Truncated { at: u64 },
    /// The deflate stream is damaged.
    #[error("its deflate stream is damaged after {at} bytes")]
    Deflate {
        /// Inflated bytes so far.
        at: u64,
    },
    /// A header that inflates to more than its limit.
    #[error("its header goes on for more than {limit} bytes")]
    TooLong {
        /// Limit in bytes.
        limit: u64,
    },
    /// The values kept from a header exceed the limit for its file.
    #[error("the values kept from its header take more than {limit} bytes")]
    TooMuch {
        /// Limit in bytes.
        limit: u64,
    },
    /// The caller stopped the reading.
    #[error("reading its header was stopped: it took too long, or the program ends")]
    Stopped,
    /// An element reaches beyond the item that holds it.
    #[error("an element reaches beyond its item or sequence at byte {at}")]
    Overrun { at: u64 },
    /// An item or delimiter where none is allowed, or an element where an item is required.
    #[error("{tag} is out of place at byte {at}")]
    Stray { tag: Tag, at: u64 },
    /// The value representation is not a pair of letters.
    #[error("{tag} at byte {at} has no value representation")]
    Representation { tag: Tag, at: u64 },
    /// Sequences that are nested deeper than the limit.
    #[error("its sequences are nested more than {limit} levels deep")]
    Depth { limit: usize },
    /// A value that is read exceeds its limit.
    #[error("{tag} states {found} bytes, expected at most {limit}")]
    LongValue {
        tag: Tag,
        found: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// An attribute that is needed is absent or empty.
    #[error("{tag} is absent or empty")]
    Missing { tag: Tag },
    /// A value is not a number, or has a wrong number of values.
    #[error("{tag} does not hold {expected}")]
    Malformed {
        tag: Tag,
        /// The expected content.
        expected: &'static str,
    },
    /// A number is out of range.
    #[error("{tag} is {}, expected {expected}", number(*found))]
    Range {
        tag: Tag,
        found: f64,
        expected: &'static str,
    },
    /// Fewer bytes of pixels than rows, columns and frames require.
    #[error("its pixels take {expected} bytes, found {found}")]
    PixelBytes {
        /// Bytes present or stated.
        found: u64,
        /// Bytes by rows, columns, bits and frames.
        expected: u64,
    },
    /// A transfer syntax that cannot be decoded.
    #[error("its transfer syntax {uid} cannot be decoded")]
    Syntax { uid: String },
    /// Values that are not stored as numbers of 8, 16 or 32 bits.
    #[error("its pixels are real numbers, expected integers")]
    RealPixels,
    /// Values with a Modality LUT.
    #[error("its values are translated by a Modality LUT, which is not supported")]
    ModalityLut,
    /// Slices that are tiled in one image, as scanners of Siemens store those of functional and diffusion MR.
    #[error(
        "it is a mosaic, a volume whose slices are tiles of one image: a converter such as dcm2niix unpacks it"
    )]
    Mosaic,
    /// Frames have no functional groups of their own.
    #[error("it has {frames} frames but {groups} items of per-frame functional groups")]
    FunctionalGroups { frames: u64, groups: usize },
}

impl DicomHeaderError {
    pub(super) fn io(reason: io::Error) -> Self {
        Self::Io {
            kind: reason.kind(),
        }
    }

    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Truncated { .. } | Self::Deflate { .. } => {
                Some("send or export the series again: it is incomplete or damaged")
            }
            Self::Mosaic => Some(
                "convert the series to NIfTI with a tool that unpacks mosaics, such as dcm2niix, or export it as \
                 enhanced MR or with one file for each slice",
            ),
            _ => None,
        }
    }
}

/// Formats a number without trailing zeros.
fn number(number: f64) -> String {
    if number.abs() < 1e12 {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// Why the pixels of a frame cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PixelError {
    /// The fragments are damaged, or the deflate stream is.
    #[error(transparent)]
    Header(#[from] DicomHeaderError),
    /// A fragment reaches beyond the file.
    #[error("a fragment of {stated} bytes is stated where {rest} are left")]
    Fragment {
        stated: u64,
        /// Bytes up to the end of the file.
        rest: u64,
    },
    /// The fragments cannot be assigned to frames.
    #[error(
        "{fragments} fragments and {offsets} offsets do not tell where its {frames} frames are"
    )]
    Fragments {
        /// Number of fragments after the offset table.
        fragments: usize,
        /// Entries of the offset table.
        offsets: usize,
        /// Frames by the header.
        frames: u64,
    },
    /// The compressed bytes are too few for the frame.
    #[error("{found} compressed bytes cannot hold a frame of {expected} bytes")]
    Implausible {
        found: u64,
        /// Bytes of the frame.
        expected: u64,
    },
    /// The compressed frame is damaged or of another shape.
    #[error("its compressed pixels cannot be decoded: {0}")]
    Codec(#[from] CodecError),
}

/// Why contours make no mask on a grid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StructureError {
    /// The grid has no inverse.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A contour does not lie in a slice.
    #[error(
        "contour {contour} reaches over {slices:.2} slices of the grid, expected it within one"
    )]
    NotInSlice {
        /// Its number among the closed contours, from 1.
        contour: usize,
        /// Extent in slices.
        slices: f64,
    },
    /// Contours that cross rows too often.
    #[error(
        "the contours of slice {slice} cross its rows more than {limit} times, {CROSSINGS_PER_VOXEL} for each voxel"
    )]
    Crossings {
        /// The slice of the grid, from 0.
        slice: usize,
        limit: usize,
    },
}

/// Limit of row crossings of contours per voxel of a slice; an outline crosses each row twice.
pub(super) const CROSSINGS_PER_VOXEL: usize = 64;
