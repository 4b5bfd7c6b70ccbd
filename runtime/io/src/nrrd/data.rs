//! Opens a header with its data files.

use std::path::Path;

use super::error::NAME;
use super::header::NrrdHeader;
use super::lines::{HeaderLines, LinesError};
use super::names::data_files;
use crate::image::error::ImageError;
use crate::image::format::{OpenOptions, OpenedImage};
use crate::image::parts::DataParts;
use crate::image::stream::open_regular;

/// Opens a file and checks its header.
pub(super) fn open(path: &Path, _: OpenOptions) -> Result<OpenedImage, ImageError> {
    let (mut file, _) = open_regular(path)?;
    let failed = || ImageError::header(path, NAME);
    let lines = HeaderLines::read(&mut file).map_err(|error| match error {
        LinesError::Io(reason) => ImageError::io(path)(reason),
        LinesError::Rule(rule) => failed()(rule),
    })?;
    let NrrdHeader {
        image,
        encoding,
        skip,
    } = NrrdHeader::of(&lines).map_err(failed())?;
    let parts = data_files(&lines, path, &image.dimensions).map_err(failed())?;
    let (files, start) = match parts {
        Some(files) => (files, 0),
        None => (vec![path.to_owned()], lines.bytes),
    };
    let parts = DataParts::new(files, start, skip, encoding, &image);
    Ok(parts.opened(image))
}
