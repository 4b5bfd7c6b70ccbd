//! Detects the format of a file from its bytes, and derives the name of a case from that of its file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use crate::dicom::TransferSyntax;

/// Bytes at the start of a file that [`sniff`] needs.
pub const SNIFF_BYTES: usize = 352;

/// The first two bytes of every gzip member.
pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A NIfTI header, with or without voxels behind it.
    Nifti {
        version: NiftiVersion,
        layout: NiftiLayout,
    },
    /// An Analyze 7.5 header: a predecessor of NIfTI without an affine.
    Analyze,
    /// A DICOM file, with its preamble (PS3.10 7.1) or as a data set alone.
    Dicom,
    /// Anything else, such as the `.img` half of a pair, which has no magic.
    Unknown,
}

/// An edition of the NIfTI format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NiftiVersion {
    /// NIfTI-1, with a header of 348 bytes.
    Nifti1,
    /// NIfTI-2, with a header of 540 bytes.
    Nifti2,
}

/// Where the voxels of a NIfTI header are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NiftiLayout {
    /// In the same file (`.nii`).
    Single,
    /// In a second file (`.hdr` and `.img`).
    Pair,
}

/// The content of a file, and whether it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sniffed {
    pub content: Content,
    /// Whether the file is a gzip stream.
    pub gzip: bool,
}

/// Detects the content of a (decompressed) file from its first bytes.
///
/// **Examples**
/// ```
/// use vesal_io::sniff::{Content, sniff_bytes};
/// let mut head = [0; 132];
/// head[128..].copy_from_slice(b"DICM");
/// assert_eq!(sniff_bytes(&head), Content::Dicom);
/// ```
pub fn sniff_bytes(head: &[u8]) -> Content {
    let at = |start: usize, length: usize| head.get(start..start + length);
    let nifti = |version, layout| Content::Nifti { version, layout };
    match at(344, 4) {
        Some(b"n+1\0") => return nifti(NiftiVersion::Nifti1, NiftiLayout::Single),
        Some(b"ni1\0") => return nifti(NiftiVersion::Nifti1, NiftiLayout::Pair),
        _ => {}
    }
    match at(4, 4) {
        Some(b"n+2\0") => return nifti(NiftiVersion::Nifti2, NiftiLayout::Single),
        Some(b"ni2\0") => return nifti(NiftiVersion::Nifti2, NiftiLayout::Pair),
        _ => {}
    }
    if at(128, 4) == Some(b"DICM") {
        return Content::Dicom;
    }
    if head.len() >= 348
        && (head.starts_with(&[0x5c, 1, 0, 0]) || head.starts_with(&[0, 0, 1, 0x5c]))
    {
        return Content::Analyze;
    }
    if TransferSyntax::of_bare(head).is_some() {
        return Content::Dicom;
    }
    Content::Unknown
}

/// Detects the content of a file from its first bytes, whatever its name; a gzip stream is decompressed.
///
/// **Errors**: what the system answers when the file cannot be read; pipes, devices and the like are not even opened.
/// A damaged gzip stream is no error but
/// [`Content::Unknown`], unless enough of it can be decompressed.
pub fn sniff(path: &Path) -> io::Result<Sniffed> {
    let kind = path.metadata()?.file_type();
    // Reading a pipe or a device may block for ever; opening a folder gives an error.
    if !kind.is_file() && !kind.is_dir() {
        let reason = "it is no regular file";
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

/// Reads the first `limit` bytes, fewer if there are no more.
pub(crate) fn read_up_to(source: &mut impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    source.take(limit as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The name of a file without its directory and its image extension: `scans/liver_7.nii.gz` is case `liver_7`.
///
/// **Definition**: `.nii`, `.hdr` and `.img`, each also with `.gz`, are removed whatever their case; any other name
/// stays whole. `None` if the path has no name, or nothing else than an extension.
///
/// **Examples**
/// ```
/// use vesal_io::sniff::case_name;
/// assert_eq!(case_name("scans/liver_7.nii.gz".as_ref()).as_deref(), Some("liver_7"));
/// assert_eq!(case_name("v1.2.NII".as_ref()).as_deref(), Some("v1.2"));
/// assert_eq!(case_name("study_3".as_ref()).as_deref(), Some("study_3"));
/// ```
pub fn case_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let stem = split_extension(&name).map_or(name.as_ref(), |(stem, _, _)| stem);
    (!stem.is_empty()).then(|| stem.to_owned())
}

/// Splits `stem.nii.gz` into `stem`, `nii` (as written) and whether `.gz` follows; `None` for other extensions.
pub(crate) fn split_extension(name: &str) -> Option<(&str, &str, bool)> {
    let without_suffix = |name: &str, suffix: &str| {
        let cut = name.len().checked_sub(suffix.len())?;
        name.get(cut..)?.eq_ignore_ascii_case(suffix).then_some(cut)
    };
    let (plain, gzip) =
        without_suffix(name, ".gz").map_or((name, false), |cut| (&name[..cut], true));
    [".nii", ".hdr", ".img"]
        .iter()
        .find_map(|suffix| without_suffix(plain, suffix))
        .map(|cut| (&plain[..cut], &plain[cut + 1..], gzip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_split_whatever_their_case() {
        assert_eq!(split_extension("a.nii"), Some(("a", "nii", false)));
        assert_eq!(split_extension("a.b.HDR.Gz"), Some(("a.b", "HDR", true)));
        assert_eq!(split_extension("a.gz"), None);
        assert_eq!(split_extension("nii"), None);
        assert_eq!(
            split_extension("größe.img.gz"),
            Some(("größe", "img", true))
        );
        assert_eq!(split_extension("ü"), None);
    }

    #[test]
    fn case_names_are_what_is_left() {
        assert_eq!(case_name(".nii.gz".as_ref()), None);
        assert_eq!(case_name("..".as_ref()), None);
        assert_eq!(case_name("a/b.img".as_ref()).as_deref(), Some("b"));
        assert_eq!(
            case_name("notes.txt".as_ref()).as_deref(),
            Some("notes.txt")
        );
    }

    #[test]
    fn short_heads_are_unknown() {
        assert_eq!(sniff_bytes(&[]), Content::Unknown);
        assert_eq!(sniff_bytes(&[0x5c, 1, 0, 0]), Content::Unknown);
        let mut analyze = [0; 348];
        analyze[..4].copy_from_slice(&348_i32.to_be_bytes());
        assert_eq!(sniff_bytes(&analyze), Content::Analyze);
    }
}
