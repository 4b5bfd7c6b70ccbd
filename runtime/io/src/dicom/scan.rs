//! Finds the stacks in files and folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::dicom::class;
use crate::dicom::dataset::{self, Encoding, Visitor, text};
use crate::dicom::error::{DicomError, HeaderError};
use crate::dicom::header::{self, NoImage};
use crate::dicom::pixels::Image;
use crate::dicom::separate::stacks;
use crate::dicom::stack::{Slice, Stack};
use crate::dicom::structures;
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{self, Tag};

/// The class of a DICOMDIR.
const DIRECTORY_CLASS: &str = "1.2.840.10008.1.3.10";

/// What files and folders hold: every file is either part of stacks or skipped with a reason.
#[derive(Debug, Default)]
pub struct Scan {
    /// The stacks, by study, series and first file.
    pub stacks: Vec<Stack>,
    /// The files that are part of none, by path.
    pub skipped: Vec<Skipped>,
}

impl Scan {
    /// Whether any of the files is DICOM.
    pub fn has_dicom(&self) -> bool {
        !self.stacks.is_empty() || self.skipped.iter().any(|file| file.reason.is_dicom())
    }
}

/// A file that is part of no stack.
#[derive(Debug)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why a file is part of no stack.
#[derive(Debug, thiserror::Error)]
pub enum SkipReason {
    /// It is no DICOM file.
    #[error("it is no DICOM file")]
    NotDicom,
    /// A table of contents of the files around it, which are looked at themselves.
    #[error("it is a DICOMDIR")]
    Directory,
    /// An object of another class than CT, MR, PET and 3D X-ray images: a report, contours, a segmentation.
    #[error("it is {}", class::name(class))]
    Class {
        /// UID of the class.
        class: String,
    },
    /// An overview image.
    #[error("it is a localizer")]
    Localizer,
    /// A color image.
    #[error("its pixels are colors")]
    Color,
    /// An image without pixels.
    #[error("it has no pixels")]
    NoPixels,
    /// An image that cannot be used; the stacks of its series are refused.
    #[error("it cannot be used: {0}")]
    Defect(#[from] HeaderError),
    /// The system cannot read it.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// A link to a folder, which is not followed.
    #[error("it is a link to a folder")]
    LinkedFolder,
    /// A DICOMDIR names it, but there is no such file.
    #[error("a DICOMDIR names it, but it is absent")]
    Absent,
}

impl SkipReason {
    /// Whether the file is DICOM all the same, as far as that is known.
    pub fn is_dicom(&self) -> bool {
        !matches!(self, Self::NotDicom | Self::LinkedFolder)
    }
}

/// Looks at files, folders with all that is below them, and the files that a DICOMDIR names.
///
/// Only headers are read, in parallel and up to the pixels. Slices are grouped by study, series, frame of reference,
/// shape, pixel spacing and orientation; where several lie at one place, by what tells them apart, see
/// [`Stack::told_apart_by`].
///
/// **Errors**: [`DicomError::Io`] for a path that is not there or a folder that cannot be listed. What is wrong with
/// a single file is told in [`Scan::skipped`].
pub fn scan<P: AsRef<Path>>(paths: &[P]) -> Result<Scan, DicomError> {
    let mut scan = Scan::default();
    let mut files = BTreeSet::new();
    for path in paths {
        let path = path.as_ref();
        let metadata = path.metadata().map_err(DicomError::io(path))?;
        if metadata.is_dir() {
            list(path, &mut files, &mut scan.skipped)?;
        } else if let Some(named) = directory(path)? {
            scan.skip(path.to_owned(), SkipReason::Directory);
            for path in named {
                if path.is_file() {
                    files.insert(path);
                } else {
                    scan.skip(path, SkipReason::Absent);
                }
            }
        } else {
            files.insert(path.to_owned());
        }
    }
    let read: Vec<(PathBuf, Result<header::Header, Failed>)> = files
        .into_par_iter()
        .map(|path| {
            let header = File::open(&path)
                .map_err(Failed::Io)
                .and_then(|file| header::read(&path, file).map_err(Failed::NoImage));
            (path, header)
        })
        .collect();
    let mut slices = Vec::new();
    let mut unread: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, header) in read {
        match header {
            Ok(header) => {
                let image = Arc::new(Image { path, header });
                let frames = 0..image.header.frames.len();
                slices.extend(frames.map(|frame| Slice {
                    image: Arc::clone(&image),
                    frame,
                }));
            }
            Err(failed) => {
                if let Failed::NoImage(NoImage::Defect(_, Some(series))) = &failed {
                    let files = unread.entry(series.clone()).or_default();
                    files.push(path.clone());
                }
                scan.skip(path, failed.into());
            }
        }
    }
    scan.stacks = stacks(slices, &unread);
    scan.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(scan)
}

impl Scan {
    /// The files that are structure sets, by path.
    pub fn structure_sets(&self) -> impl Iterator<Item = &Path> {
        let is_set = |file: &&Skipped| matches!(&file.reason, SkipReason::Class { class } if class == structures::CLASS);
        self.skipped
            .iter()
            .filter(is_set)
            .map(|file| file.path.as_path())
    }

    fn skip(&mut self, path: PathBuf, reason: SkipReason) {
        self.skipped.push(Skipped { path, reason });
    }
}

/// Why a file gives no header.
enum Failed {
    Io(io::Error),
    NoImage(NoImage),
}

impl From<Failed> for SkipReason {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Io(reason) => Self::Io(reason),
            Failed::NoImage(NoImage::Class(class)) if class == DIRECTORY_CLASS => Self::Directory,
            Failed::NoImage(NoImage::Class(class)) => Self::Class { class },
            Failed::NoImage(NoImage::Localizer) => Self::Localizer,
            Failed::NoImage(NoImage::Color) => Self::Color,
            Failed::NoImage(NoImage::NoPixels) => Self::NoPixels,
            Failed::NoImage(NoImage::Defect(HeaderError::NotDicom, _)) => Self::NotDicom,
            Failed::NoImage(NoImage::Defect(reason, _)) => Self::Defect(reason),
        }
    }
}

/// Collects the files below a folder.
fn list(
    folder: &Path,
    files: &mut BTreeSet<PathBuf>,
    skipped: &mut Vec<Skipped>,
) -> Result<(), DicomError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(DicomError::io(&folder))? {
            let entry = entry.map_err(DicomError::io(&folder))?;
            let (path, kind) = (entry.path(), entry.file_type());
            match kind.map_err(DicomError::io(&folder))? {
                kind if kind.is_dir() => folders.push(path),
                kind if kind.is_symlink() && path.is_dir() => skipped.push(Skipped {
                    path,
                    reason: SkipReason::LinkedFolder,
                }),
                // A pipe or a device would wait for ever.
                kind if kind.is_file() || path.is_file() => {
                    files.insert(path);
                }
                _ => skipped.push(Skipped {
                    path,
                    reason: SkipReason::NotDicom,
                }),
            }
        }
    }
    Ok(())
}

impl DicomError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |reason| Self::Io {
            path: path.to_owned(),
            reason,
        }
    }

    pub(super) fn header(path: &Path) -> impl Fn(HeaderError) -> Self {
        move |reason| Self::Header {
            path: path.to_owned(),
            reason,
        }
    }
}

/// The files that a DICOMDIR names; `None` where the file is none.
fn directory(path: &Path) -> Result<Option<Vec<PathBuf>>, DicomError> {
    let file = File::open(path).map_err(DicomError::io(path))?;
    let Ok((mut stream, meta)) = dataset::open(file) else {
        return Ok(None);
    };
    // A DICOMDIR is explicit and little endian (PS3.10 8.6), and its class stands in the file meta information alone.
    if TransferSyntax::of(&meta.syntax) != Some(TransferSyntax::ExplicitLittle) {
        return Ok(None);
    }
    let mut records = Records::default();
    let encoding = Encoding::of(TransferSyntax::ExplicitLittle);
    if let Err(reason) = dataset::walk(&mut stream, encoding, &mut records)
        && records.is_directory
    {
        return Err(DicomError::header(path)(reason));
    }
    if !records.is_directory {
        return Ok(None);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    for id in records.files {
        match plain_path(&id) {
            Some(below) => files.push(existing(folder, &below)),
            None => {
                return Err(DicomError::header(path)(HeaderError::Malformed {
                    tag: tag::REFERENCED_FILE_ID,
                    expected: "names of folders and a file below its own",
                }));
            }
        }
    }
    Ok(Some(files))
}

/// Where a file lies: as it is named, or in lower case, as some systems copy it.
fn existing(folder: &Path, below: &str) -> PathBuf {
    let named = folder.join(below);
    let lower = folder.join(below.to_lowercase());
    if !named.exists() && lower.exists() {
        lower
    } else {
        named
    }
}

/// A file ID as a path; `None` where it leads anywhere else than below the folder of its DICOMDIR.
fn plain_path(id: &str) -> Option<String> {
    let parts: Vec<&str> = id.split('\\').map(str::trim).collect();
    parts
        .iter()
        .all(|part| !matches!(*part, "" | "." | "..") && !part.contains(['/', ':', '\0']))
        .then(|| parts.join("/"))
}

/// The file IDs of a DICOMDIR.
#[derive(Default)]
struct Records {
    is_directory: bool,
    files: Vec<String>,
}

impl Visitor for Records {
    fn enters(&self, path: &[Tag], sequence: Tag) -> bool {
        path.is_empty() && sequence == tag::DIRECTORY_RECORD_SEQUENCE
    }

    fn begins(&mut self, path: &[Tag]) {
        self.is_directory |= path == [tag::DIRECTORY_RECORD_SEQUENCE];
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        path == [tag::DIRECTORY_RECORD_SEQUENCE] && tag == tag::REFERENCED_FILE_ID
    }

    fn value(&mut self, _: &[Tag], _: Tag, value: Vec<u8>) {
        self.files.push(text(&value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ids_lead_below_their_folder_only() {
        assert_eq!(plain_path("DICOM\\A1").as_deref(), Some("DICOM/A1"));
        for id in ["", "..\\A", "A\\..\\B", "/etc\\x", "C:\\x", "A\\\\B", "."] {
            assert_eq!(plain_path(id), None, "{id}");
        }
    }
}
