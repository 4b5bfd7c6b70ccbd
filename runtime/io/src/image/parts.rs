//! Voxels in one or several data files, encoded in one way.

use std::collections::VecDeque;
use std::io::{BufRead, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::DEFLATE_EXPANSION_MAX;
use crate::image::error::{ImageError, VoxelError};
use crate::image::format::{OpenedImage, VoxelStream, Voxels};
use crate::image::header::{DataType, VolumeHeader};
use crate::image::stream::{Compression, FileBytes, GZIP_MAGIC, open_regular};
use crate::image::text::TextVoxels;

/// Encoding of the voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataEncoding {
    Raw,
    Gzip,
    /// A zlib stream, or a gzip stream by its first bytes.
    Zlib,
    Text,
}

/// Start of the voxels in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skip {
    /// Lines to skip in the file, before decompression.
    pub lines: u64,
    /// Bytes to skip after them, after decompression; `None` where the voxels are the last bytes of the file.
    pub bytes: Option<u64>,
}

/// Consecutive files of an array.
pub(crate) struct DataParts {
    files: VecDeque<PathBuf>,
    last: PathBuf,
    /// Bytes of the voxels of each.
    bytes: u64,
    start: u64,
    skip: Skip,
    encoding: DataEncoding,
    data_type: DataType,
}

impl DataParts {
    /// The voxels of an image in these files, an equal part in each. `start` is where the data start in each, before
    /// anything is skipped.
    pub fn new(
        files: Vec<PathBuf>,
        start: u64,
        skip: Skip,
        encoding: DataEncoding,
        image: &VolumeHeader,
    ) -> Self {
        Self {
            bytes: image.voxel_bytes / (files.len() as u64).max(1),
            last: files.last().cloned().unwrap_or_default(),
            files: files.into(),
            start,
            skip,
            encoding,
            data_type: image.data_type,
        }
    }

    /// The image whose header lies in a file, and whose voxels are these.
    pub fn opened(self, header: VolumeHeader) -> OpenedImage {
        let path = self.files.front().unwrap_or(&self.last).clone();
        let first = path.clone();
        let voxels = move || {
            let stream: Box<dyn VoxelStream> = self.open()?;
            Ok(Voxels {
                path: first,
                stream,
            })
        };
        OpenedImage {
            header,
            path,
            voxels: Box::new(voxels),
        }
    }

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
            DataEncoding::Gzip | DataEncoding::Zlib => found.saturating_mul(DEFLATE_EXPANSION_MAX),
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
        let mut at = self.start.min(length);
        file.seek(SeekFrom::Start(at)).map_err(&failed)?;
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
            DataEncoding::Raw | DataEncoding::Gzip | DataEncoding::Zlib => {
                let is_gzip = file.fill_buf().map_err(&failed)?.starts_with(&GZIP_MAGIC);
                let compression = match self.encoding {
                    DataEncoding::Gzip => Compression::Gzip,
                    DataEncoding::Zlib if is_gzip => Compression::Gzip,
                    DataEncoding::Zlib => Compression::Zlib,
                    DataEncoding::Raw | DataEncoding::Text => Compression::None,
                };
                let source = FileBytes::new(&path, file, left, compression);
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
    parts: DataParts,
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
