//! Finds the stacks in files and folders.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::dicom::class;
use crate::dicom::error::{DicomError, HeaderError};
use crate::dicom::header::{self, NoImage, StatedSeries};
use crate::dicom::listing::Listing;
use crate::dicom::lost::{self, Lost};
use crate::dicom::pixels::Image;
use crate::dicom::separate::stacks;
use crate::dicom::stack::Stack;
use crate::dicom::structures;

/// The class of a DICOMDIR.
const DIRECTORY_CLASS: &str = "1.2.840.10008.1.3.10";

/// What files and folders hold: every file is either part of stacks or skipped with a reason.
#[derive(Debug, Default)]
pub struct Scan {
    /// The stacks, by study, series and first file.
    pub stacks: Vec<Stack>,
    /// The files that are part of none, by path.
    pub skipped: Vec<Skipped>,
    /// Series of which no file can be used, by UID; their files are among the skipped ones.
    pub unread: Vec<UnreadSeries>,
}

/// A series of which no file can be used.
#[derive(Debug)]
pub struct UnreadSeries {
    /// What the first of its files states.
    pub stated: StatedSeries,
    /// Its files, by path; one at least.
    pub files: Vec<PathBuf>,
}

impl Scan {
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
    /// An empty file, or one that begins with zeros alone, as failed copies do; the stacks beside it are refused where
    /// slices of theirs have its extension.
    #[error("it is empty or begins with zeros alone")]
    Blank,
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
    /// An image without pixels; the stacks of its series are refused.
    #[error("it has no pixels")]
    NoPixels,
    /// An image that cannot be used; the stacks of its series are refused, or where that is unknown, those beside it.
    #[error("it cannot be used: {0}")]
    Defect(#[from] HeaderError),
    /// The system cannot read it: a file, for which the stacks beside it are refused, or a folder.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// A pipe, a device or the like.
    #[error("it is no regular file")]
    Irregular,
    /// A link to nothing; the stacks beside it are refused where slices of theirs have its extension.
    #[error("it is a broken link")]
    BrokenLink,
    /// A link to a folder, which is not followed.
    #[error("it is a link to a folder")]
    LinkedFolder,
    /// A DICOMDIR names it, but there is no such file; the stacks that it names files of are refused.
    #[error("a DICOMDIR names it, but it is absent")]
    Absent,
}

impl SkipReason {
    /// Whether the file is DICOM all the same, as far as that is known.
    pub fn is_dicom(&self) -> bool {
        !matches!(
            self,
            Self::NotDicom | Self::Blank | Self::Irregular | Self::BrokenLink | Self::LinkedFolder
        )
    }
}

/// Looks at files, folders with all that is below them, and the files that a DICOMDIR names.
///
/// Only headers are read, in parallel and up to the pixels. Slices are grouped by study, series, frame of reference,
/// shape, pixel spacing and orientation; where several lie at one place, by what tells them apart, see
/// [`Stack::told_apart_by`]. What may be a slice and cannot be used refuses the stacks that it may be of, see
/// [`Stack::unread`].
///
/// **Errors**: [`DicomError::Io`] for a path that is not there or a folder that cannot be listed, and
/// [`DicomError::Irregular`] for one that is neither file nor folder. What is wrong with something below a folder is
/// told in [`Scan::skipped`].
pub fn scan<P: AsRef<Path>>(paths: &[P]) -> Result<Scan, DicomError> {
    let mut listing = Listing::default();
    for path in paths {
        listing.add(path.as_ref())?;
    }
    let Listing {
        files,
        skipped,
        mut lost,
        directories,
    } = listing;
    let mut scan = Scan {
        stacks: Vec::new(),
        skipped,
        unread: Vec::new(),
    };
    let files: Vec<Arc<Path>> = files.into_iter().collect();
    let count = files.len();
    let read: Vec<(Arc<Path>, Result<Image, Failed>)> = files
        .into_par_iter()
        .map(|path| (Arc::clone(&path), Image::open_header(path, count)))
        .collect();
    let mut images = Vec::new();
    let mut unread: BTreeMap<String, UnreadSeries> = BTreeMap::new();
    for (path, image) in read {
        match image {
            Ok(image) => images.push(Arc::new(image)),
            Err(failed) => {
                match failed.concerns() {
                    Concerned::Nothing => {}
                    Concerned::Series(stated) => {
                        let new = || UnreadSeries {
                            stated: stated.clone(),
                            files: Vec::new(),
                        };
                        let series = unread.entry(stated.series.clone()).or_insert_with(new);
                        series.files.push(path.to_path_buf());
                    }
                    Concerned::Beside => lost.push(Lost::certain(&path)),
                    Concerned::Alike => lost.push(Lost::if_alike(&path)),
                }
                scan.skip(path.to_path_buf(), failed.into());
            }
        }
    }
    scan.stacks = stacks(images, &unread);
    for stack in &scan.stacks {
        unread.remove(stack.series());
    }
    scan.unread = unread.into_values().collect();
    lost::note(&mut scan.stacks, lost, &directories);
    scan.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(scan)
}

impl Image {
    fn open_header(path: Arc<Path>, files: usize) -> Result<Self, Failed> {
        let file = File::open(&path).map_err(Failed::Io)?;
        let bytes = file.metadata().map_err(Failed::Io)?.len();
        let header = header::read(&path, file, files).map_err(Failed::NoImage)?;
        Ok(Self {
            path,
            bytes,
            header,
        })
    }
}

/// Why a file gives no header.
enum Failed {
    Io(io::Error),
    NoImage(NoImage),
}

/// Which stacks a file may belong to that gives no header.
enum Concerned<'a> {
    Nothing,
    /// Those of its series.
    Series(&'a StatedSeries),
    /// Any beside it.
    Beside,
    /// Any beside it whose files are named like it.
    Alike,
}

impl Failed {
    fn concerns(&self) -> Concerned<'_> {
        match self {
            Self::NoImage(NoImage::Defect(HeaderError::NotDicom, _)) => Concerned::Nothing,
            Self::NoImage(NoImage::Defect(HeaderError::Blank, _)) => Concerned::Alike,
            Self::NoImage(NoImage::Defect(_, series) | NoImage::NoPixels(series)) => series
                .as_deref()
                .map_or(Concerned::Beside, Concerned::Series),
            Self::NoImage(_) => Concerned::Nothing,
            Self::Io(_) => Concerned::Beside,
        }
    }
}

impl From<Failed> for SkipReason {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Io(reason) => Self::Io(reason),
            Failed::NoImage(NoImage::Class(class)) if class == DIRECTORY_CLASS => Self::Directory,
            Failed::NoImage(NoImage::Class(class)) => Self::Class { class },
            Failed::NoImage(NoImage::Localizer) => Self::Localizer,
            Failed::NoImage(NoImage::Color) => Self::Color,
            Failed::NoImage(NoImage::NoPixels(_)) => Self::NoPixels,
            Failed::NoImage(NoImage::Defect(HeaderError::NotDicom, _)) => Self::NotDicom,
            Failed::NoImage(NoImage::Defect(HeaderError::Blank, _)) => Self::Blank,
            Failed::NoImage(NoImage::Defect(reason, _)) => Self::Defect(reason),
        }
    }
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
