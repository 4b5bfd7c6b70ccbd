//! Writing what was found in a case.

use std::path::{Path, PathBuf};

use ndarray::{Array4, ArrayView4, s};
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::Activation;
use vesal_cli::{Exit, Failure};
use vesal_engine::{ProbabilitySink, SinkError};
use vesal_io::nifti::{self, WriteOptions};
use vesal_volume::{Geometry, LabelMap, Volume};

use crate::failure;
use crate::record::OutputRecord;

/// The files of a case.
pub struct Written {
    /// The label map.
    pub output: OutputRecord,
    /// The probabilities, if asked for.
    pub probabilities: Option<OutputRecord>,
}

/// Probabilities on their way to a file.
pub struct Probabilities {
    path: PathBuf,
    options: WriteOptions,
    file: Option<Volume>,
}

impl Probabilities {
    /// Starts without any, for this file.
    pub fn new(path: &Path, options: WriteOptions) -> Self {
        Self {
            path: path.to_owned(),
            options,
            file: None,
        }
    }
}

impl ProbabilitySink for Probabilities {
    fn begin(&mut self, classes: usize, grid: &Geometry, _: usize) -> Result<(), SinkError> {
        let [x, y, z] = grid.shape;
        self.file = Some(Volume {
            data: Array4::zeros((classes, x, y, z)),
            affine: grid.affine,
        });
        Ok(())
    }

    fn write(&mut self, start: [usize; 3], block: ArrayView4<'_, f32>) -> Result<(), SinkError> {
        match &mut self.file {
            Some(file) => {
                let ([i, j, k], (_, x, y, z)) = (start, block.dim());
                let mut to = file.data.slice_mut(s![.., i..i + x, j..j + y, k..k + z]);
                to.assign(&block);
                Ok(())
            }
            None => Err("blocks come before their grid".into()),
        }
    }
}

/// Writes the results of a case. The label map comes last: where it is, everything is.
///
/// **Errors**: a file cannot be written.
pub fn write(
    path: &Path,
    labels: &LabelMap,
    plan: &DeployPlan,
    probabilities: Option<Probabilities>,
    options: &WriteOptions,
) -> Result<Written, Failure> {
    let probabilities = match probabilities {
        Some(Probabilities {
            path,
            options,
            file: Some(file),
        }) => {
            nifti::write_volume(&path, &file, &options).map_err(failure::output)?;
            Some(written(&path)?)
        }
        _ => None,
    };
    match plan.activation {
        Activation::Softmax => nifti::write_label_map(path, labels, options),
        Activation::Sigmoid => nifti::write_regions(path, labels, &plan.label_values(), options),
    }
    .map_err(failure::output)?;
    Ok(Written {
        output: written(path)?,
        probabilities,
    })
}

fn written(path: &Path) -> Result<OutputRecord, Failure> {
    OutputRecord::of(path).map_err(|error| {
        Failure::new(Exit::Output, error)
            .attempting(format!("cannot read back `{}`", path.display()))
    })
}
