//! The cases of a batch: while one is predicted, the next is prepared, the one after it read, and the one before finished
//! and written.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use vesal_bundle::{Bundle, DeployPlan};
use vesal_cli::{Exit, Failure, Text, stdout};
use vesal_engine::{EngineError, Ensemble, PendingSegmentation, PreparedCase, ProbabilitySink};
use vesal_io::dicom::write::UidKey;
use vesal_volume::Volume;

use super::Job;
use super::write::{PROBABILITIES, Probabilities, Settings, Writer};
use crate::case::{Images, Origin};
use crate::cli::PredictArguments;
use crate::failure;
use crate::interrupt::{self, Interrupted};
use crate::memory::MemoryPlan;
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::record::{
    CaseRecord, LabelRecord, Outcome, RunRecord, Segmented, SeriesRecord, StageSeconds, measure,
    seconds,
};

/// What all cases share.
pub struct Batch<'a> {
    /// The command line.
    pub arguments: &'a PredictArguments,
    /// The bundle.
    pub bundle: &'a Bundle,
    /// The bundle's plan, with the user's rules.
    pub plan: &'a DeployPlan,
    /// Under which UIDs of results are made.
    pub key: Option<UidKey>,
    /// Whether cases are told as they are done.
    pub tell: bool,
    /// Its networks; none if no case is usable.
    pub ensemble: Option<&'a mut Ensemble>,
}

/// A case on its way, and what became of it so far.
struct OnItsWay<T> {
    name: String,
    input: Vec<String>,
    series: Vec<SeriesRecord>,
    outputs: Outputs,
    result: Result<T, Failure>,
}

/// A case that is read.
struct Read {
    volumes: Vec<Volume>,
    about: About,
}

/// What is known of a case since it was read.
struct About {
    origin: Origin,
    warnings: Vec<String>,
    read: Duration,
}

/// A case that is read and prepared.
struct Ready {
    case: PreparedCase,
    about: About,
}

/// A case whose windows are predicted.
struct Predicted {
    found: PendingSegmentation,
    about: About,
}

impl<T> OnItsWay<T> {
    fn then<U>(self, step: impl FnOnce(T, &Outputs) -> Result<U, Failure>) -> OnItsWay<U> {
        let Self {
            name,
            input,
            series,
            outputs,
            result,
        } = self;
        OnItsWay {
            result: result.and_then(|value| step(value, &outputs)),
            name,
            input,
            series,
            outputs,
        }
    }
}

impl Batch<'_> {
    /// Segments the cases in order as far as memory allows, notes them in the record, and gives the failures by case.
    ///
    /// **Errors**: a limit of memory cannot be kept, the user stops it, or stdout cannot be written.
    pub fn run(
        self,
        mut jobs: Vec<Job>,
        record: &mut RunRecord,
    ) -> Result<Vec<(String, Failure)>, Failure> {
        let total = jobs.len();
        let progress = Progress::new(total);
        let Self {
            arguments,
            bundle,
            plan,
            key,
            tell,
            ensemble,
        } = self;
        let settings = Settings {
            overwrite: arguments.overwrite,
            key,
            precision: record.device.precision,
            geometry: arguments.dicom.geometry,
            has_rules: arguments.dicom.dicom_rules.is_some(),
        };
        let writer = Writer::new(bundle, plan, settings)?;
        if let Some(ensemble) = ensemble.as_deref() {
            let (max_ram, max_vram) = (arguments.limits.max_ram, arguments.compute.max_vram);
            let mut cases: Vec<_> = jobs.iter_mut().map(|job| &mut job.checked).collect();
            record.memory =
                MemoryPlan::new(ensemble, max_ram, max_vram).settle(ensemble, &mut cases);
        }
        let publisher = Publisher {
            arguments,
            bundle,
            plan,
            writer: &writer,
            progress: &progress,
            tell,
            total,
        };
        let mut failures = Vec::new();
        let published = thread::scope(|scope| {
            // Without room between them, one case at most is with each.
            let (images, read_cases) = sync_channel(0);
            let (prepared, cases) = sync_channel(0);
            let (predicted, predictions) = sync_channel(0);
            // Where memory is short, a case begins when the one before is written.
            let (go_on, begin) = sync_channel(total + 1);
            let at_once = if record.memory.overlapped { total } else { 1 };
            for _ in 0..at_once {
                // There is room for all, and the other end is here.
                let _ = go_on.send(());
            }
            scope.spawn(move || read(jobs, &begin, &images));
            scope.spawn(move || prepare(read_cases, bundle, &prepared));
            let publisher =
                scope.spawn(|| publisher.publish_all(predictions, record, &mut failures, go_on));
            predict(cases, ensemble, &writer, &progress, &predicted);
            drop(predicted);
            publisher.join()
        });
        match published {
            Ok(published) => published?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        if interrupt::requested() {
            let done = record.cases.len();
            return Err(Failure::new(Exit::Interrupted, Interrupted { done, total }));
        }
        Ok(failures)
    }
}

/// A failure that says what was tried: to run this bundle on this case.
pub fn attempted(failure: Failure, bundle: &Bundle, case: &str) -> Failure {
    let bundle = &bundle.manifest().name;
    failure.attempting(format!("cannot run `{bundle}` on case `{case}`"))
}

/// Reads one case after the other as it is told to begin, until nobody takes them.
fn read(jobs: Vec<Job>, begin: &Receiver<()>, to: &SyncSender<OnItsWay<Read>>) {
    for job in jobs {
        if begin.recv().is_err() {
            return;
        }
        let Job {
            name,
            input,
            series,
            checked,
            outputs,
        } = job;
        let result = checked.and_then(|checked| {
            let start = Instant::now();
            let read = checked.read();
            let Images { volumes, origin } = read.map_err(|error| failure::read(error, None))?;
            Ok(Read {
                volumes,
                about: About {
                    origin,
                    warnings: checked.warnings,
                    read: start.elapsed(),
                },
            })
        });
        let case = OnItsWay {
            name,
            input,
            series,
            outputs,
            result,
        };
        if interrupt::requested() || to.send(case).is_err() {
            return;
        }
    }
}

/// Prepares the cases that are read, until nobody takes them.
fn prepare(cases: Receiver<OnItsWay<Read>>, bundle: &Bundle, to: &SyncSender<OnItsWay<Ready>>) {
    for case in cases {
        let case = case.then(|read, _| {
            Ok(Ready {
                case: PreparedCase::new(read.volumes, bundle.groups()).map_err(failure::engine)?,
                about: read.about,
            })
        });
        if interrupt::requested() || to.send(case).is_err() {
            return;
        }
    }
}

/// Predicts the cases that are prepared.
fn predict(
    cases: Receiver<OnItsWay<Ready>>,
    mut ensemble: Option<&mut Ensemble>,
    writer: &Writer,
    progress: &Progress,
    to: &SyncSender<OnItsWay<Predicted>>,
) {
    for case in cases {
        progress.case(&case.name);
        let case = case.then(|ready, outputs| {
            let Some(ensemble) = ensemble.as_deref_mut() else {
                return Err(failure::engine(EngineError::NoMembers));
            };
            let options = writer.nifti_options(&ready.about.origin);
            let sink = outputs.probabilities.as_deref().map(|path| {
                Box::new(Probabilities::new(path, options)) as Box<dyn ProbabilitySink + Send>
            });
            let found = ensemble
                .predict_prepared(ready.case, sink, &mut |stage| {
                    progress.stage(stage);
                    interrupt::check()
                })
                .map_err(failure::engine)?;
            Ok(Predicted {
                found,
                about: ready.about,
            })
        });
        if interrupt::requested() && case.result.is_err() || to.send(case).is_err() {
            return;
        }
        if interrupt::requested() {
            return;
        }
    }
}

/// Finishes cases, writes and tells what was found.
struct Publisher<'a> {
    arguments: &'a PredictArguments,
    bundle: &'a Bundle,
    plan: &'a DeployPlan,
    writer: &'a Writer<'a>,
    progress: &'a Progress,
    tell: bool,
    total: usize,
}

impl Publisher<'_> {
    /// Finishes one case after the other, writes its results, and notes them.
    fn publish_all(
        &self,
        cases: Receiver<OnItsWay<Predicted>>,
        record: &mut RunRecord,
        failures: &mut Vec<(String, Failure)>,
        go_on: SyncSender<()>,
    ) -> Result<(), Failure> {
        for case in cases {
            let case = case.then(|predicted, outputs| self.publish(predicted, outputs));
            let OnItsWay {
                name,
                input,
                series,
                result,
                ..
            } = case;
            let outcome = match result {
                Ok(segmented) => {
                    self.tell(&name, &segmented)?;
                    Outcome::Segmented(segmented)
                }
                Err(failure) => {
                    let failure = attempted(failure, self.bundle, &name);
                    let outcome = Outcome::failed(&failure);
                    // A case that is alone has its message printed at the very end.
                    if self.total > 1 {
                        self.progress.failure(&failure);
                    }
                    failures.push((name.clone(), failure));
                    outcome
                }
            };
            record.cases.push(CaseRecord {
                case: name,
                input,
                series,
                outcome,
            });
            // Nobody listens once all cases have begun.
            let _ = go_on.try_send(());
        }
        Ok(())
    }

    fn publish(&self, predicted: Predicted, outputs: &Outputs) -> Result<Segmented, Failure> {
        let found = predicted.found.finish().map_err(failure::engine)?;
        let start = Instant::now();
        let about = predicted.about;
        let written = self.writer.write(outputs, &found.labels, &about.origin)?;
        let labels = measure(&found.labels, self.plan);
        let (times, write) = (found.times, start.elapsed());
        let stages = [
            about.read,
            times.prepare,
            times.network,
            times.stitch,
            times.restore,
            write,
        ];
        let [read, prepare, network, stitch, restore, write] = stages.map(seconds);
        Ok(Segmented {
            outputs: written,
            windows: found.windows,
            seconds: StageSeconds {
                read,
                prepare,
                network,
                stitch,
                restore,
                write,
                total: seconds(stages.iter().sum()),
            },
            labels,
            remarks: about.origin.remarks.text(),
            warnings: about.warnings,
        })
    }

    fn tell(&self, case: &str, segmented: &Segmented) -> Result<(), Failure> {
        if !self.tell {
            return Ok(());
        }
        for warning in &segmented.warnings {
            self.progress.warning(format!("case `{case}`: {warning}"));
        }
        if self.arguments.json {
            return Ok(());
        }
        self.progress
            .suspend(|| stdout::print(&text(case, segmented)))
    }
}

fn text(case: &str, segmented: &Segmented) -> Text {
    let row =
        |label: &LabelRecord| vec![format!("  {}", label.name), format!("{:.2} ml", label.ml)];
    let rows: Vec<_> = segmented.labels.iter().map(row).collect();
    let mut found = segmented
        .outputs
        .iter()
        .filter(|output| output.format != PROBABILITIES);
    let first = found.next().map_or("", |output| &output.path);
    let others: Vec<_> = found.map(|output| output.format).collect();
    let also = if others.is_empty() {
        String::new()
    } else {
        format!(" (also {})", others.join(", "))
    };
    let mut text = Text::new();
    text.line(format!("{case}: {first}{also}")).table(&rows);
    text
}
