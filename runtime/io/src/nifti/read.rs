//! Reads headers, volumes and label maps.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4};
use vesal_volume::{Geometry, LabelMap, Volume};

use crate::nifti::affine_source::Believe;
use crate::nifti::blocks::{self, VoxelBlock};
use crate::nifti::decode::{self, InvalidLabels};
use crate::nifti::error::{NiftiError, VoxelError};
use crate::nifti::header::Header;
use crate::nifti::source::FileBytes;
use crate::sniff::{NiftiLayout, split_extension};

/// Limits of memory for reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the voxels of a file, as stored (with what precedes them) or as `f32`, whichever is more.
    pub max_voxel_bytes: u64,
}

impl Default for Limits {
    /// 64 GiB: more than any scanner makes, less than an absurd header states.
    fn default() -> Self {
        Self {
            max_voxel_bytes: 64 << 30,
        }
    }
}

/// Reads and checks the header alone: what the voxels are and how many, without reading them.
///
/// Of a pair, either file may be named; the `.img` file need not exist if the `.hdr` is.
///
/// **Errors**: [`NiftiError::Header`] with the rule that the header breaks; [`NiftiError::Io`],
/// [`NiftiError::NotAFile`] and [`NiftiError::HalfMissing`] where there is none to read.
pub fn read_header(path: impl AsRef<Path>) -> Result<Header, NiftiError> {
    NiftiFile::open(path).map(|opened| opened.header)
}

/// Reads one scalar volume.
///
/// **Shapes and units**: one channel, `[1, X, Y, Z]`; dimensions after the third may be there with length 1. The
/// affine is in RAS mm, the values are scaled; NaN and infinite ones stay.
///
/// **Errors**: [`VoxelError::Frames`] if there are several frames; others as [`read_header`] and for voxels that are
/// absent, incomplete, damaged, or more than [`Limits::default`] allows.
pub fn read_volume(path: impl AsRef<Path>) -> Result<Volume, NiftiError> {
    read_volume_within(path, &Limits::default())
}

/// Reads one scalar volume as [`read_volume`] does, with other limits.
///
/// **Errors**: as [`read_volume`].
pub fn read_volume_within(path: impl AsRef<Path>, limits: &Limits) -> Result<Volume, NiftiError> {
    NiftiFile::open(path)?.volume(limits)
}

/// Reads the channels of one file: the entries of the one dimension after the third that is longer than 1.
///
/// **Shapes and units**: `[C, X, Y, Z]`, C being 1 for a plain volume. What [`write_volume`](super::write_volume)
/// writes comes back as it was.
///
/// **Errors**: [`VoxelError::ChannelAxes`] if several dimensions after the third are longer than 1; others as
/// [`read_volume`].
pub fn read_channels(path: impl AsRef<Path>) -> Result<Volume, NiftiError> {
    read_channels_within(path, &Limits::default())
}

/// Reads the channels of one file as [`read_channels`] does, with other limits.
///
/// **Errors**: as [`read_channels`].
pub fn read_channels_within(path: impl AsRef<Path>, limits: &Limits) -> Result<Volume, NiftiError> {
    NiftiFile::open(path)?.channels(limits)
}

/// Reads one label map.
///
/// **Definition**: the scaled values have to be whole numbers from 0 to 65535; their stored type may be any, real
/// numbers included.
///
/// **Errors**: [`NiftiError::Labels`] with the number of other values and the first of them; others as
/// [`read_volume`].
pub fn read_label_map(path: impl AsRef<Path>) -> Result<LabelMap, NiftiError> {
    read_label_map_within(path, &Limits::default())
}

/// Reads one label map as [`read_label_map`] does, with other limits.
///
/// **Errors**: as [`read_label_map`].
pub fn read_label_map_within(
    path: impl AsRef<Path>,
    limits: &Limits,
) -> Result<LabelMap, NiftiError> {
    NiftiFile::open(path)?.label_map(limits)
}

/// An opened file whose header is checked and whose voxels are still to be read.
pub struct NiftiFile {
    header: Header,
    /// The file that holds the voxels, as far as it is known without looking for the half of a pair.
    voxel_path: PathBuf,
    /// The file of the header if it holds the voxels too; `None` if they are in the other half of a pair.
    voxels: Option<FileBytes>,
}

impl NiftiFile {
    /// Opens a file and checks its header.
    ///
    /// **Errors**: as [`read_header`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NiftiError> {
        Self::open_believing(path, None)
    }

    /// Opens a file as [`NiftiFile::open`] does; sform and qform may contradict each other, and this one counts.
    ///
    /// **Errors**: as [`read_header`].
    pub fn open_believing(
        path: impl AsRef<Path>,
        believe: Option<Believe>,
    ) -> Result<Self, NiftiError> {
        let header_path = header_half(path.as_ref())?;
        let source = FileBytes::open(&header_path)?;
        let mut header = Header::decode_believing(&source.head, believe)
            .map_err(NiftiError::header(&header_path))?;
        // Some tools write the magic of a pair into `.nii` files; no other file could hold their voxels.
        if header.layout == NiftiLayout::Pair && extension(&header_path).as_deref() == Some("nii") {
            header = header
                .into_single()
                .map_err(NiftiError::header(&header_path))?;
        }
        let voxels = (header.layout == NiftiLayout::Single).then_some(source);
        Ok(Self {
            header,
            voxel_path: header_path,
            voxels,
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the one scalar volume as [`read_volume`] does.
    ///
    /// **Errors**: as [`read_volume`].
    pub fn volume(self, limits: &Limits) -> Result<Volume, NiftiError> {
        self.one_frame()?.frames(limits)
    }

    /// Reads the channels as [`read_channels`] does.
    ///
    /// **Errors**: as [`read_channels`].
    pub fn channels(self, limits: &Limits) -> Result<Volume, NiftiError> {
        let further = self.header.dimensions.iter().skip(3);
        if further.filter(|&&length| length > 1).count() > 1 {
            let shape = self.header.dimensions.clone();
            return Err(NiftiError::voxels(&self.voxel_path)(
                VoxelError::ChannelAxes { shape },
            ));
        }
        self.frames(limits)
    }

    /// Reads the label map as [`read_label_map`] does.
    ///
    /// **Errors**: as [`read_label_map`].
    pub fn label_map(self, limits: &Limits) -> Result<LabelMap, NiftiError> {
        let opened = self.one_frame()?;
        let header = opened.header.clone();
        let row = decode::labels(&header);
        let layout = header.stored();
        let mut others = InvalidLabels::default();
        let (path, labels) = opened.decoded(limits, |raw, block, frame| {
            if !blocks::decode(raw, &layout, block, frame, &row) {
                others.add(raw, block, &header);
            }
        })?;
        if let Some(reason) = others.error(labels.len()) {
            return Err(NiftiError::Labels { path, reason });
        }
        let Geometry { shape, affine } = header.geometry();
        let data =
            Array3::from_shape_vec(shape, labels).map_err(|_| short_of_voxels(&path, &header))?;
        Ok(LabelMap { data, affine })
    }

    fn one_frame(self) -> Result<Self, NiftiError> {
        match self.header.frames() {
            1 => Ok(self),
            frames => {
                let shape = self.header.dimensions.clone();
                Err(NiftiError::voxels(&self.voxel_path)(VoxelError::Frames {
                    shape,
                    frames,
                }))
            }
        }
    }

    fn frames(self, limits: &Limits) -> Result<Volume, NiftiError> {
        let header = self.header.clone();
        let row = decode::intensities(&header);
        let layout = header.stored();
        let (path, values) = self.decoded(limits, |raw, block, frame| {
            blocks::decode(raw, &layout, block, frame, &row);
        })?;
        let Geometry {
            shape: [x, y, z],
            affine,
        } = header.geometry();
        let data = Array4::from_shape_vec((header.frames(), x, y, z), values)
            .map_err(|_| short_of_voxels(&path, &header))?;
        Ok(Volume { data, affine })
    }

    /// Reads all voxels: `decode` turns the bytes of a block into its frame while the next block is read.
    ///
    /// Gives the file that holds the voxels, too.
    fn decoded<O: Copy + Default + Send>(
        self,
        limits: &Limits,
        mut decode: impl FnMut(&[u8], &VoxelBlock, &mut [O]) + Send,
    ) -> Result<(PathBuf, Vec<O>), NiftiError> {
        let (header, path, source) = self.source(limits)?;
        let layout = header.stored();
        let mut stored = source.voxels(header.voxel_offset, header.voxel_bytes)?;
        let mut blocks = layout.blocks();
        let Some(mut block) = blocks.next() else {
            return Err(short_of_voxels(&path, &header));
        };
        let mut raw = vec![0; layout.bytes_of(&block)];
        let mut ahead = Vec::new();
        stored.fill(&mut raw)?;
        // Only a file that has a block, and can have the rest, gets the memory for all of them.
        stored.check_rest()?;
        let mut values = zeros::<O>(&header).map_err(NiftiError::voxels(&path))?;
        let frame = values.len() / header.frames();
        loop {
            let values = &mut values[block.frame * frame..][..frame];
            let Some(next) = blocks.next() else {
                let (end, ()) = rayon::join(|| stored.finish(), || decode(&raw, &block, values));
                end?;
                break;
            };
            ahead.resize(layout.bytes_of(&next), 0);
            let (read, ()) =
                rayon::join(|| stored.fill(&mut ahead), || decode(&raw, &block, values));
            read?;
            std::mem::swap(&mut raw, &mut ahead);
            block = next;
        }
        Ok((path, values))
    }

    /// The header, the file that holds the voxels, and that file opened, unless it asks for too much.
    pub(super) fn source(
        self,
        limits: &Limits,
    ) -> Result<(Header, PathBuf, FileBytes), NiftiError> {
        let Self {
            header,
            voxel_path,
            voxels,
        } = self;
        let decoded = header.voxels() * size_of::<f32>() as u64;
        let needed = decoded.max(header.voxel_offset + header.voxel_bytes);
        if needed > limits.max_voxel_bytes {
            let limit = limits.max_voxel_bytes;
            return Err(NiftiError::voxels(&voxel_path)(VoxelError::TooLarge {
                needed,
                limit,
            }));
        }
        Ok(match voxels {
            Some(source) => (header, voxel_path, source),
            None => {
                let path = other_half(&voxel_path, "img")?;
                let source = FileBytes::open(&path)?;
                (header, path, source)
            }
        })
    }
}

/// Memory for all voxels. The system provides it when it is first written to, hence by those who decode.
fn zeros<O: Copy + Default>(header: &Header) -> Result<Vec<O>, VoxelError> {
    let too_much = || VoxelError::OutOfMemory {
        bytes: header.voxels().saturating_mul(size_of::<O>() as u64),
    };
    let voxels = usize::try_from(header.voxels()).map_err(|_| too_much())?;
    // `vec!` would abort the program if there is no memory.
    Vec::<O>::new()
        .try_reserve_exact(voxels)
        .map_err(|_| too_much())?;
    Ok(vec![O::default(); voxels])
}

/// What remains to be said when the number of decoded voxels is not that of the header.
fn short_of_voxels(path: &Path, header: &Header) -> NiftiError {
    NiftiError::voxels(path)(VoxelError::Truncated {
        found: 0,
        expected: header.voxel_bytes,
    })
}

/// The `.hdr` of an `.img`; any other path is the header's own.
fn header_half(path: &Path) -> Result<PathBuf, NiftiError> {
    if extension(path).as_deref() == Some("img") {
        path.metadata().map_err(NiftiError::io(path))?;
        other_half(path, "hdr")
    } else {
        Ok(path.to_owned())
    }
}

/// The other half of a pair: the same name with another extension, compressed alike or not.
fn other_half(path: &Path, wanted: &str) -> Result<PathBuf, NiftiError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let (stem, written, gzip) = split_extension(&name).unwrap_or((&name, "", false));
    let wanted = if written.chars().any(char::is_uppercase) {
        wanted.to_uppercase()
    } else {
        wanted.to_owned()
    };
    let suffixes = if gzip { [".gz", ""] } else { ["", ".gz"] };
    let looked_for: Vec<_> = suffixes
        .iter()
        .map(|suffix| path.with_file_name(format!("{stem}.{wanted}{suffix}")))
        .collect();
    match looked_for.iter().find(|half| half.exists()) {
        Some(half) => Ok(half.clone()),
        None => Err(NiftiError::HalfMissing {
            path: path.to_owned(),
            looked_for,
        }),
    }
}

/// The image extension of a name, in lower case.
fn extension(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    split_extension(&name).map(|(_, written, _)| written.to_ascii_lowercase())
}
