//! The bytes of a data set, inflated if necessary, within limits by the size of the file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::DeflateDecoder;

use crate::dicom::error::DicomHeaderError;

/// Limit of inflated bytes of headers: a base that files read together share, more for longer files, but never more
/// than [`INFLATED_MAX`] for one. Real headers compress less than that; reading on would only cost time.
const INFLATED_BASE: u64 = 8 << 20;
const INFLATED_PER_BYTE: u64 = 32;
const INFLATED_MAX: u64 = 256 << 20;

/// Limit in bytes of the values kept from headers: a base that files read together share, and more for longer files. A
/// header that is not deflated never reaches it if its frames have some hundred bytes of pixels each.
const KEPT_BASE: u64 = 16 << 20;
const KEPT_PER_BYTE: u64 = 4;

const BUFFER: usize = 1 << 14;

/// Steps between two calls of `goes_on`: bytes, plus [`STEP`] per request.
const BETWEEN_QUESTIONS: u64 = 1 << 20;
const STEP: u64 = 64;

/// The bytes of an open file from one position on.
pub(super) struct DataSetStream<'a> {
    bytes: StreamBytes,
    /// Bytes passed so far: of the file, or inflated ones.
    position: u64,
    length: u64,
    /// Limit of inflated bytes.
    limit: u64,
    /// Bytes kept so far, and their limit.
    kept: u64,
    kept_max: u64,
    /// Steps until `goes_on` is called again.
    unasked: u64,
    goes_on: &'a dyn Fn() -> bool,
}

enum StreamBytes {
    Plain(BufReader<File>),
    Deflated(Box<BufReader<DeflateDecoder<BufReader<File>>>>),
}

impl DataSetStream<'static> {
    /// The bytes of a file from its start.
    pub fn new(file: File) -> io::Result<Self> {
        Self::while_wanted(file, &|| true)
    }
}

impl<'a> DataSetStream<'a> {
    /// As [`DataSetStream::new`], until `goes_on` returns `false`; it is called after each MiB or so.
    pub fn while_wanted(file: File, goes_on: &'a dyn Fn() -> bool) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let stream = Self {
            bytes: StreamBytes::Plain(BufReader::with_capacity(BUFFER, file)),
            position: 0,
            length,
            limit: 0,
            kept: 0,
            kept_max: 0,
            unasked: BETWEEN_QUESTIONS,
            goes_on,
        };
        Ok(stream.one_of(1))
    }

    /// Sets the limits of a file that is one of `files` read together, which share the base limits.
    pub fn one_of(self, files: usize) -> Self {
        let limit = |base: u64, per_byte: u64| {
            let own = self.length.saturating_mul(per_byte);
            own.saturating_add(base / files.max(1) as u64)
        };
        Self {
            limit: limit(INFLATED_BASE, INFLATED_PER_BYTE).min(INFLATED_MAX),
            kept_max: limit(KEPT_BASE, KEPT_PER_BYTE),
            ..self
        }
    }

    pub fn deflated(self) -> Self {
        let bytes = match self.bytes {
            StreamBytes::Plain(reader) => {
                let decoder = DeflateDecoder::new(reader);
                StreamBytes::Deflated(Box::new(BufReader::with_capacity(BUFFER, decoder)))
            }
            deflated => deflated,
        };
        Self {
            bytes,
            position: 0,
            ..self
        }
    }

    /// Sets the limit of inflated bytes.
    pub fn up_to(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    /// Remaining bytes; `None` for a deflated data set.
    pub fn rest(&self) -> Option<u64> {
        match self.bytes {
            StreamBytes::Plain(_) => Some(self.length.saturating_sub(self.position)),
            StreamBytes::Deflated(_) => None,
        }
    }

    /// Counts bytes that the caller is about to keep.
    pub fn keep(&mut self, bytes: u64) -> Result<(), DicomHeaderError> {
        self.kept = self.kept.saturating_add(bytes);
        if self.kept > self.kept_max {
            return Err(DicomHeaderError::TooMuch {
                limit: self.kept_max,
            });
        }
        Ok(())
    }

    /// The next `most` bytes, fewer at the end of the data.
    pub fn head(&mut self, most: usize) -> Result<Vec<u8>, DicomHeaderError> {
        let mut head = vec![0; most];
        let mut filled = 0;
        while filled < most {
            match self.read(&mut head[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        head.truncate(filled);
        Ok(head)
    }

    /// Fills a buffer; `false` at the end of the data.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, DicomHeaderError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(self.truncated()),
                count => filled += count,
            }
        }
        Ok(true)
    }

    pub fn exact(&mut self, buffer: &mut [u8]) -> Result<(), DicomHeaderError> {
        if self.fill(buffer)? || buffer.is_empty() {
            Ok(())
        } else {
            Err(self.truncated())
        }
    }

    pub fn skip(&mut self, count: u64) -> Result<(), DicomHeaderError> {
        if self.rest().is_some_and(|rest| count > rest) {
            return Err(self.truncated());
        }
        self.go_to(self.position.saturating_add(count))
    }

    /// Goes to a position: anywhere in a plain stream, forward only in a deflated one.
    pub fn go_to(&mut self, to: u64) -> Result<(), DicomHeaderError> {
        self.ask(STEP)?;
        if let StreamBytes::Plain(reader) = &mut self.bytes {
            // Keeps the buffer where it reaches that position; no file is longer than i64::MAX.
            let moved = reader.seek_relative(to as i64 - self.position as i64);
            self.position = to;
            return moved.map_err(DicomHeaderError::io);
        }
        if to > self.limit {
            return Err(DicomHeaderError::TooLong { limit: self.limit });
        }
        while self.position < to {
            let StreamBytes::Deflated(reader) = &mut self.bytes else {
                break;
            };
            let there = match reader.fill_buf() {
                Ok([]) => return Err(self.truncated()),
                Ok(there) => there.len() as u64,
                Err(reason) if reason.kind() == io::ErrorKind::Interrupted => continue,
                Err(reason) => return Err(self.failed(reason)),
            };
            let passed = there.min(to - self.position);
            reader.consume(passed as usize);
            self.position += passed;
            self.ask(passed)?;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, DicomHeaderError> {
        self.ask(STEP + buffer.len() as u64)?;
        let mut wanted = buffer.len();
        if matches!(self.bytes, StreamBytes::Deflated(_)) {
            let room = self.limit.saturating_sub(self.position);
            if room == 0 && wanted > 0 {
                return Err(DicomHeaderError::TooLong { limit: self.limit });
            }
            wanted = wanted.min(usize::try_from(room).unwrap_or(usize::MAX));
        }
        let buffer = &mut buffer[..wanted];
        loop {
            let read = match &mut self.bytes {
                StreamBytes::Plain(reader) => reader.read(buffer),
                StreamBytes::Deflated(reader) => reader.read(buffer),
            };
            match read {
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(reason) if reason.kind() == io::ErrorKind::Interrupted => {}
                Err(reason) => return Err(self.failed(reason)),
            }
        }
    }

    /// Counts steps and calls `goes_on` after many.
    fn ask(&mut self, steps: u64) -> Result<(), DicomHeaderError> {
        self.unasked = self.unasked.saturating_sub(steps);
        if self.unasked == 0 {
            self.unasked = BETWEEN_QUESTIONS;
            if !(self.goes_on)() {
                return Err(DicomHeaderError::Stopped);
            }
        }
        Ok(())
    }

    fn truncated(&self) -> DicomHeaderError {
        DicomHeaderError::Truncated { at: self.position }
    }

    fn failed(&self, reason: io::Error) -> DicomHeaderError {
        match self.bytes {
            StreamBytes::Plain(_) => DicomHeaderError::io(reason),
            StreamBytes::Deflated(_) => DicomHeaderError::Deflate { at: self.position },
        }
    }
}
