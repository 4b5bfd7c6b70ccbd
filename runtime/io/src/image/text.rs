//! Voxels as text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::image::error::{ImageError, VoxelError};
use crate::image::format::VoxelStream;
use crate::image::header::DataType;
use crate::image::stream::TRAILING_BYTES_MAX;

/// Most characters of a number.
const NUMBER_MAX: usize = 400;

/// Numbers between white space or commas, as little-endian bytes of their type.
pub(crate) struct TextVoxels {
    file: BufReader<File>,
    path: PathBuf,
    data_type: DataType,
    found: u64,
    expected: u64,
}

impl TextVoxels {
    /// Text of `left` bytes that holds voxels of `expected` bytes.
    ///
    /// **Errors**: it is too short for them.
    pub fn new(
        path: &Path,
        file: BufReader<File>,
        left: u64,
        data_type: DataType,
        expected: u64,
    ) -> Result<Self, ImageError> {
        // A digit and a separator.
        let most = (left / 2 + left % 2).saturating_mul(data_type.bytes() as u64);
        let voxels = Self {
            file,
            path: path.to_owned(),
            data_type,
            found: 0,
            expected,
        };
        if most < expected {
            return Err(voxels.error(VoxelError::Truncated {
                found: most,
                expected,
            }));
        }
        Ok(voxels)
    }

    fn error(&self, reason: VoxelError) -> ImageError {
        ImageError::voxels(&self.path)(reason)
    }

    /// The next number; empty at the end of the file.
    fn word(&mut self, word: &mut Vec<u8>) -> io::Result<()> {
        word.clear();
        loop {
            let bytes = self.file.fill_buf()?;
            let mut taken = 0;
            let mut is_over = bytes.is_empty();
            for &byte in bytes {
                let parts = byte.is_ascii_whitespace() || byte == b',';
                if parts && !word.is_empty() {
                    is_over = true;
                    break;
                }
                taken += 1;
                if !parts {
                    word.push(byte);
                    if word.len() > NUMBER_MAX {
                        is_over = true;
                        break;
                    }
                }
            }
            self.file.consume(taken);
            if is_over {
                return Ok(());
            }
        }
    }
}

impl VoxelStream for TextVoxels {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ImageError> {
        let bytes = self.data_type.bytes();
        let mut word = Vec::new();
        for voxel in buffer.chunks_exact_mut(bytes) {
            self.word(&mut word).map_err(ImageError::io(&self.path))?;
            if word.is_empty() {
                return Err(self.error(VoxelError::Truncated {
                    found: self.found,
                    expected: self.expected,
                }));
            }
            let number = std::str::from_utf8(&word).ok();
            if number
                .and_then(|number| put(number, self.data_type, voxel))
                .is_none()
            {
                return Err(self.error(VoxelError::NoNumber {
                    voxel: self.found / bytes as u64,
                    data_type: self.data_type.name(),
                }));
            }
            self.found += bytes as u64;
        }
        Ok(())
    }

    fn check_rest(&self) -> Result<(), ImageError> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ImageError> {
        let mut rest = self.file.by_ref().take(TRAILING_BYTES_MAX + 1);
        let trailing = io::copy(&mut rest, &mut io::sink()).map_err(ImageError::io(&self.path))?;
        if trailing > TRAILING_BYTES_MAX {
            return Err(self.error(VoxelError::TooLong {
                expected: self.expected,
                allowed: TRAILING_BYTES_MAX,
            }));
        }
        Ok(())
    }
}

/// Writes a number of a type; `None` where the text is not a number.
fn put(text: &str, data_type: DataType, to: &mut [u8]) -> Option<()> {
    macro_rules! put {
        ($number:ty) => {
            to.copy_from_slice(&text.parse::<$number>().ok()?.to_le_bytes())
        };
    }
    match data_type {
        DataType::U8 => put!(u8),
        DataType::I8 => put!(i8),
        DataType::U16 => put!(u16),
        DataType::I16 => put!(i16),
        DataType::U32 => put!(u32),
        DataType::I32 => put!(i32),
        DataType::U64 => put!(u64),
        DataType::I64 => put!(i64),
        DataType::F32 => put!(f32),
        DataType::F64 => put!(f64),
    }
    Some(())
}
