//! The bytes of a file, decompressed if need be, at most as many as its header states.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use crate::DEFLATE_EXPANSION_MAX;
use crate::nifti::error::{NiftiError, VoxelError};
use crate::nifti::header::NIFTI2_BYTES;
use crate::sniff::{GZIP_MAGIC, read_up_to};

/// Most bytes after the last voxel: padding and what some tools append.
pub const TRAILING_BYTES_MAX: u64 = 1 << 20;

/// An open file: the bytes that may be its header, and those that follow.
pub(super) struct FileBytes {
    /// The first bytes, as many as the longest header has.
    pub head: Vec<u8>,
    path: PathBuf,
    rest: RemainingBytes,
    file_bytes: u64,
}

enum RemainingBytes {
    Plain(BufReader<File>),
    Gzip(Box<GzipMembers<BufReader<File>>>),
}

impl FileBytes {
    /// Opens a file and reads its head.
    pub fn open(path: &Path) -> Result<Self, NiftiError> {
        let failed = NiftiError::io(path);
        let metadata = path.metadata().map_err(&failed)?;
        if !metadata.is_file() {
            return Err(NiftiError::NotAFile {
                path: path.to_owned(),
            });
        }
        let mut file = BufReader::with_capacity(1 << 17, File::open(path).map_err(&failed)?);
        let gzip = file.fill_buf().map_err(&failed)?.starts_with(&GZIP_MAGIC);
        let mut rest = if gzip {
            RemainingBytes::Gzip(Box::new(GzipMembers {
                decoder: Some(GzDecoder::new(file)),
            }))
        } else {
            RemainingBytes::Plain(file)
        };
        let head = read_up_to(&mut rest, NIFTI2_BYTES).map_err(&failed)?;
        Ok(Self {
            head,
            path: path.to_owned(),
            rest,
            file_bytes: metadata.len(),
        })
    }

    /// Skips to the `expected` voxel bytes, which start at `offset`.
    ///
    /// **Errors**: the length of the file already shows that they are not there, or that too much follows them.
    pub fn voxels(self, offset: u64, expected: u64) -> Result<StoredVoxels, NiftiError> {
        let Self {
            head,
            path,
            rest,
            file_bytes,
        } = self;
        rest.check(file_bytes, offset, expected)
            .map_err(NiftiError::voxels(&path))?;
        let mut voxels = StoredVoxels {
            stream: Cursor::new(head).chain(rest),
            path,
            file_bytes,
            expected,
            found: 0,
        };
        let skipped = io::copy(&mut (&mut voxels.stream).take(offset), &mut io::sink())
            .map_err(|reason| voxels.ended(reason))?;
        if skipped < offset {
            return Err(voxels.truncated());
        }
        Ok(voxels)
    }
}

/// The voxel bytes of a file, to be taken in order.
pub(super) struct StoredVoxels {
    stream: io::Chain<Cursor<Vec<u8>>, RemainingBytes>,
    path: PathBuf,
    file_bytes: u64,
    expected: u64,
    found: u64,
}

impl StoredVoxels {
    /// Fills a buffer with the next bytes.
    pub fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), NiftiError> {
        while !buffer.is_empty() {
            match self.stream.read(buffer) {
                Ok(0) => return Err(self.truncated()),
                Ok(count) => {
                    self.found += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(reason) if reason.kind() == io::ErrorKind::Interrupted => {}
                Err(reason) => return Err(self.ended(reason)),
            }
        }
        Ok(())
    }

    /// Checks that the rest of the file can hold the bytes that are still to come; to be called before memory is
    /// allocated for all of them.
    pub fn check_rest(&self) -> Result<(), NiftiError> {
        let (_, rest) = self.stream.get_ref();
        let needed = self.expected - self.found;
        implausible(rest.unread(self.file_bytes), needed, self.file_bytes)
            .map_err(NiftiError::voxels(&self.path))
    }

    /// Reads on to the end of the file, at most [`TRAILING_BYTES_MAX`]: that checks the checksum of a compressed one.
    pub fn finish(mut self) -> Result<(), NiftiError> {
        let mut rest = (&mut self.stream).take(TRAILING_BYTES_MAX + 1);
        let trailing = io::copy(&mut rest, &mut io::sink()).map_err(NiftiError::io(&self.path))?;
        if trailing > TRAILING_BYTES_MAX {
            return Err(NiftiError::voxels(&self.path)(VoxelError::TooLong {
                expected: self.expected,
                allowed: TRAILING_BYTES_MAX,
            }));
        }
        Ok(())
    }

    fn ended(&self, reason: io::Error) -> NiftiError {
        match reason.kind() {
            io::ErrorKind::UnexpectedEof => self.truncated(),
            _ => NiftiError::io(&self.path)(reason),
        }
    }

    fn truncated(&self) -> NiftiError {
        NiftiError::voxels(&self.path)(VoxelError::Truncated {
            found: self.found,
            expected: self.expected,
        })
    }
}

/// Refuses `expected` bytes that no deflate stream of `unread` bytes can hold.
fn implausible(unread: u64, expected: u64, compressed: u64) -> Result<(), VoxelError> {
    if expected / DEFLATE_EXPANSION_MAX > unread {
        return Err(VoxelError::Implausible {
            compressed,
            expected,
        });
    }
    Ok(())
}

impl RemainingBytes {
    /// What the length of the file already tells.
    fn check(&self, file_bytes: u64, offset: u64, expected: u64) -> Result<(), VoxelError> {
        let found = file_bytes.saturating_sub(offset);
        match self {
            Self::Gzip(_) => implausible(file_bytes, offset + expected, file_bytes),
            Self::Plain(_) if found < expected => Err(VoxelError::Truncated { found, expected }),
            Self::Plain(_) if found - expected > TRAILING_BYTES_MAX => Err(VoxelError::TooLong {
                expected,
                allowed: TRAILING_BYTES_MAX,
            }),
            Self::Plain(_) => Ok(()),
        }
    }

    /// Bytes of the file that the decoder has not taken; all that may come where nothing is compressed.
    fn unread(&self, file_bytes: u64) -> u64 {
        match self {
            Self::Plain(_) => u64::MAX,
            Self::Gzip(members) => members.decoder.as_ref().map_or(0, |decoder| {
                let buffered = decoder.get_ref();
                // Without a position, the whole file counts as unread.
                let position = buffered.get_ref().stream_position().unwrap_or(0);
                file_bytes.saturating_sub(position) + buffered.buffer().len() as u64
            }),
        }
    }
}

impl Read for RemainingBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(members) => members.read(buffer),
        }
    }
}

/// The decompressed bytes of all gzip members that follow each other; what else comes behind them is left alone.
struct GzipMembers<R> {
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut decoder) = self.decoder.take() {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                self.decoder = Some(decoder);
                return Ok(count);
            }
            let mut file = decoder.into_inner();
            // A single first byte may be the end of the buffer; the decoder checks the second.
            if matches!(file.fill_buf()?, [0x1f] | [0x1f, 0x8b, ..]) {
                self.decoder = Some(GzDecoder::new(file));
            }
        }
        Ok(0)
    }
}
