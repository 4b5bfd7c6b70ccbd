//! Reads image files of any format.

use std::path::Path;

use vesal_volume::{LabelMap, Volume};

use crate::image::error::ImageError;
use crate::image::format::{OpenOptions, OpenedImage};
use crate::image::formats::{FORMATS, by_name};
use crate::image::header::VolumeHeader;
use crate::image::intensities::{self, Intensities};
use crate::image::read::{self, ReadLimits};
use crate::sniff::{Content, sniff};

/// A file whose header is checked and whose voxels are still to be read: for decisions by the header.
pub struct ImageFile(OpenedImage);

impl ImageFile {
    /// Opens a file and checks its header. The format is that of its name; a file that it does not fit, or of another name,
    /// is read as what its bytes are.
    ///
    /// Of a pair of files, either may be named.
    ///
    /// **Errors**: [`ImageError::Header`] with the rule that the header breaks; [`ImageError::Io`],
    /// [`ImageError::NotAFile`] and [`ImageError::HalfMissing`] where it cannot be read.
    pub fn open(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self, ImageError> {
        let path = path.as_ref();
        let name = path.file_name().map(|name| name.to_string_lossy());
        let named = name.and_then(|name| by_name(&name)).unwrap_or(FORMATS[0]);
        let error = match (named.open)(path, options) {
            Ok(opened) => return Ok(Self(opened)),
            Err(error) => error,
        };
        match sniff(path).map(|found| found.content) {
            Ok(Content::Image(format)) if format != named => (format.open)(path, options).map(Self),
            _ => Err(error),
        }
    }

    /// What the header states.
    pub fn header(&self) -> &VolumeHeader {
        &self.0.header
    }

    /// Reads the one scalar volume as [`read_volume`] does.
    ///
    /// **Errors**: as [`read_volume`].
    pub fn volume(self, limits: &ReadLimits) -> Result<Volume, ImageError> {
        read::volume(self.0, limits)
    }

    /// Reads the channels as [`read_channels`] does.
    ///
    /// **Errors**: as [`read_channels`].
    pub fn channels(self, limits: &ReadLimits) -> Result<Volume, ImageError> {
        read::channels(self.0, limits)
    }

    /// Reads the label map as [`read_label_map`] does.
    ///
    /// **Errors**: as [`read_label_map`].
    pub fn label_map(self, limits: &ReadLimits) -> Result<LabelMap, ImageError> {
        read::label_map(self.0, limits)
    }

    /// Scans the voxels of any dimensions, with a few megabytes in memory.
    ///
    /// **Errors**: voxels that are absent, incomplete, damaged, or more than `limits` allow.
    pub fn intensities(self, limits: &ReadLimits) -> Result<Intensities, ImageError> {
        intensities::intensities(self.0, limits)
    }
}

/// Reads and checks the header alone: what the voxels are and how many, without reading them.
///
/// Of a pair, either file may be named; that of the voxels need not exist if the header's is.
///
/// **Errors**: as [`ImageFile::open`].
pub fn read_header(path: impl AsRef<Path>) -> Result<VolumeHeader, ImageError> {
    open(path).map(|opened| opened.0.header)
}

/// Reads one scalar volume.
///
/// **Shapes and units**: one channel, `[1, X, Y, Z]`; further dimensions may have length 1. The affine is in RAS mm,
/// the values are scaled; NaN and infinities are kept.
///
/// **Errors**: [`VoxelError::Frames`](crate::image::VoxelError::Frames) if there are several frames; others as
/// [`read_header`] and for voxels that are absent, incomplete, damaged, or more than [`ReadLimits::default`] allows.
pub fn read_volume(path: impl AsRef<Path>) -> Result<Volume, ImageError> {
    open(path)?.volume(&ReadLimits::default())
}

/// Reads the channels of one file: the entries of the one dimension beside the grid's that is longer than 1.
///
/// **Shapes and units**: `[C, X, Y, Z]`, C being 1 for a plain volume. What
/// [`write_volume`](crate::nifti::write_volume) writes is read back unchanged.
///
/// **Errors**: [`VoxelError::ChannelAxes`](crate::image::VoxelError::ChannelAxes) if several such dimensions are longer
/// than 1; others as [`read_volume`].
pub fn read_channels(path: impl AsRef<Path>) -> Result<Volume, ImageError> {
    open(path)?.channels(&ReadLimits::default())
}

/// Reads one label map.
///
/// **Definition**: the scaled values must be whole numbers from 0 to 65535, of any stored type.
///
/// **Errors**: [`ImageError::Labels`] with the number of other values and the first of them; others as [`read_volume`].
pub fn read_label_map(path: impl AsRef<Path>) -> Result<LabelMap, ImageError> {
    open(path)?.label_map(&ReadLimits::default())
}

fn open(path: impl AsRef<Path>) -> Result<ImageFile, ImageError> {
    ImageFile::open(path, OpenOptions::default())
}
