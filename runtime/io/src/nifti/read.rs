//! Opens files: one that holds header and voxels, or a pair.

use std::path::{Path, PathBuf};

use crate::image::error::ImageError;
use crate::image::format::{OpenOptions, OpenedImage, Voxels};
use crate::image::stream::FileBytes;
use crate::nifti::error;
use crate::nifti::header::NiftiVolumeHeader;
use crate::nifti::magic::{NIFTI2_BYTES, NiftiLayout};
use crate::nifti::name::split_extension;

/// Reads and checks the header of a NIfTI file alone, with the facts specific to this format.
///
/// Of a pair, either file may be named; the `.img` file need not exist if the `.hdr` is.
///
/// **Errors**: as [`ImageFile::open`](crate::image::ImageFile::open).
pub fn read_header(path: impl AsRef<Path>) -> Result<NiftiVolumeHeader, ImageError> {
    read(path.as_ref(), OpenOptions::default()).map(|(header, ..)| header)
}

/// Opens a file and checks its header.
pub(super) fn open(path: &Path, options: OpenOptions) -> Result<OpenedImage, ImageError> {
    let (header, header_path, source) = read(path, options)?;
    let volume_header = header.to_volume_header();
    let path = header_path.clone();
    let voxels = move || {
        let (path, source) = match header.layout {
            NiftiLayout::Single => (header_path, source),
            NiftiLayout::Pair => {
                let path = other_half(&header_path, "img")?;
                let source = FileBytes::open(&path, NIFTI2_BYTES)?;
                (path, source)
            }
        };
        let stream = source.voxels(header.voxel_offset, header.voxel_bytes)?;
        Ok(Voxels {
            path,
            stream: Box::new(stream),
        })
    };
    Ok(OpenedImage {
        header: volume_header,
        path,
        voxels: Box::new(voxels),
    })
}

/// The header, the file that holds it, and that file opened.
fn read(
    path: &Path,
    options: OpenOptions,
) -> Result<(NiftiVolumeHeader, PathBuf, FileBytes), ImageError> {
    let header_path = header_half(path)?;
    let source = FileBytes::open(&header_path, NIFTI2_BYTES)?;
    let mut header = NiftiVolumeHeader::decode_believing(&source.head, options.believe)
        .map_err(error::header(&header_path))?;
    // Some tools write the magic of a pair into `.nii` files, which hold their voxels themselves.
    if header.layout == NiftiLayout::Pair && extension(&header_path).as_deref() == Some("nii") {
        header = header.into_single().map_err(error::header(&header_path))?;
    }
    Ok((header, header_path, source))
}

/// The `.hdr` of an `.img`; any other path is the header's own.
fn header_half(path: &Path) -> Result<PathBuf, ImageError> {
    if extension(path).as_deref() == Some("img") {
        path.metadata().map_err(ImageError::io(path))?;
        other_half(path, "hdr")
    } else {
        Ok(path.to_owned())
    }
}

/// The other half of a pair: the same name with another extension, compressed alike or not.
fn other_half(path: &Path, wanted: &str) -> Result<PathBuf, ImageError> {
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
        None => Err(ImageError::HalfMissing {
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
