//! Writing what was found in a case.

use std::path::{Path, PathBuf};

use ndarray::ArrayView4;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::Activation;
use vesal_cli::{Exit, Failure};
use vesal_engine::{ProbabilitySink, SinkError};
use vesal_io::nifti::{self, ProbabilityFile, WriteOptions};
use vesal_volume::{Geometry, LabelMap};

use crate::failure;
use crate::outputs::Outputs;
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
    file: Option<ProbabilityFile>,
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
    fn begin(&mut self, classes: usize, grid: &Geometry, axis: usize) -> Result<(), SinkError> {
        let [x, y, z] = grid.shape;
        let shape = [classes, x, y, z];
        let file = ProbabilityFile::create(&self.path, shape, &grid.affine, axis, &self.options)?;
        self.file = Some(file);
        Ok(())
    }

    fn write(&mut self, start: [usize; 3], block: ArrayView4<'_, f32>) -> Result<(), SinkError> {
        match &mut self.file {
            Some(file) => Ok(file.write(start, block)?),
            None => Err("blocks come before their grid".into()),
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        match self.file.take() {
            Some(file) => Ok(file.finish()?),
            None => Err("the end comes before the grid".into()),
        }
    }
}

/// Writes the label map of a case whose probabilities, if asked for, are there: it comes last, so that everything is there
/// where it is.
///
/// **Errors**: a file cannot be written.
pub fn write(
    outputs: &Outputs,
    labels: &LabelMap,
    plan: &DeployPlan,
    options: &WriteOptions,
) -> Result<Written, Failure> {
    let path = &outputs.labels;
    match plan.activation {
        Activation::Softmax => nifti::write_label_map(path, labels, options),
        Activation::Sigmoid => nifti::write_regions(path, labels, &plan.label_values(), options),
    }
    .map_err(failure::output)?;
    Ok(Written {
        output: written(path)?,
        probabilities: outputs.probabilities.as_deref().map(written).transpose()?,
    })
}

fn written(path: &Path) -> Result<OutputRecord, Failure> {
    OutputRecord::of(path).map_err(|error| {
        Failure::new(Exit::Output, error)
            .attempting(format!("cannot read back `{}`", path.display()))
    })
}
