//! The data files and the bytes of the voxels.

use std::collections::VecDeque;
use std::io::{BufRead, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::NAME;
use super::header::{NrrdHeader, Skip};
use super::lines::{HeaderLines, LinesError};
use super::names::data_files;
use super::text::TextVoxels;
use super::value::DataEncoding;
use crate::DEFLATE_EXPANSION_MAX;
use crate::image::error::{ImageError, VoxelError};
use crate::image::format::{OpenOptions, OpenedImage, VoxelStream, Voxels};
use crate::image::header::DataType;
use crate::image::stream::{FileBytes, open_regular};

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
    let parts = Parts {
        bytes: image.voxel_bytes / (files.len() as u64).max(1),
        last: files.last().map_or(path, PathBuf::as_path).to_owned(),
        files: files.into(),
        start,
        skip,
        encoding,
        data_type: image.data_type,
    };
    let first = parts
        .files
        .front()
        .map_or(path, PathBuf::as_path)
        .to_owned();
    let voxels = {
        let path = first.clone();
        move || {
            let stream: Box<dyn VoxelStream> = parts.open()?;
            Ok(Voxels { path, stream })
        }
    };
    Ok(OpenedImage {
        header: image,
        path: first,
        voxels: Box::new(voxels),
    })
}

/// Consecutive files of an array.
struct Parts {
    files: VecDeque<PathBuf>,
    last: PathBuf,
    /// Bytes of the voxels of each.
    bytes: u64,
    /// Start of the data in each, before anything is skipped.
    start: u64,
    skip: Skip,
    encoding: DataEncoding,
    data_type: DataType,
}

impl Parts {
    /// The voxels of all files; all are checked for existence and length before any is read.
    fn open(mut self) -> Result<Box<dyn VoxelStream>, ImageError> {
        if self.files.len() > 1 {
            self.files.iter().try_for_each(|path| self.check(path))?;
        }
        let first = self.next()?;
        match first {
            Some(stream) if self.files.is_empty() => Ok(stream),
            current => Ok(Box::new(PartVoxels {
                left: self.bytes,
                current,
                parts: self,
            })),
        }
    }

    fn check(&self, path: &Path) -> Result<(), ImageError> {
        let (_, found) = open_regular(path)?;
        let most = match self.encoding {
            DataEncoding::Raw => found,
            DataEncoding::Gzip => found.saturating_mul(DEFLATE_EXPANSION_MAX),
            DataEncoding::Text => found.saturating_mul(self.data_type.bytes() as u64),
        };
        if most < self.bytes {
            let expected = self.bytes;
            return Err(ImageError::voxels(path)(VoxelError::Truncated {
                found: most,
                expected,
            }));
        }
        Ok(())
    }

    /// The voxels of the next file.
    fn next(&mut self) -> Result<Option<Box<dyn VoxelStream>>, ImageError> {
        let Some(path) = self.files.pop_front() else {
            return Ok(None);
        };
        let failed = ImageError::io(&path);
        let (mut file, length) = open_regular(&path)?;
        file.seek(SeekFrom::Start(self.start)).map_err(&failed)?;
        let mut at = self.start;
        for _ in 0..self.skip.lines {
            let skipped = file.skip_until(b'\n').map_err(&failed)?;
            if skipped == 0 {
                break;
            }
            at += skipped as u64;
        }
        let left = length.saturating_sub(at);
        let skip = match self.skip.bytes {
            Some(bytes) => bytes,
            None => left.saturating_sub(self.bytes),
        };
        let stream: Box<dyn VoxelStream> = match self.encoding {
            DataEncoding::Raw | DataEncoding::Gzip => {
                let source = FileBytes::new(&path, file, left, self.encoding == DataEncoding::Gzip);
                Box::new(source.voxels(skip, self.bytes)?)
            }
            DataEncoding::Text => {
                let skip = skip.min(left);
                file.seek_relative(skip as i64).map_err(&failed)?;
                let voxels = TextVoxels::new(&path, file, left - skip, self.data_type, self.bytes)?;
                Box::new(voxels)
            }
        };
        Ok(Some(stream))
    }
}

/// The voxel bytes of several files.
struct PartVoxels {
    current: Option<Box<dyn VoxelStream>>,
    /// Bytes that are left of the current file.
    left: u64,
    parts: Parts,
}

impl VoxelStream for PartVoxels {
    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), ImageError> {
        while !buffer.is_empty() {
            if self.left == 0 {
                if let Some(done) = self.current.take() {
                    done.finish()?;
                }
                self.current = self.parts.next()?;
                self.left = self.parts.bytes;
            }
            let count =
                usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let (now, later) = buffer.split_at_mut(count);
            let Some(current) = &mut self.current else {
                let failed = ImageError::voxels(&self.parts.last);
                return Err(failed(VoxelError::Truncated {
                    found: 0,
                    expected: now.len() as u64,
                }));
            };
            current.fill(now)?;
            self.left -= count as u64;
            buffer = later;
        }
        Ok(())
    }

    fn check_rest(&self) -> Result<(), ImageError> {
        // The lengths of the other files were checked before.
        self.current
            .as_ref()
            .map_or(Ok(()), |current| current.check_rest())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ImageError> {
        self.current
            .take()
            .map_or(Ok(()), |current| current.finish())
    }
}
