//! The bytes of a file, decompressed if need be, and never more of them than its header lets expect.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use crate::nifti::error::{NiftiError, VoxelError};
use crate::nifti::header::NIFTI2_BYTES;
use crate::sniff::{GZIP_MAGIC, read_up_to};

/// Bytes after the last voxel that are let pass: padding and what some tools append.
pub const TRAILING_BYTES_MAX: u64 = 1 << 20;

/// No deflate stream expands more than this: 258 bytes from two bits.
const DEFLATE_EXPANSION_MAX: u64 = 1032;

/// An open file: the bytes that may be its header, and those that follow.
pub(super) struct Source {
    /// The first bytes, as many as the longest header has.
    pub head: Vec<u8>,
    path: PathBuf,
    rest: Rest,
    file_bytes: u64,
}

enum Rest {
    Plain(BufReader<File>),
    Gzip(Box<GzipMembers<BufReader<File>>>),
}

impl Source {
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
            Rest::Gzip(Box::new(GzipMembers {
                decoder: Some(GzDecoder::new(file)),
            }))
        } else {
            Rest::Plain(file)
        };
        let head = match &mut rest {
            Rest::Plain(file) => read_up_to(file, NIFTI2_BYTES),
            Rest::Gzip(members) => read_up_to(members, NIFTI2_BYTES),
        }
        .map_err(&failed)?;
        Ok(Self {
            head,
            path: path.to_owned(),
            rest,
            file_bytes: metadata.len(),
        })
    }

    /// Reads the `expected` bytes that start at `offset`.
    ///
    /// Memory grows with the bytes that the file really has. After the last one the file may go on for
    /// [`TRAILING_BYTES_MAX`] bytes; reading on to the end also checks the checksum of a compressed file.
    pub fn read_at(self, offset: u64, expected: u64) -> Result<Vec<u8>, NiftiError> {
        let Self {
            head,
            path,
            rest,
            file_bytes,
        } = self;
        let refused = NiftiError::voxels(&path);
        let too_long = VoxelError::TooLong {
            expected,
            allowed: TRAILING_BYTES_MAX,
        };
        match rest {
            Rest::Plain(file) => {
                let found = file_bytes.saturating_sub(offset);
                if found < expected {
                    return Err(refused(VoxelError::Truncated { found, expected }));
                }
                if found - expected > TRAILING_BYTES_MAX {
                    return Err(refused(too_long));
                }
                read_span(&mut Cursor::new(head).chain(file), &path, offset, expected)
            }
            Rest::Gzip(members) => {
                let needed = offset + expected;
                if needed / DEFLATE_EXPANSION_MAX > file_bytes {
                    return Err(refused(VoxelError::Implausible {
                        compressed: file_bytes,
                        expected: needed,
                    }));
                }
                let mut stream = Cursor::new(head).chain(members);
                let bytes = read_span(&mut stream, &path, offset, expected)?;
                let trailing = io::copy(&mut stream.take(TRAILING_BYTES_MAX + 1), &mut io::sink())
                    .map_err(NiftiError::io(&path))?;
                if trailing > TRAILING_BYTES_MAX {
                    Err(refused(too_long))
                } else {
                    Ok(bytes)
                }
            }
        }
    }
}

/// Skips `offset` bytes and reads the `expected` ones that follow.
fn read_span(
    stream: &mut impl Read,
    path: &Path,
    offset: u64,
    expected: u64,
) -> Result<Vec<u8>, NiftiError> {
    let refused = NiftiError::voxels(path);
    let ended = |reason: io::Error, found: u64| match reason.kind() {
        io::ErrorKind::UnexpectedEof => refused(VoxelError::Truncated { found, expected }),
        _ => NiftiError::io(path)(reason),
    };
    let skipped =
        io::copy(&mut stream.take(offset), &mut io::sink()).map_err(|reason| ended(reason, 0))?;
    if skipped < offset {
        return Err(refused(VoxelError::Truncated { found: 0, expected }));
    }
    let too_much = || refused(VoxelError::OutOfMemory { bytes: expected });
    let length = usize::try_from(expected).map_err(|_| too_much())?;
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < length {
        let step = (length - bytes.len()).min(bytes.len().max(1 << 20));
        bytes.try_reserve_exact(step).map_err(|_| too_much())?;
        let before = bytes.len();
        let read = stream.take(step as u64).read_to_end(&mut bytes);
        let found = bytes.len() as u64;
        read.map_err(|reason| ended(reason, found))?;
        if bytes.len() - before < step {
            return Err(refused(VoxelError::Truncated { found, expected }));
        }
    }
    Ok(bytes)
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
            // A lone first byte may be the end of what is buffered; the decoder looks at the second.
            if matches!(file.fill_buf()?, [0x1f] | [0x1f, 0x8b, ..]) {
                self.decoder = Some(GzDecoder::new(file));
            }
        }
        Ok(0)
    }
}
