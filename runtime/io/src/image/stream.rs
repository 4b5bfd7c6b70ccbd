//! The bytes of a file, decompressed if necessary, and limited by its header.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::{GzDecoder, ZlibDecoder};

use crate::DEFLATE_EXPANSION_MAX;
use crate::image::error::{ImageError, VoxelError};
use crate::image::format::VoxelStream;

/// Accepted bytes after the last voxel: padding, and data that some tools append.
pub const TRAILING_BYTES_MAX: u64 = 1 << 20;

/// The first two bytes of every gzip member.
pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An open file: its first bytes, and those that follow.
pub(crate) struct FileBytes {
    /// The requested first bytes, fewer at the end of the file.
    pub head: Vec<u8>,
    path: PathBuf,
    rest: RemainingBytes,
    /// Size of the file in bytes, head included.
    bytes: u64,
}

enum RemainingBytes {
    Plain(BufReader<File>),
    Gzip(Box<GzipMembers<BufReader<File>>>),
    Zlib(Box<ZlibDecoder<BufReader<File>>>),
}

/// Compression of the bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zlib,
}

impl FileBytes {
    /// Opens a file, which may be compressed, and reads that many bytes of its head.
    pub fn open(path: &Path, head_bytes: usize) -> Result<Self, ImageError> {
        let failed = ImageError::io(path);
        let (mut file, file_bytes) = open_regular(path)?;
        let compression = match file.fill_buf().map_err(&failed)?.starts_with(&GZIP_MAGIC) {
            true => Compression::Gzip,
            false => Compression::None,
        };
        let mut source = Self::new(path, file, file_bytes, compression);
        source.head = read_up_to(&mut source.rest, head_bytes).map_err(&failed)?;
        Ok(source)
    }

    /// What is left of a file: `left` bytes, compressed or not.
    pub fn new(path: &Path, file: BufReader<File>, left: u64, compression: Compression) -> Self {
        Self {
            head: Vec::new(),
            path: path.to_owned(),
            rest: RemainingBytes::new(file, compression),
            bytes: left,
        }
    }

    /// Skips to the `expected` voxel bytes, which start at `offset`.
    ///
    /// **Errors**: the length of the file shows that they are incomplete, or that too much follows them.
    pub fn voxels(self, offset: u64, expected: u64) -> Result<StoredVoxels, ImageError> {
        let Self {
            head,
            path,
            rest,
            bytes,
        } = self;
        rest.check(bytes, offset, expected)
            .map_err(ImageError::voxels(&path))?;
        let mut voxels = StoredVoxels {
            stream: Cursor::new(head).chain(rest),
            path,
            bytes,
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

/// Opens a regular file and returns its length.
pub(crate) fn open_regular(path: &Path) -> Result<(BufReader<File>, u64), ImageError> {
    let failed = ImageError::io(path);
    let metadata = path.metadata().map_err(&failed)?;
    if !metadata.is_file() {
        return Err(ImageError::NotAFile {
            path: path.to_owned(),
        });
    }
    let file = File::open(path).map_err(&failed)?;
    Ok((BufReader::with_capacity(1 << 17, file), metadata.len()))
}

/// Reads the first `limit` bytes, fewer at the end of the file.
pub(crate) fn read_up_to(source: &mut impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    source.take(limit as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// A sequential reader of the voxel bytes of a file.
pub(crate) struct StoredVoxels {
    stream: io::Chain<Cursor<Vec<u8>>, RemainingBytes>,
    path: PathBuf,
    bytes: u64,
    expected: u64,
    found: u64,
}

impl VoxelStream for StoredVoxels {
    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), ImageError> {
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

    fn check_rest(&self) -> Result<(), ImageError> {
        let (_, rest) = self.stream.get_ref();
        let needed = self.expected - self.found;
        implausible(rest.unread(), needed, self.bytes).map_err(ImageError::voxels(&self.path))
    }

    /// Reads on to the end of the file, at most [`TRAILING_BYTES_MAX`]: which verifies the checksum of a compressed
    /// file.
    fn finish(mut self: Box<Self>) -> Result<(), ImageError> {
        let mut rest = (&mut self.stream).take(TRAILING_BYTES_MAX + 1);
        let trailing = io::copy(&mut rest, &mut io::sink()).map_err(ImageError::io(&self.path))?;
        if trailing > TRAILING_BYTES_MAX {
            return Err(ImageError::voxels(&self.path)(VoxelError::TooLong {
                expected: self.expected,
                allowed: TRAILING_BYTES_MAX,
            }));
        }
        Ok(())
    }
}

impl StoredVoxels {
    fn ended(&self, reason: io::Error) -> ImageError {
        match reason.kind() {
            io::ErrorKind::UnexpectedEof => self.truncated(),
            _ => ImageError::io(&self.path)(reason),
        }
    }

    fn truncated(&self) -> ImageError {
        ImageError::voxels(&self.path)(VoxelError::Truncated {
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
    fn new(file: BufReader<File>, compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Plain(file),
            Compression::Gzip => Self::Gzip(Box::new(GzipMembers {
                decoder: Some(GzDecoder::new(file)),
            })),
            Compression::Zlib => Self::Zlib(Box::new(ZlibDecoder::new(file))),
        }
    }

    /// Checks by the length of the file.
    fn check(&self, bytes: u64, offset: u64, expected: u64) -> Result<(), VoxelError> {
        let found = bytes.saturating_sub(offset);
        match self {
            Self::Gzip(_) | Self::Zlib(_) => implausible(bytes, offset + expected, bytes),
            Self::Plain(_) if found < expected => Err(VoxelError::Truncated { found, expected }),
            Self::Plain(_) if found - expected > TRAILING_BYTES_MAX => Err(VoxelError::TooLong {
                expected,
                allowed: TRAILING_BYTES_MAX,
            }),
            Self::Plain(_) => Ok(()),
        }
    }

    /// Bytes of the file that the decoder has not consumed; all remaining ones of an uncompressed file.
    fn unread(&self) -> u64 {
        let buffered = match self {
            Self::Plain(_) => return u64::MAX,
            Self::Gzip(members) => members.decoder.as_ref().map(GzDecoder::get_ref),
            Self::Zlib(decoder) => Some(decoder.get_ref()),
        };
        buffered.map_or(0, |buffered| {
            // Without a position or a length, the maximum counts as unread.
            let file = &mut buffered.get_ref();
            let position = file.stream_position().unwrap_or(0);
            let length = file.metadata().map_or(u64::MAX, |metadata| metadata.len());
            length.saturating_sub(position) + buffered.buffer().len() as u64
        })
    }
}

impl Read for RemainingBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(members) => members.read(buffer),
            Self::Zlib(decoder) => decoder.read(buffer),
        }
    }
}

/// The decompressed bytes of all gzip members that follow each other; other bytes after them are ignored.
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
            // The buffer may end after the first byte; the decoder then checks the second.
            if matches!(file.fill_buf()?, [0x1f] | [0x1f, 0x8b, ..]) {
                self.decoder = Some(GzDecoder::new(file));
            }
        }
        Ok(0)
    }
}
