//! The loop over cases.

use std::path::Path;
use std::time::Instant;

use vesal_bundle::Bundle;
use vesal_bundle::deploy_plan::Activation;
use vesal_cli::{Exit, Failure};
use vesal_engine::{Ensemble, Output};
use vesal_io::nifti::{self, WriteOptions};

use super::Job;
use crate::case::Checked;
use crate::cli::PredictArguments;
use crate::failure;
use crate::interrupt::{self, Interrupted};
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::record::{
    self, CaseRecord, LabelRecord, Outcome, OutputRecord, RunRecord, Segmented, StageSeconds,
    seconds,
};
use crate::table::table;
use vesal_cli::stdout;

/// What all cases share.
pub struct Batch<'a> {
    /// The command line.
    pub arguments: &'a PredictArguments,
    /// The bundle.
    pub bundle: &'a Bundle,
    /// Its networks; none if no case is usable.
    pub ensemble: Option<Ensemble>,
}

impl Batch<'_> {
    /// Segments one case after the other, notes them in the record, and gives the failures by case.
    ///
    /// **Errors**: the user stops it, or stdout cannot be written.
    pub fn run(
        mut self,
        jobs: Vec<Job>,
        record: &mut RunRecord,
    ) -> Result<Vec<(String, Failure)>, Failure> {
        let total = jobs.len();
        let mut failures = Vec::new();
        for (done, job) in jobs.into_iter().enumerate() {
            let Job {
                name,
                input,
                checked,
                outputs,
            } = job;
            let progress = Progress::new(&name, done + 1, total);
            let attempt = format!(
                "cannot run `{}` on case `{name}`",
                self.bundle.manifest().name
            );
            let result = checked
                .and_then(|checked| self.segment(&checked, &outputs, &progress))
                .map_err(|failure| failure.attempting(attempt));
            if interrupt::requested() {
                let done = done + usize::from(result.is_ok());
                return Err(Failure::new(Exit::Interrupted, Interrupted { done, total }));
            }
            let outcome = match result {
                Ok(segmented) => {
                    for warning in &segmented.warnings {
                        progress.print(format!("warning: case `{name}`: {warning}\n"));
                    }
                    if !self.arguments.json {
                        drop(progress);
                        stdout::print(&text(&name, &segmented))?;
                    }
                    Outcome::Segmented(segmented)
                }
                Err(failure) => {
                    let outcome = Outcome::failed(&failure);
                    // A case that is alone has its message printed at the very end.
                    if total > 1 {
                        progress.print(failure.render());
                    }
                    failures.push((name.clone(), failure));
                    outcome
                }
            };
            record.cases.push(CaseRecord {
                case: name,
                input,
                outcome,
            });
        }
        Ok(failures)
    }

    fn segment(
        &mut self,
        case: &Checked,
        outputs: &Outputs,
        progress: &Progress,
    ) -> Result<Segmented, Failure> {
        let Some(ensemble) = &mut self.ensemble else {
            return Err(failure::engine(vesal_engine::EngineError::NoMembers));
        };
        let start = Instant::now();
        progress.step("reading");
        let images = case.voxels().map_err(|error| failure::read(error, None))?;
        let read = start.elapsed();

        let wanted = if outputs.probabilities.is_some() {
            Output::LabelsAndProbabilities
        } else {
            Output::Labels
        };
        let found = ensemble
            .segment(images, wanted, &mut |stage| {
                progress.stage(stage);
                interrupt::check()
            })
            .map_err(failure::engine)?;

        let writing = Instant::now();
        progress.step("writing");
        let options = WriteOptions {
            overwrite: self.arguments.overwrite,
            space: case.space,
        };
        // The label map comes last: where it is, everything is.
        let mut probabilities = None;
        if let (Some(path), Some(volume)) = (&outputs.probabilities, &found.probabilities) {
            nifti::write_volume(path, volume, &options).map_err(failure::output)?;
            probabilities = Some(written(path)?);
        }
        let plan = self.bundle.plan();
        match plan.activation {
            Activation::Softmax => nifti::write_label_map(&outputs.labels, &found.labels, &options),
            Activation::Sigmoid => {
                let regions = plan.label_values();
                nifti::write_regions(&outputs.labels, &found.labels, &regions, &options)
            }
        }
        .map_err(failure::output)?;
        let output = written(&outputs.labels)?;
        let seconds = StageSeconds {
            read: seconds(read),
            prepare: seconds(found.times.prepare),
            network: seconds(found.times.network),
            restore: seconds(found.times.restore),
            write: seconds(writing.elapsed()),
            total: seconds(start.elapsed()),
        };
        Ok(Segmented {
            output,
            probabilities,
            seconds,
            labels: record::measure(&found.labels, plan),
            warnings: case.warnings.clone(),
        })
    }
}

fn written(path: &Path) -> Result<OutputRecord, Failure> {
    OutputRecord::of(path).map_err(|error| {
        Failure::new(Exit::Output, error)
            .attempting(format!("cannot read back `{}`", path.display()))
    })
}

fn text(case: &str, segmented: &Segmented) -> String {
    let row =
        |label: &LabelRecord| vec![format!("  {}", label.name), format!("{:.2} ml", label.ml)];
    let rows: Vec<_> = segmented.labels.iter().map(row).collect();
    format!("{case}: {}\n{}", segmented.output.path, table(&rows))
}
