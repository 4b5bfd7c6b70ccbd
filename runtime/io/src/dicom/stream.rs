//! The bytes of a data set, inflated if need be.

use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::bufread::DeflateDecoder;

use crate::dicom::error::HeaderError;

/// Inflated bytes that are let pass before the pixels: more than any header has.
const INFLATED_HEADER_MAX: u64 = 256 << 20;

/// The bytes of an open file from one position on.
pub(super) enum Stream {
    /// As they are stored.
    Plain {
        reader: BufReader<File>,
        position: u64,
        length: u64,
    },
    /// A deflate stream; positions count inflated bytes.
    Deflated {
        reader: Box<DeflateDecoder<BufReader<File>>>,
        position: u64,
    },
}

impl Stream {
    /// The bytes of a file from its start.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::Plain {
            reader: BufReader::with_capacity(1 << 14, file),
            position: 0,
            length,
        })
    }

    /// What follows, taken as a deflate stream.
    pub fn deflated(self) -> Self {
        match self {
            Self::Plain { reader, .. } => Self::Deflated {
                reader: Box::new(DeflateDecoder::new(reader)),
                position: 0,
            },
            deflated => deflated,
        }
    }

    /// Bytes passed so far.
    pub fn position(&self) -> u64 {
        match self {
            Self::Plain { position, .. } | Self::Deflated { position, .. } => *position,
        }
    }

    /// Bytes that are left; `None` where only inflating would tell.
    pub fn rest(&self) -> Option<u64> {
        match self {
            Self::Plain {
                position, length, ..
            } => Some(length.saturating_sub(*position)),
            Self::Deflated { .. } => None,
        }
    }

    /// Fills a buffer; `false` where the data end before its first byte.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, HeaderError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => {
                    return Err(HeaderError::Truncated {
                        at: self.position(),
                    });
                }
                Ok(count) => filled += count,
                Err(reason) if reason.kind() == io::ErrorKind::Interrupted => {}
                Err(reason) => return Err(self.failed(reason)),
            }
        }
        Ok(true)
    }

    /// Fills a buffer.
    pub fn exact(&mut self, buffer: &mut [u8]) -> Result<(), HeaderError> {
        if self.fill(buffer)? || buffer.is_empty() {
            Ok(())
        } else {
            Err(HeaderError::Truncated {
                at: self.position(),
            })
        }
    }

    /// Passes over bytes.
    pub fn skip(&mut self, count: u64) -> Result<(), HeaderError> {
        let truncated = HeaderError::Truncated {
            at: self.position(),
        };
        match self {
            Self::Plain {
                position, length, ..
            } if count > length.saturating_sub(*position) => return Err(truncated),
            Self::Deflated { position, .. }
                if count > INFLATED_HEADER_MAX.saturating_sub(*position) =>
            {
                return Err(HeaderError::TooLong {
                    limit: INFLATED_HEADER_MAX,
                });
            }
            _ => {}
        }
        self.go_to(self.position() + count)
    }

    /// Goes to a position: anywhere in a plain stream, forward only in a deflated one.
    pub fn go_to(&mut self, to: u64) -> Result<(), HeaderError> {
        match self {
            Self::Plain {
                reader, position, ..
            } => {
                // Keeps what is buffered, where that reaches so far; no file is longer than i64::MAX.
                let moved = reader.seek_relative(to as i64 - *position as i64);
                *position = to;
                moved.map_err(HeaderError::io)
            }
            Self::Deflated { position, .. } => {
                let count = to.saturating_sub(*position);
                match io::copy(&mut self.by_ref().take(count), &mut io::sink()) {
                    Ok(passed) if passed == count => Ok(()),
                    Ok(_) => Err(HeaderError::Truncated {
                        at: self.position(),
                    }),
                    Err(reason) => Err(self.failed(reason)),
                }
            }
        }
    }

    fn failed(&self, reason: io::Error) -> HeaderError {
        match self {
            Self::Plain { .. } => HeaderError::io(reason),
            Self::Deflated { position, .. } => HeaderError::Deflate { at: *position },
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain {
                reader, position, ..
            } => {
                let count = reader.read(buffer)?;
                *position += count as u64;
                Ok(count)
            }
            Self::Deflated { reader, position } => {
                let count = reader.read(buffer)?;
                *position += count as u64;
                Ok(count)
            }
        }
    }
}
