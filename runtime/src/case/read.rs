//! Reading a case into one volume: headers first, so that what does not fit is known before any work.

use std::path::PathBuf;

use ndarray::{Axis, concatenate};
use vesal_io::nifti::{self, AffineSource, Header, NiftiError, VoxelError, XForm};
use vesal_volume::Volume;

use super::grid::{self, GridError};

/// A case whose headers fit together.
#[derive(Debug)]
pub struct Checked {
    files: Vec<PathBuf>,
    /// Which world the first channel's affine leads to, to be passed on to outputs.
    pub space: XForm,
    /// What a reader of the result should know.
    pub warnings: Vec<String>,
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
    /// Reads the headers of one file per channel; `channels` has their names.
    ///
    /// **Errors**: a header is unusable or of several frames, or the channels lie on different grids.
    pub fn headers(files: Vec<PathBuf>, channels: &[String]) -> Result<Self, ReadError> {
        let mut warnings = Vec::new();
        let mut first: Option<(&str, Header)> = None;
        for (file, channel) in files.iter().zip(channels) {
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
            match &first {
                Some((name, first)) => {
                    grid::check((name, &first.geometry()), (channel, &header.geometry()))?
                }
                None => first = Some((channel, header)),
            }
        }
        let space = first.map_or(XForm::Unknown, |(_, header)| header.space);
        Ok(Self {
            files,
            space,
            warnings,
        })
    }

    /// Reads the voxels of all channels.
    ///
    /// **Errors**: voxels are damaged or incomplete.
    pub fn voxels(&self) -> Result<Volume, ReadError> {
        stack(
            self.files
                .iter()
                .map(nifti::read_volume)
                .collect::<Result<_, _>>()?,
        )
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
