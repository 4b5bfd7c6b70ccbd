//! Mutations inside of compressed bytes: inflated, mutated, deflated again.

use std::io::{Cursor, Read, Write};

use flate2::Compression;
use flate2::read::{DeflateDecoder, GzDecoder};
use flate2::write::{DeflateEncoder, GzEncoder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Most inflated bytes that are mutated.
const INFLATED_MAX: u64 = 1 << 20;

/// Compression of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    /// The data set of a DICOM file whose transfer syntax is the deflated one.
    DeflatedDataSet,
    Gzip,
    /// The entries of a ZIP archive, of which the last named so is mutated.
    Zip(&'static str),
}

/// UID of the deflated transfer syntax, padded to an even length.
const DEFLATED: &[u8] = b"1.2.840.10008.1.2.1.99";

impl Wrapping {
    /// Mutates the content, and wraps it again; `None` where the bytes are not wrapped like this.
    pub fn mutate(self, bytes: &[u8], mutate: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::DeflatedDataSet => {
                let at = position(bytes, DEFLATED)? + DEFLATED.len();
                let (head, body) = bytes.split_at(at);
                let inside = all(DeflateDecoder::new(body))?;
                let mut encoder = DeflateEncoder::new(head.to_vec(), Compression::fast());
                encoder.write_all(&mutate(inside)).ok()?;
                encoder.finish().ok()
            }
            Self::Gzip => {
                let inside = all(GzDecoder::new(bytes))?;
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&mutate(inside)).ok()?;
                encoder.finish().ok()
            }
            Self::Zip(entry) => rezipped(bytes, entry, mutate),
        }
    }
}

fn position(bytes: &[u8], of: &[u8]) -> Option<usize> {
    bytes.windows(of.len()).position(|window| window == of)
}

fn all(reader: impl Read) -> Option<Vec<u8>> {
    let mut inside = Vec::new();
    // A truncated stream is mutated as far as it is readable.
    let _ = reader.take(INFLATED_MAX).read_to_end(&mut inside);
    (!inside.is_empty()).then_some(inside)
}

fn rezipped(bytes: &[u8], entry: &str, mutate: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Option<Vec<u8>> {
    let mut from = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mutated = (0..from.len()).rfind(|&index| {
        from.name_for_index(index)
            .is_some_and(|name| name.ends_with(entry))
    })?;
    let mut mutate = Some(mutate);
    for index in 0..from.len() {
        let file = from.by_index(index).ok()?;
        let name = file.name().to_owned();
        let mut inside = Vec::new();
        file.take(INFLATED_MAX).read_to_end(&mut inside).ok()?;
        if index == mutated {
            inside = mutate.take()?(inside);
        }
        to.start_file(name, stored).ok()?;
        to.write_all(&inside).ok()?;
    }
    Some(to.finish().ok()?.into_inner())
}
