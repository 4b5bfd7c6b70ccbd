//! The interface of a format of image files.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::image::error::ImageError;
use crate::image::header::VolumeHeader;

/// A format of image files.
pub struct Format {
    /// Its name, such as `NIfTI`.
    pub name: &'static str,
    /// File name endings of images, in lower case; the most usual first.
    pub endings: &'static [&'static str],
    /// Endings of images in several files; only the bytes show which file is the header.
    pub part_endings: &'static [&'static str],
    /// Whether the first (decompressed) bytes of a file begin a header.
    pub recognizes: fn(&[u8]) -> bool,
    /// Opens a file and checks its header.
    pub(crate) open: fn(&Path, OpenOptions) -> Result<OpenedImage, ImageError>,
}

impl fmt::Debug for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

/// Choices for ambiguous headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// The affine of a NIfTI header that is used where both contradict each other; without it, such a file is refused.
    pub believe: Option<Believe>,
}

/// The affine of a NIfTI header that is used where sform and qform contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Believe {
    Sform,
    Qform,
}

/// A file whose header is checked and whose voxels are still to be read.
pub(crate) struct OpenedImage {
    pub header: VolumeHeader,
    /// The file that holds the voxels, as far as known without searching for other files.
    pub path: PathBuf,
    pub voxels: OpenVoxels,
}

/// Finds and opens the file of the voxels.
pub(crate) type OpenVoxels = Box<dyn FnOnce() -> Result<Voxels, ImageError> + Send>;

/// The stored voxels of an image.
pub(crate) struct Voxels {
    /// The file that holds them; the first one of several.
    pub path: PathBuf,
    pub stream: Box<dyn VoxelStream>,
}

/// A sequential reader of the bytes of stored voxels.
pub(crate) trait VoxelStream: Send {
    /// Fills a buffer with the next bytes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ImageError>;

    /// Whether the rest of the file can hold the remaining bytes; to be called before memory is allocated for all of
    /// them.
    fn check_rest(&self) -> Result<(), ImageError>;

    /// Checks what follows the last voxel.
    fn finish(self: Box<Self>) -> Result<(), ImageError>;
}
