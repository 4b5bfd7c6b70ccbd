//! Opens a header with its voxels.

use std::path::Path;

use super::error::{MetaImageError, NAME};
use super::header::MetaImageHeader;
use super::lines::{MetaImageLines, MetaImageLinesError};
use super::names::data_files;
use crate::image::error::ImageError;
use crate::image::format::{OpenOptions, OpenedImage};
use crate::image::parts::{DataParts, Skip};
use crate::image::stream::open_regular;

/// Opens a file and checks its header.
pub(super) fn open(path: &Path, _: OpenOptions) -> Result<OpenedImage, ImageError> {
    let (mut file, _) = open_regular(path)?;
    let failed = || ImageError::header(path, NAME);
    let lines = MetaImageLines::read(&mut file).map_err(|error| match error {
        MetaImageLinesError::Io(reason) => ImageError::io(path)(reason),
        MetaImageLinesError::Rule(rule) => failed()(rule),
    })?;
    let MetaImageHeader {
        image,
        encoding,
        header_size,
    } = MetaImageHeader::of(&lines).map_err(failed())?;
    // The channels of a voxel are together in every file.
    let sizes = &image.dimensions[usize::from(image.interleaved)..];
    let (files, start) = match data_files(&lines, path, sizes).map_err(failed())? {
        Some(files) => (files, header_size.unwrap_or(0)),
        None => {
            // `HeaderSize` counts from the start of the file.
            let found = header_size.filter(|bytes| *bytes > 0);
            if let Some(found) = found.filter(|bytes| *bytes < lines.bytes) {
                let header = lines.bytes;
                return Err(failed()(MetaImageError::HeaderSize { found, header }));
            }
            (vec![path.to_owned()], found.unwrap_or(lines.bytes))
        }
    };
    let skip = Skip {
        lines: 0,
        bytes: header_size.map(|_| 0),
    };
    let parts = DataParts::new(files, start, skip, encoding, &image);
    Ok(parts.opened(image))
}
