//! Reading the image files of a case: headers first, so that mismatches are found before any work.

use std::path::{Path, PathBuf};

use ndarray::{Axis, concatenate};
use vesal_io::image::{ImageError, ImageFile, OpenOptions, ReadLimits};
use vesal_volume::{Geometry, GridDifference, Volume};

/// The files of a case.
#[derive(Debug, Clone, Copy)]
pub struct CaseFiles<'a> {
    /// Files of the channels on the first grid. One file alone may hold several channels; of several files, each holds
    /// one.
    pub images: &'a [PathBuf],
    /// Images of one channel on grids of their own.
    pub further: &'a [PathBuf],
    /// The label map, on the grid of the images.
    pub label: Option<&'a Path>,
}

/// Files with checked headers; those of the first grid share it.
pub struct OpenCase {
    pub images: Vec<ImageFile>,
    pub further: Vec<ImageFile>,
    pub label: Option<ImageFile>,
}

/// Why the files of a case cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file is unusable.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file does not lie on the grid of the first image.
    #[error("`{}` is not on the grid of `{}`", path.display(), first.display())]
    Grid {
        /// A later image or the label map.
        path: PathBuf,
        first: PathBuf,
        #[source]
        difference: GridDifference,
    },
}

impl CaseFiles<'_> {
    /// Reads all headers, whatever their grids.
    ///
    /// **Errors**: a header is unusable.
    pub fn open_headers(&self, options: OpenOptions) -> Result<OpenCase, ImageError> {
        let open = |path: &PathBuf| ImageFile::open(path, options);
        Ok(OpenCase {
            images: self.images.iter().map(open).collect::<Result<_, _>>()?,
            further: self.further.iter().map(open).collect::<Result<_, _>>()?,
            label: self
                .label
                .map(|path| ImageFile::open(path, options))
                .transpose()?,
        })
    }

    /// Reads all headers and checks that images and label map share one grid: see [`Geometry::check_same_grid`].
    ///
    /// **Errors**: [`FilesError`].
    pub fn open(&self, options: OpenOptions) -> Result<OpenCase, FilesError> {
        let opened = self.open_headers(options)?;
        let images = self.images.iter().map(PathBuf::as_path);
        let grids = opened.images.iter().chain(&opened.label);
        let grids: Vec<Geometry> = grids.map(|file| file.header().geometry).collect();
        let mut files = images.chain(self.label).zip(grids);
        if let Some((first, expected)) = files.next() {
            for (path, found) in files {
                found
                    .check_same_grid(&expected)
                    .map_err(|difference| FilesError::Grid {
                        path: path.to_owned(),
                        first: first.to_owned(),
                        difference,
                    })?;
            }
        }
        Ok(opened)
    }
}

impl OpenCase {
    /// Reads the voxels of all images: the channels on the first grid as one volume, and each further image. Also
    /// returns the label map, still unread.
    ///
    /// **Errors**: voxels are damaged or incomplete; a file holds more channels than it may.
    pub fn read_images(
        self,
        limits: &ReadLimits,
    ) -> Result<(Vec<Volume>, Option<ImageFile>), ImageError> {
        let is_alone = self.images.len() == 1;
        let channels = self
            .images
            .into_iter()
            .map(|file| read_channels(file, is_alone, limits))
            .collect::<Result<Vec<_>, _>>()?;
        let mut volumes: Vec<Volume> = joined(channels).into_iter().collect();
        for file in self.further {
            volumes.push(file.volume(limits)?);
        }
        Ok((volumes, self.label))
    }
}

/// Reads the channels of one file: several where it is alone.
///
/// **Errors**: voxels are damaged or incomplete; it holds more channels than it may.
pub fn read_channels(
    file: ImageFile,
    is_alone: bool,
    limits: &ReadLimits,
) -> Result<Volume, ImageError> {
    if is_alone {
        file.channels(limits)
    } else {
        file.volume(limits)
    }
}

/// One volume with the channels of all, on the grid of the first; `None` of no volumes, and of shapes that differ.
pub(crate) fn joined(mut volumes: Vec<Volume>) -> Option<Volume> {
    if volumes.len() == 1 {
        return volumes.pop();
    }
    let affine = volumes.first()?.affine;
    let views: Vec<_> = volumes.iter().map(|volume| volume.data.view()).collect();
    let data = concatenate(Axis(0), &views).ok()?;
    Some(Volume { data, affine })
}
