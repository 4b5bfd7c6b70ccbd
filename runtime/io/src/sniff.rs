//! Detects the kind of a file by its bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use crate::dicom::TransferSyntax;
use crate::image::format::Format;
use crate::image::formats::by_bytes;
use crate::image::stream::{GZIP_MAGIC, read_up_to};

/// Number of bytes that suffice for detection.
pub const SNIFF_BYTES: usize = 352;

/// Content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A header of this format, with or without voxels after it.
    Image(&'static Format),
    /// A DICOM file, with its preamble (PS3.10 7.1) or as a data set alone.
    Dicom,
    /// Anything else, including files of voxels alone, which have no magic.
    Unknown,
}

/// Content of a file, and whether it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sniffed {
    /// Content of the (decompressed) bytes.
    pub content: Content,
    /// Whether the file is a gzip stream.
    pub gzip: bool,
}

/// Detects the content of a (decompressed) file by its first bytes.
///
/// **Examples**
/// ```
/// use vesal_io::sniff::{Content, sniff_bytes};
/// let mut head = [0; 132];
/// head[128..].copy_from_slice(b"DICM");
/// assert_eq!(sniff_bytes(&head), Content::Dicom);
/// ```
pub fn sniff_bytes(head: &[u8]) -> Content {
    if let Some(format) = by_bytes(head) {
        return Content::Image(format);
    }
    if head.get(128..132) == Some(b"DICM") {
        return Content::Dicom;
    }
    if TransferSyntax::of_bare(head).is_some() {
        return Content::Dicom;
    }
    Content::Unknown
}

/// Detects the kind of a file by its first bytes, decompressed if necessary, independently of its name.
///
/// **Errors**: those of reading the file; pipes, devices and the like are not opened. A damaged gzip stream is not an
/// error but gives [`Content::Unknown`], unless enough of it can be decompressed.
pub fn sniff(path: &Path) -> io::Result<Sniffed> {
    let kind = path.metadata()?.file_type();
    // Reading a pipe or a device may block forever; opening a folder gives an error.
    if !kind.is_file() && !kind.is_dir() {
        let reason = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let head = read_up_to(&mut File::open(path)?, SNIFF_BYTES)?;
    if !head.starts_with(&GZIP_MAGIC) {
        return Ok(Sniffed {
            content: sniff_bytes(&head),
            gzip: false,
        });
    }
    let mut decoder = GzDecoder::new(File::open(path)?);
    let mut inner = Vec::new();
    let mut buffer = [0; SNIFF_BYTES];
    while inner.len() < SNIFF_BYTES {
        match decoder.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => inner.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(Sniffed {
        content: sniff_bytes(&inner),
        gzip: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_heads_are_unknown() {
        assert_eq!(sniff_bytes(&[]), Content::Unknown);
        assert_eq!(sniff_bytes(&[0x5c, 1, 0, 0]), Content::Unknown);
    }
}
