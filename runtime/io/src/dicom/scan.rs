//! Finds the stacks in files and folders.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::dicom::error::{DicomError, DicomHeaderError};
use crate::dicom::group::group_stacks;
use crate::dicom::image_header::{self, NoImage, StatedSeries};
use crate::dicom::listing::Listing;
use crate::dicom::pixels::Image;
use crate::dicom::skipped::{SkipReason, Skipped, UnreadSeries};
use crate::dicom::stack::Stack;
use crate::dicom::structures;
use crate::dicom::unassigned::{self, UnassignedFile};

/// Media Storage Directory Storage, the class of a DICOMDIR.
const DIRECTORY_CLASS: &str = "1.2.840.10008.1.3.10";

/// The stacks in files and folders: every file is either part of stacks or skipped with a reason.
#[derive(Debug, Default)]
pub struct DicomScan {
    /// The stacks, by study, series and first file.
    pub stacks: Vec<Stack>,
    /// The files that are part of none, by path.
    pub skipped: Vec<Skipped>,
    /// Series of which no file can be used, by UID; their files are among the skipped ones.
    pub unread: Vec<UnreadSeries>,
}

impl DicomScan {
    /// Whether any of the files is DICOM.
    pub fn has_dicom(&self) -> bool {
        !self.stacks.is_empty() || self.skipped.iter().any(|file| file.reason.is_dicom())
    }

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

/// Finds the stacks in files, in folders with all that is below them, and in the files that a DICOMDIR names.
///
/// Only headers are read, in parallel and up to the pixels. Slices are grouped by study, series, frame of reference,
/// shape, pixel spacing and orientation; slices at one position are split by their distinguishing keys, see
/// [`Stack::distinguishing_keys`]. An unusable file that may be a slice refuses the stacks that it may belong to, see
/// [`Stack::unread`].
///
/// **Errors**: [`DicomError::Io`] for a path that does not exist or a folder that cannot be listed, and
/// [`DicomError::Irregular`] for a path that is neither file nor folder. Errors of files below a folder are in
/// [`DicomScan::skipped`].
pub fn scan<P: AsRef<Path>>(paths: &[P]) -> Result<DicomScan, DicomError> {
    let mut listing = Listing::default();
    for path in paths {
        listing.add(path.as_ref())?;
    }
    let Listing {
        files,
        skipped,
        mut unassigned,
        directories,
    } = listing;
    let mut scan = DicomScan {
        stacks: Vec::new(),
        skipped,
        unread: Vec::new(),
    };
    let files: Vec<Arc<Path>> = files.into_iter().collect();
    let count = files.len();
    let read: Vec<(Arc<Path>, Result<Image, ReadFailure>)> = files
        .into_par_iter()
        .map(|path| (Arc::clone(&path), Image::open_header(path, count)))
        .collect();
    let mut images = Vec::new();
    let mut unread: BTreeMap<String, UnreadSeries> = BTreeMap::new();
    for (path, image) in read {
        match image {
            Ok(image) => images.push(Arc::new(image)),
            Err(failed) => {
                match failed.affected() {
                    AffectedStacks::None => {}
                    AffectedStacks::Series(stated) => {
                        let new = || UnreadSeries {
                            stated: stated.clone(),
                            files: Vec::new(),
                        };
                        let series = unread.entry(stated.series.clone()).or_insert_with(new);
                        series.files.push(path.to_path_buf());
                    }
                    AffectedStacks::SameFolder => {
                        unassigned.push(UnassignedFile::of_any_name(&path));
                    }
                    AffectedStacks::SameExtension => {
                        unassigned.push(UnassignedFile::of_same_extension(&path));
                    }
                }
                scan.skip(path.to_path_buf(), failed.into());
            }
        }
    }
    scan.stacks = group_stacks(images, &unread);
    for stack in &scan.stacks {
        unread.remove(stack.series());
    }
    scan.unread = unread.into_values().collect();
    unassigned::assign(&mut scan.stacks, unassigned, &directories);
    scan.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(scan)
}

impl Image {
    fn open_header(path: Arc<Path>, files: usize) -> Result<Self, ReadFailure> {
        let file = File::open(&path).map_err(ReadFailure::Io)?;
        let bytes = file.metadata().map_err(ReadFailure::Io)?.len();
        let header = image_header::read(&path, file, files).map_err(ReadFailure::NoImage)?;
        Ok(Self {
            path,
            bytes,
            header,
        })
    }
}

/// Why a file is not used as an image.
enum ReadFailure {
    Io(io::Error),
    NoImage(NoImage),
}

/// The stacks that a file without a usable header may belong to.
enum AffectedStacks<'a> {
    None,
    /// Those of its series.
    Series(&'a StatedSeries),
    /// Those with slices in its folder.
    SameFolder,
    /// Those with slices of its extension in its folder.
    SameExtension,
}

impl ReadFailure {
    fn affected(&self) -> AffectedStacks<'_> {
        match self {
            Self::NoImage(NoImage::Defect(DicomHeaderError::NotDicom, _)) => AffectedStacks::None,
            Self::NoImage(NoImage::Defect(DicomHeaderError::Blank, _)) => {
                AffectedStacks::SameExtension
            }
            Self::NoImage(NoImage::Defect(_, series) | NoImage::NoPixels(series)) => series
                .as_deref()
                .map_or(AffectedStacks::SameFolder, AffectedStacks::Series),
            Self::NoImage(_) => AffectedStacks::None,
            Self::Io(_) => AffectedStacks::SameFolder,
        }
    }
}

impl From<ReadFailure> for SkipReason {
    fn from(failed: ReadFailure) -> Self {
        match failed {
            ReadFailure::Io(reason) => Self::Io(reason),
            ReadFailure::NoImage(NoImage::Class(class)) if class == DIRECTORY_CLASS => {
                Self::Directory
            }
            ReadFailure::NoImage(NoImage::Class(class)) => Self::Class { class },
            ReadFailure::NoImage(NoImage::Localizer) => Self::Localizer,
            ReadFailure::NoImage(NoImage::Color) => Self::Color,
            ReadFailure::NoImage(NoImage::NoPixels(_)) => Self::NoPixels,
            ReadFailure::NoImage(NoImage::Defect(DicomHeaderError::NotDicom, _)) => Self::NotDicom,
            ReadFailure::NoImage(NoImage::Defect(DicomHeaderError::Blank, _)) => Self::Blank,
            ReadFailure::NoImage(NoImage::Defect(reason, _)) => Self::Defect(reason),
        }
    }
}
