//! What a format of image files brings along.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::image::error::ImageError;
use crate::image::header::VolumeHeader;

/// A format of image files.
pub struct Format {
    /// What people call it, such as `NIfTI`.
    pub name: &'static str,
    /// Endings of names that announce an image, in lower case; the most usual first.
    pub endings: &'static [&'static str],
    /// Endings of the files of images that lie in several; which of them is a header, only bytes tell.
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

/// What a caller settles where a header leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// Which affine of a NIfTI header counts where both contradict each other; such a file is refused without it.
    pub believe: Option<Believe>,
}

/// Which affine of a NIfTI header counts where both are stated and contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Believe {
    Sform,
    Qform,
}

/// A file whose header is checked and whose voxels are still to be read.
pub(crate) struct OpenedImage {
    pub header: VolumeHeader,
    /// The file that holds the voxels, as far as it is known without looking for other files.
    pub path: PathBuf,
    pub voxels: OpenVoxels,
}

/// Finds and opens what holds the voxels.
pub(crate) type OpenVoxels = Box<dyn FnOnce() -> Result<Voxels, ImageError> + Send>;

/// The stored voxels of an image.
pub(crate) struct Voxels {
    /// The file that holds them; the first one of several.
    pub path: PathBuf,
    pub stream: Box<dyn VoxelStream>,
}

/// The bytes of stored voxels, to be taken in order.
pub(crate) trait VoxelStream: Send {
    /// Fills a buffer with the next bytes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ImageError>;

    /// Whether what is left of the file may hold the bytes that are still to come: to be asked before memory is taken
    /// for all of them.
    fn check_rest(&self) -> Result<(), ImageError>;

    /// Checks what follows the last voxel.
    fn finish(self: Box<Self>) -> Result<(), ImageError>;
}
