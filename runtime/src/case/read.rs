//! Reading the images of a case: headers first, so that what does not fit is known before any work.

use std::path::PathBuf;

use ndarray::{Axis, concatenate};
use vesal_bundle::DeployPlan;
use vesal_io::nifti::{self, AffineSource, Header, NiftiError, VoxelError, XForm};
use vesal_volume::{Geometry, Volume};

use super::grid::{self, GridError};

/// A case whose headers fit together.
#[derive(Debug)]
pub struct Checked {
    files: Vec<PathBuf>,
    /// How many of the files are channels of each image.
    images: Vec<usize>,
    /// Which world the first channel's affine leads to, to be passed on to outputs.
    pub space: XForm,
    /// What a reader of the result should know.
    pub warnings: Vec<String>,
    /// Grid and channels of each image.
    grids: Vec<(Geometry, usize)>,
    /// Most bytes that reading takes.
    reading_bytes: u64,
}

/// Why a case cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file is unusable.
    #[error(transparent)]
    Nifti(#[from] NiftiError),
    /// The channels do not lie on each other.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The voxels are not those that the headers announced a moment ago.
    #[error("the files changed while they were read")]
    Changed,
}

impl Checked {
    /// Reads the headers of one file per channel of the plan.
    ///
    /// **Errors**: a header is unusable or of several frames, or channels of one image lie on different grids.
    pub fn headers(files: Vec<PathBuf>, plan: &DeployPlan) -> Result<Self, ReadError> {
        let mut warnings = Vec::new();
        let mut first: Option<(&str, Header)> = None;
        let images = plan.image_channels();
        let mut headers = Vec::new();
        for (position, (file, channel)) in files.iter().zip(&plan.channels).enumerate() {
            let channel = &channel.name;
            let header = nifti::read_header(file)?;
            if header.frames() != 1 {
                let reason = VoxelError::Frames {
                    frames: header.frames(),
                    shape: header.dimensions,
                };
                return Err(NiftiError::Voxels {
                    path: file.clone(),
                    reason,
                }
                .into());
            }
            if header.affine_source == AffineSource::Pixdim {
                warnings.push(format!(
                    "channel `{channel}` states no orientation (neither sform nor qform): left and right are a guess"
                ));
            }
            headers.push((header.geometry(), header.volume_peak_bytes()));
            match &first {
                Some((name, first)) if position < images[0] => {
                    grid::check((name, &first.geometry()), (channel, &header.geometry()))?
                }
                Some(_) => {}
                None => first = Some((channel, header)),
            }
        }
        let mut grids = Vec::new();
        let mut reading_bytes = 0_u64;
        let mut rest = &headers[..];
        for &channels in &images {
            let (of_image, others) = rest.split_at(channels.min(rest.len()));
            rest = others;
            if let Some((grid, bytes)) = of_image.first() {
                grids.push((*grid, channels));
                // Several channels are read one by one and then put together.
                let copies = if channels > 1 { 2 * channels as u64 } else { 1 };
                reading_bytes = reading_bytes.saturating_add(bytes.saturating_mul(copies));
            }
        }
        let space = first.map_or(XForm::Unknown, |(_, header)| header.space);
        Ok(Self {
            files,
            images,
            space,
            warnings,
            grids,
            reading_bytes,
        })
    }

    /// Its files, one per channel.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Grid and number of channels of each image.
    pub fn grids(&self) -> &[(Geometry, usize)] {
        &self.grids
    }

    /// Most bytes that reading the voxels takes, the volumes included.
    pub fn reading_bytes(&self) -> u64 {
        self.reading_bytes
    }

    /// Reads the voxels of all images.
    ///
    /// **Errors**: voxels are damaged or incomplete.
    pub fn voxels(&self) -> Result<Vec<Volume>, ReadError> {
        let mut files = self.files.iter();
        let image = |&channels: &usize| {
            let channels = files.by_ref().take(channels).map(nifti::read_volume);
            stack(channels.collect::<Result<_, _>>()?)
        };
        self.images.iter().map(image).collect()
    }
}

/// One volume with the channels of all, on the grid of the first.
fn stack(mut volumes: Vec<Volume>) -> Result<Volume, ReadError> {
    if volumes.len() == 1 {
        return volumes.pop().ok_or(ReadError::Changed);
    }
    let affine = volumes.first().ok_or(ReadError::Changed)?.affine;
    let views: Vec<_> = volumes.iter().map(|volume| volume.data.view()).collect();
    let data = concatenate(Axis(0), &views).map_err(|_| ReadError::Changed)?;
    Ok(Volume { data, affine })
}
