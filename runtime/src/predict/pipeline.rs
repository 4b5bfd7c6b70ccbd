//! The cases of a batch: while one is predicted, the next one is preprocessed, the one after it read, and the previous
//! one finished and written.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use vesal_bundle::{Bundle, DeployPlan};
use vesal_engine::{EngineError, Ensemble, PreparedCase, ProbabilitySink};
use vesal_io::dicom::write::UidKey;
use vesal_volume::Volume;

use super::item::{CaseContext, PipelineItem, PredictedCase};
use super::options::PredictOptions;
use super::prepare::PlannedCase;
use super::publish::Publisher;
use super::write::{Probabilities, ResultSettings, ResultWriter};
use crate::error::Error;
use crate::memory::MemoryPlan;
use crate::observe::{Cases, Observer, stops};
use crate::record::PredictionRecord;
use vesal_cases::Images;

/// Context shared by all cases.
pub(crate) struct BatchContext<'a> {
    pub options: &'a PredictOptions,
    pub bundle: &'a Bundle,
    /// The bundle's plan, with the user's rules.
    pub plan: &'a DeployPlan,
    /// Key of the UIDs of results.
    pub key: Option<UidKey>,
    /// The bundle's networks; none if no case is usable.
    pub ensemble: Option<&'a mut Ensemble>,
    pub observer: &'a dyn Observer,
    /// Whether results and warnings are passed to the observer.
    pub tells_results: bool,
}

/// A case whose images are read.
struct LoadedCase {
    volumes: Vec<Volume>,
    context: CaseContext,
}

/// A case whose images are preprocessed.
struct ReadyCase {
    case: PreparedCase,
    context: CaseContext,
}

impl BatchContext<'_> {
    /// Segments the cases in order as far as memory allows, records them, and returns the errors by case. Where the
    /// observer stops it, the record holds the cases that were finished.
    ///
    /// **Errors**: none for a plan that was read.
    pub fn run(
        self,
        mut jobs: Vec<PlannedCase>,
        record: &mut PredictionRecord,
    ) -> Result<Vec<(String, Error)>, Error> {
        let total = jobs.len();
        let Self {
            options,
            bundle,
            plan,
            key,
            ensemble,
            observer,
            tells_results,
        } = self;
        let _cases = Cases::begin(observer, total);
        let settings = ResultSettings {
            overwrite: options.overwrite,
            key,
            precision: record.device.precision,
            geometry: options.dicom.slices.geometry,
            has_rules: options.dicom.dicom_rules.is_some(),
        };
        let writer = ResultWriter::new(bundle, plan, settings)?;
        if let Some(ensemble) = ensemble.as_deref() {
            let (max_ram, max_vram) = (options.limits.memory.max_ram, options.compute.max_vram);
            let mut cases: Vec<_> = jobs.iter_mut().map(|job| &mut job.checked).collect();
            record.memory =
                MemoryPlan::new(ensemble, max_ram, max_vram).settle(ensemble, &mut cases);
        }
        let publisher = Publisher {
            bundle,
            plan,
            writer: &writer,
            observer,
            tells_results,
            is_alone: total == 1,
        };
        let mut errors = Vec::new();
        let published = thread::scope(|scope| {
            // Without buffers between stages, each stage has at most one case.
            let (images, read_cases) = sync_channel(0);
            let (prepared, cases) = sync_channel(0);
            let (predicted, predictions) = sync_channel(0);
            // Where memory is short, a case begins after the previous one was written.
            let (go_on, begin) = sync_channel(total + 1);
            let at_once = if record.memory.overlapped { total } else { 1 };
            for _ in 0..at_once {
                // The channel has room for all cases, and its receiver exists.
                let _ = go_on.send(());
            }
            scope.spawn(move || read(jobs, &begin, observer, &images));
            scope.spawn(move || prepare(read_cases, bundle, observer, &prepared));
            let publisher =
                scope.spawn(|| publisher.publish_all(predictions, record, &mut errors, go_on));
            predict(cases, ensemble, &writer, observer, &predicted);
            drop(predicted);
            publisher.join()
        });
        match published {
            Ok(()) => Ok(errors),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Reads cases one after the other, each at a signal, until the receiver is gone.
fn read(
    jobs: Vec<PlannedCase>,
    begin: &Receiver<()>,
    observer: &dyn Observer,
    to: &SyncSender<PipelineItem<LoadedCase>>,
) {
    for job in jobs {
        if begin.recv().is_err() {
            return;
        }
        let PlannedCase {
            name,
            input,
            series,
            checked,
            outputs,
        } = job;
        let result = checked.and_then(|checked| {
            let start = Instant::now();
            let read = checked.read();
            let Images { volumes, origin } = read.map_err(|error| Error::read(error, None))?;
            Ok(LoadedCase {
                volumes,
                context: CaseContext {
                    origin,
                    warnings: checked.warnings,
                    read: start.elapsed(),
                },
            })
        });
        let case = PipelineItem {
            name,
            input,
            series,
            outputs,
            result,
        };
        if stops(observer) || to.send(case).is_err() {
            return;
        }
    }
}

/// Prepares the cases that were read, until the receiver is gone.
fn prepare(
    cases: Receiver<PipelineItem<LoadedCase>>,
    bundle: &Bundle,
    observer: &dyn Observer,
    to: &SyncSender<PipelineItem<ReadyCase>>,
) {
    for case in cases {
        let case = case.then(|loaded, _| {
            Ok(ReadyCase {
                case: PreparedCase::new(loaded.volumes, bundle.groups())?,
                context: loaded.context,
            })
        });
        if stops(observer) || to.send(case).is_err() {
            return;
        }
    }
}

/// Predicts the cases that are prepared.
fn predict(
    cases: Receiver<PipelineItem<ReadyCase>>,
    mut ensemble: Option<&mut Ensemble>,
    writer: &ResultWriter,
    observer: &dyn Observer,
    to: &SyncSender<PipelineItem<PredictedCase>>,
) {
    for case in cases {
        observer.case(&case.name);
        let case = case.then(|ready, outputs| {
            let Some(ensemble) = ensemble.as_deref_mut() else {
                return Err(EngineError::NoMembers.into());
            };
            let options = writer.nifti_options(&ready.context.origin);
            let sink = outputs.probabilities.as_deref().map(|path| {
                Box::new(Probabilities::new(path, options)) as Box<dyn ProbabilitySink + Send>
            });
            let pending = ensemble.predict_prepared(ready.case, sink, &mut |stage| {
                observer.stage(stage);
                observer.proceed()
            })?;
            Ok(PredictedCase {
                pending,
                context: ready.context,
            })
        });
        if stops(observer) && case.result.is_err() || to.send(case).is_err() {
            return;
        }
        if stops(observer) {
            return;
        }
    }
}
